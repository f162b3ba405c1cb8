import ApusCore
import CRows

/// Rows (slices along the first dimension) of tensors in memory.
enum Rows {
  /// Row `index` without its first dimension: a view.
  static func row(of tensor: Tensor, at index: Int) throws -> Tensor { try computed { tensor[index] } }

  /// The rows at `positions` of each tensor: views where they are neighbours in order, else copies.
  static func gather(_ tensors: [Tensor], at positions: Positions) throws -> [Tensor] {
    switch positions {
    case .run(let range): return try computed { tensors.map { $0[range] } }
    case .chosen(let list):
      guard let first = list.first, isRun(list) else { return try tensors.map { try copy(of: $0, at: list) } }
      return try computed { tensors.map { $0[first..<first + list.count] } }
    }
  }

  /// The same values in host memory without gaps, as ``gather(_:at:)`` wants them.
  static func packed(_ tensor: Tensor) throws -> Tensor {
    tensor.storage.isContiguous ? tensor.detached() : Tensor(storage: try HostCopy.contiguous(tensor.storage))
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

  private static func copy(of tensor: Tensor, at positions: [Int]) throws -> Tensor {
    let rows = tensor.shape[0]
    let rowBits = rows == 0 ? 0 : tensor.elementCount / rows * tensor.dtype.bitWidth
    // Rows of four-bit elements may share a byte: the engine takes those.
    guard rowBits % 8 == 0 else { return try computed { tensor.gathered(Tensor(positions), axis: 0) } }
    let result = try Storage(TensorType(tensor.dtype, Shape([positions.count] + tensor.shape.dropFirst())))
    _ = try tensor.storage.plain()
    let isDone = tensor.storage.withBytes { source in
      apus_gather_rows(
        result.plainAddress, source.baseAddress, rowBits / 8, rows, positions, positions.count)
    }
    guard isDone else { throw ApusError(.argument, "a position outside the \(rows) examples") }
    return Tensor(storage: result)
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
