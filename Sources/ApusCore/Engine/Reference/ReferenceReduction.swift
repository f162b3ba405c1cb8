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
        let total = row.reduce(0) { $0 + exp(values[$1] - largest) }
        for i in row {
          let shifted = values[i] - largest
          result[i] =
            logarithm
            ? shifted - log(total) : exp(shifted) / total
        }
      }
    }
    return ReferenceArray(x.type, result)
  }
}
