import ApusCore

/// Tensors from and to the bytes of files.
enum TensorBytes {
  /// A tensor of `values` in row-major order.
  static func tensor<T: TensorScalar>(_ values: [T], _ shape: [Int]) throws -> Tensor {
    let storage = try Storage(TensorType(T.dtype, Shape(shape)))
    precondition(values.count == storage.shape.elementCount)
    storage.pointer(as: T.self).update(from: values, count: values.count)
    return Tensor(storage: storage)
  }

  /// A tensor over a copy of big-endian elements.
  static func tensor(_ type: TensorType, bigEndian bytes: ArraySlice<UInt8>) throws -> Tensor {
    let storage = try Storage(type)
    let target = UnsafeMutableRawBufferPointer(start: storage.plainAddress, count: bytes.count)
    target.copyBytes(from: bytes)
    swapElements(target, width: type.dtype.bitWidth / 8)
    return Tensor(storage: storage)
  }

  static func integers(_ bytes: Tensor) throws -> Tensor {
    try tensor(bytes.storage.withBytes { $0.map(Int64.init) }, Array(bytes.shape))
  }

  static func scaled(_ bytes: Tensor, _ shape: [Int]) throws -> Tensor {
    try tensor(bytes.storage.withBytes { $0.map { Float($0) / 255 } }, shape)
  }

  /// The elements as big-endian bytes.
  static func bigEndian(_ tensor: Tensor) -> [UInt8] {
    var bytes = tensor.storage.withBytes { [UInt8]($0) }
    bytes.withUnsafeMutableBytes { swapElements($0, width: tensor.dtype.bitWidth / 8) }
    return bytes
  }

  private static func swapElements(_ bytes: UnsafeMutableRawBufferPointer, width: Int) {
    guard width > 1, 1.littleEndian == 1 else { return }
    for first in stride(from: 0, to: bytes.count, by: width) {
      for offset in 0..<width / 2 { bytes.swapAt(first + offset, first + width - 1 - offset) }
    }
  }
}
