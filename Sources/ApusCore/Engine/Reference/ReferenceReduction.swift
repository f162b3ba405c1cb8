#if canImport(Glibc)
  import Glibc
#endif

/// Sums, products, extremes and their places, and softmax, for the reference engine.
enum ReferenceReduction {
  /// For each element of `shape` in row-major order, the place of its group in the dense result without `axes`.
  private static func groups(_ shape: Shape, _ axes: AxisSet) -> StridedPositions {
    var strides = [Int](repeating: 0, count: shape.rank)
    var step = 1
    for axis in Swift.stride(from: shape.rank - 1, through: 0, by: -1) where !axes.contains(axis) {
      strides[axis] = step
      step &*= shape[axis]
    }
    return StridedPositions(shape, strides: strides)
  }

  static func sum(_ x: ReferenceArray, _ axes: AxisSet, _ output: TensorType) throws -> ReferenceArray {
    try sum(x, into: groups(x.shape, axes), output)
  }

  /// Adds each element of `x` to the result's element its target names.
  static func sum(
    _ x: ReferenceArray, into targets: some Sequence<Int>, _ output: TensorType
  ) throws -> ReferenceArray {
    try accumulate(x, into: targets, output, initial: 0, real: +, integer: &+)
  }

  static func product(_ x: ReferenceArray, _ axes: AxisSet, _ output: TensorType) throws -> ReferenceArray {
    try accumulate(x, into: groups(x.shape, axes), output, initial: 1, real: *, integer: &*)
  }

  /// √Σx², scaled by a power of two to the largest so that no square overflows or vanishes.
  static func norm(_ x: ReferenceArray, _ axes: AxisSet, _ output: TensorType) throws -> ReferenceArray {
    let values = try x.reals()
    let groups = Array(groups(x.shape, axes))
    var largest = [Double](repeating: 0, count: output.shape.elementCount)
    for (value, target) in zip(values, groups) {
      largest[target] = ReferenceElementwise.maximum(largest[target], value.magnitude)
    }
    let scales = largest.map { squareScale($0) }
    var result = [Double](repeating: 0, count: largest.count)
    for (value, target) in zip(values, groups) {
      let scaled = value * scales[target]
      result[target] += scaled * scaled
    }
    return ReferenceArray(output, zip(result, scales).map { $0.squareRoot() / $1 })
  }

  /// A power of two that brings numbers up to `largest` where their squares are harmless.
  static func squareScale(_ largest: Double) -> Double {
    guard largest > 0, largest.isFinite else { return 1 }
    return Double(sign: .plus, exponent: Swift.min(1000, -largest.exponent), significand: 1)
  }

  private static func accumulate(
    _ x: ReferenceArray, into targets: some Sequence<Int>, _ output: TensorType, initial: Int64,
    real: (Double, Double) -> Double, integer: (Int64, Int64) -> Int64
  ) throws -> ReferenceArray {
    let count = output.shape.elementCount
    if case .integer(let values) = x.elements {
      var result = [Int64](repeating: initial, count: count)
      for (value, target) in zip(values, targets) {
        // A bool's sum is "any", so it must not wrap to zero on the way.
        result[target] =
          output.dtype == .bool ? Swift.min(integer(result[target], value), 1) : integer(result[target], value)
      }
      return ReferenceArray(output, integers: result)
    }
    let values = try x.reals()
    var result = [Double](repeating: Double(initial), count: count)
    for (value, target) in zip(values, targets) { result[target] = real(result[target], value) }
    return ReferenceArray(output, result)
  }

  /// The first element of each group that `precedes` all others.
  static func extreme(
    _ x: ReferenceArray, _ axes: AxisSet, _ output: TensorType, _ precedes: (Int, Int) -> Bool
  ) throws -> ReferenceArray {
    var best = [Int?](repeating: nil, count: output.shape.elementCount)
    for (i, target) in groups(x.shape, axes).enumerated() {
      if let j = best[target] {
        if precedes(i, j) { best[target] = i }
      } else {
        best[target] = i
      }
    }
    if best.contains(where: { $0 == nil }) { throw ApusError(.shape, "the largest or smallest of no elements") }
    return x.picking(best, as: output)
  }

  /// Where along `axis` the element is that precedes the others.
  static func place(
    _ x: ReferenceArray, _ axis: Int, _ output: TensorType, _ precedes: (Int, Int) -> Bool
  ) throws -> ReferenceArray {
    let view = AxisView(x.shape, axis)
    var places: [Int64] = []
    for outer in 0..<view.outer {
      for inner in 0..<view.inner {
        if view.length == 0 { throw ApusError(.shape, "the place of the largest or smallest of no elements") }
        var best = 0
        for step in 0..<view.length
        where precedes(view.position(outer, step, inner), view.position(outer, best, inner)) { best = step }
        places.append(Int64(best))
      }
    }
    return ReferenceArray(output, integers: places)
  }

  /// y = e^(x − m) / Σ e^(x − m) along `axis`, or its logarithm (x − m) − ln Σ e^(x − m), with m the largest x.
  static func softmax(_ x: ReferenceArray, _ axis: Int, logarithm: Bool) throws -> ReferenceArray {
    let values = try x.reals()
    var result = values
    let view = AxisView(x.shape, axis)
    for outer in 0..<view.outer {
      for inner in 0..<view.inner where view.length > 0 {
        let row = (0..<view.length).map { view.position(outer, $0, inner) }
        let largest = row.reduce(-Double.infinity) { ReferenceElementwise.maximum($0, values[$1]) }
        // The first of the largest apart, so that small terms beside its 1 are not lost to the logarithm.
        let first = row.first { values[$0] == largest }
        let rest = row.reduce(0) { $1 == first ? $0 : $0 + exp(values[$1] - largest) }
        let total = first == nil ? rest : 1 + rest
        for i in row {
          let shifted = values[i] - largest
          result[i] =
            logarithm
            ? shifted - (first == nil ? log(total) : log1p(rest)) : exp(shifted) / total
        }
      }
    }
    return ReferenceArray(x.type, result)
  }
}
