/// Operations of the reference engine that only move elements: each says where every element of the result comes from.
enum ReferenceStructure {
  /// All elements of the first, then of the second, and so on, as a vector.
  static func concatenated(_ arrays: [ReferenceArray]) -> ReferenceArray {
    let type = TensorType(arrays[0].type.dtype, [Dim(arrays.reduce(0) { $0 + $1.count })])
    var reals: [Double] = []
    var integers: [Int64] = []
    var complex: [ReferenceArray.Complex] = []
    for array in arrays {
      switch array.elements {
      case .real(let values): reals += values
      case .integer(let values): integers += values
      case .complex(let values): complex += values
      }
    }
    if type.dtype.isComplex { return ReferenceArray(type, .complex(complex)) }
    return type.dtype.isFloatingPoint ? ReferenceArray(type, reals) : ReferenceArray(type, .integer(integers))
  }

  /// An array whose element at `index` is x's at `source(index)`, or `fill` where that is nil.
  static func tabulate(
    _ output: TensorType, from x: ReferenceArray, fill: Scalar = .int(0), _ source: ([Int]) -> [Int]?
  ) -> ReferenceArray {
    let strides = x.shape.denseStrides
    var positions: [Int?] = []
    positions.reserveCapacity(output.shape.elementCount)
    output.shape.forEachIndex { index in
      positions.append(source(index).map { zip($0, strides).reduce(0) { $0 + $1.0 * $1.1 } })
    }
    return x.picking(positions, fill: fill, as: output)
  }

  static func permute(_ x: ReferenceArray, _ order: Permutation, _ output: TensorType) -> ReferenceArray {
    tabulate(output, from: x) { index in
      var source = index
      for axis in 0..<order.count { source[order[axis]] = index[axis] }
      return source
    }
  }

  static func broadcast(_ x: ReferenceArray, _ output: TensorType) -> ReferenceArray {
    let added = output.rank - x.type.rank
    return tabulate(output, from: x) { index in (0..<x.type.rank).map { x.shape[$0] == 1 ? 0 : index[added + $0] } }
  }

  static func slice(_ x: ReferenceArray, _ starts: [Int], _ steps: [Int], _ output: TensorType) -> ReferenceArray {
    tabulate(output, from: x) { index in index.indices.map { starts[$0] + index[$0] * steps[$0] } }
  }

  static func sliceUpdate(
    _ x: ReferenceArray, _ update: ReferenceArray, _ starts: [Int], _ steps: [Int], _ output: TensorType
  ) -> ReferenceArray {
    var picked: [Int?] = Array(0..<x.count)
    let strides = x.shape.denseStrides
    var next = x.count
    update.shape.forEachIndex { index in
      picked[index.indices.reduce(0) { $0 + (starts[$1] + index[$1] * steps[$1]) * strides[$1] }] = next
      next += 1
    }
    return concatenated([x, update]).picking(picked, as: output)
  }

  static func pad(_ x: ReferenceArray, low: [Int], value: Scalar, _ output: TensorType) -> ReferenceArray {
    tabulate(output, from: x, fill: value) { index in
      let source = index.indices.map { index[$0] - low[$0] }
      return source.indices.allSatisfy { source[$0] >= 0 && source[$0] < x.shape[$0] } ? source : nil
    }
  }

  static func reverse(_ x: ReferenceArray, _ axes: AxisSet) -> ReferenceArray {
    tabulate(x.type, from: x) { index in
      index.indices.map { axes.contains($0) ? x.shape[$0] - 1 - index[$0] : index[$0] }
    }
  }

  static func concatenate(_ arrays: [ReferenceArray], _ axis: Int, _ output: TensorType) -> ReferenceArray {
    var picked = [Int?](repeating: nil, count: output.shape.elementCount)
    let whole = AxisView(output.shape, axis)
    var next = 0
    var first = 0
    for array in arrays where array.count > 0 {
      let part = AxisView(array.shape, axis)
      for outer in 0..<part.outer {
        for step in 0..<part.length {
          for inner in 0..<part.inner {
            picked[whole.position(outer, first + step, inner)] = next
            next += 1
          }
        }
      }
      first += part.length
    }
    return concatenated(arrays).picking(picked, as: output)
  }

  // MARK: Indexing

  /// The indices as numbers, each checked to lie in 0..<size.
  private static func checked(_ indices: ReferenceArray, size: Int, axis: Int) throws -> [Int] {
    try indices.integers().enumerated().map { position, index in
      guard index >= 0, index < size else { throw ApusError.index(index, at: position, size: size, axis: axis) }
      return Int(index)
    }
  }

  static func gather(
    _ x: ReferenceArray, _ indices: ReferenceArray, _ axis: Int, _ output: TensorType
  ) throws -> ReferenceArray {
    let view = AxisView(x.shape, axis)
    let steps = try checked(indices, size: view.length, axis: axis)
    if output.shape.elementCount == 0 { return x.picking([], as: output) }
    var picked: [Int?] = []
    for outer in 0..<view.outer {
      for step in steps {
        for inner in 0..<view.inner { picked.append(view.position(outer, step, inner)) }
      }
    }
    return x.picking(picked, as: output)
  }

  /// `values` has the indices' axes where the result has `axis`.
  static func scatterAdd(
    _ values: ReferenceArray, _ indices: ReferenceArray, _ axis: Int, _ output: TensorType
  ) throws -> ReferenceArray {
    let view = AxisView(output.shape, axis)
    let steps = try checked(indices, size: view.length, axis: axis)
    if values.count == 0 { return try ReferenceReduction.sum(values, into: [Int](), output) }
    var targets: [Int] = []
    for outer in 0..<view.outer {
      for step in steps {
        for inner in 0..<view.inner { targets.append(view.position(outer, step, inner)) }
      }
    }
    return try ReferenceReduction.sum(values, into: targets, output)
  }

  static func gatherAlong(
    _ x: ReferenceArray, _ indices: ReferenceArray, _ axis: Int, _ output: TensorType
  ) throws -> ReferenceArray {
    x.picking(try positions(along: axis, of: x.shape, indices), as: output)
  }

  static func scatterAddAlong(
    _ values: ReferenceArray, _ indices: ReferenceArray, _ axis: Int, _ output: TensorType
  ) throws -> ReferenceArray {
    try ReferenceReduction.sum(values, into: try positions(along: axis, of: output.shape, indices), output)
  }

  /// The place in an array of `shape` that each index names: its own index with the one at `axis` replaced.
  private static func positions(along axis: Int, of shape: Shape, _ indices: ReferenceArray) throws -> [Int] {
    let steps = try checked(indices, size: shape[axis], axis: axis)
    let strides = shape.denseStrides
    var result: [Int] = []
    result.reserveCapacity(steps.count)
    indices.shape.forEachIndex { index in
      var index = index
      index[axis] = steps[result.count]
      result.append(zip(index, strides).reduce(0) { $0 + $1.0 * $1.1 })
    }
    return result
  }
}

extension ApusError {
  /// An index that names no element; the same words from every engine.
  /// - Parameters:
  ///   - index: the index itself.
  ///   - position: where it stands among the indices, in row-major order.
  ///   - size: of the axis that it should have been within.
  ///   - axis: of the tensor that is indexed, from 0.
  public static func index(_ index: Int64, at position: Int, size: Int, axis: Int) -> ApusError {
    ApusError(.argument, "index \(index) (at position \(position)) is outside axis \(axis), whose size is \(size)")
  }
}
