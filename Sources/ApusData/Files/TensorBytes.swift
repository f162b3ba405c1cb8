import ApusCore

/// Tensors from and to the big-endian bytes of files.
enum TensorBytes {
  static func tensor(_ type: TensorType, bigEndian bytes: ArraySlice<UInt8>) throws -> Tensor {
    let width = type.dtype.bitWidth / 8
    if width == 1 { return try Tensor(bytes: bytes.span.bytes, type: type) }
    var swapped = Array(bytes)
    swapElements(&swapped, width: width)
    return try Tensor(bytes: swapped.span.bytes, type: type)
  }

  static func bigEndian(_ tensor: Tensor) throws -> [UInt8] {
    let storage = tensor.storage.isContiguous ? tensor.storage : try HostCopy.contiguous(tensor.storage)
    _ = try storage.plain()
    var bytes = storage.withBytes { [UInt8]($0) }
    swapElements(&bytes, width: tensor.dtype.bitWidth / 8)
    return bytes
  }

  /// Between the memory's order and big-endian.
  private static func swapElements(_ bytes: inout [UInt8], width: Int) {
    guard width > 1, 1.littleEndian == 1 else { return }
    for first in stride(from: 0, to: bytes.count, by: width) {
      for offset in 0..<width / 2 { bytes.swapAt(first + offset, first + width - 1 - offset) }
    }
  }
}
