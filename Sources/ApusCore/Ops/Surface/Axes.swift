extension Tensor {
  /// An axis counted from the end when it is negative.
  /// - Throws: ``ApusError`` (argument) when there is no such axis.
  func normalized(_ axis: Int) throws -> Int {
    let result = axis < 0 ? axis + rank : axis
    guard result >= 0, result < rank else {
      throw ApusError(
        .argument, rank == 0 ? "a scalar has no axis \(axis)" : "axis \(axis) is not in \(-rank)..<\(rank)")
    }
    return result
  }

  /// - Throws: also when an axis occurs twice.
  func normalized(_ axes: [Int]) throws -> AxisSet {
    var set = AxisSet()
    for axis in axes {
      let i = try normalized(axis)
      if set.contains(i) { throw ApusError(.argument, "axis \(axis) is given twice") }
      set.insert(i)
    }
    return set
  }

  /// Every axis when none is given.
  func all(_ axes: [Int]) -> [Int] { axes.isEmpty ? Array(0..<rank) : axes }
}
