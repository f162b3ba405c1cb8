import ApusCore

/// Rows (slices along the first dimension) of tensors in memory.
enum Rows {
  /// Row `index` without its first dimension.
  static func row(of tensor: Tensor, at index: Int) throws -> Tensor {
    try copyRows(of: tensor, at: [index], shape: Shape(tensor.shape.dropFirst()))
  }

  /// The rows at `positions` of each tensor, stacked.
  static func gather(_ tensors: [Tensor], at positions: [Int]) throws -> [Tensor] {
    try tensors.map { tensor in
      try copyRows(of: tensor, at: positions, shape: Shape([positions.count] + tensor.shape.dropFirst()))
    }
  }

  /// Elements stacked along a new first dimension, tensor by tensor.
  /// - Throws: `ApusError` (shape) when they differ in their number, types or shapes of tensors.
  static func stack(_ elements: [[Tensor]]) throws -> [Tensor] {
    guard let first = elements.first else { return [] }
    for element in elements where element.map(\.type) != first.map(\.type) {
      throw ApusError(
        .shape,
        "the elements of a batch must be alike: \(first.map(\.type.description)) beside \(element.map(\.type.description))")
    }
    return try first.indices.map { index in
      let type = TensorType(first[index].dtype, Shape([elements.count] + first[index].shape))
      let storage = try Storage(type)
      let bytes = try first[index].type.byteCount()
      for (position, element) in elements.enumerated() {
        element[index].storage.withBytes { storage.plainAddress.advanced(by: position * bytes).copyMemory(from: $0.baseAddress!, byteCount: bytes) }
      }
      return Tensor(storage: storage)
    }
  }

  private static func copyRows(of tensor: Tensor, at positions: [Int], shape: Shape) throws -> Tensor {
    let storage = try Storage(TensorType(tensor.dtype, shape))
    let count = tensor.shape[0]
    guard let all = tensor.dtype.byteCount(tensor.elementCount), count > 0 else { return Tensor(storage: storage) }
    let bytes = all / count
    tensor.storage.withBytes { source in
      for (row, position) in positions.enumerated() {
        storage.plainAddress.advanced(by: row * bytes).copyMemory(
          from: source.baseAddress! + position * bytes, byteCount: bytes)
      }
    }
    return Tensor(storage: storage)
  }
}
