import ApusCore

/// Rows (slices along the first dimension) of tensors in memory.
enum Rows {
  /// Row `index` without its first dimension: a view.
  static func row(of tensor: Tensor, at index: Int) throws -> Tensor { try computed { tensor[index] } }

  /// The rows at `positions` of each tensor: a view where they are neighbours in order, else one gather a tensor.
  static func gather(_ tensors: [Tensor], at positions: [Int]) throws -> [Tensor] {
    if let first = positions.first, isRun(positions) {
      return try computed { tensors.map { $0[first..<first + positions.count] } }
    }
    return try computed {
      let indices = Tensor(positions)
      return tensors.map { $0.gathered(indices, axis: 0) }
    }
  }

  /// Elements stacked along a new first dimension, tensor by tensor.
  /// - Throws: `ApusError` (shape) when they differ in their number, types or shapes of tensors.
  static func stack(_ elements: [[Tensor]]) throws -> [Tensor] {
    guard let first = elements.first else { return [] }
    let types = first.map(\.type)
    if let odd = elements.first(where: { $0.map(\.type) != types }) {
      throw ApusError(
        .shape,
        "the elements of a batch must be alike: \(types.map(\.description)) beside \(odd.map(\.type.description))")
    }
    return try computed { first.indices.map { index in ApusCore.stack(elements.map { $0[index] }, axis: 0) } }
  }

  private static func isRun(_ positions: [Int]) -> Bool {
    for index in positions.indices.dropFirst() where positions[index] != positions[index - 1] + 1 { return false }
    return true
  }

  /// Data are values whatever surrounds the call, and a lack of memory is an error to be caught.
  private static func computed<R>(_ body: () throws -> R) throws -> R {
    try outsideTrace { try checked(body) }
  }
}
