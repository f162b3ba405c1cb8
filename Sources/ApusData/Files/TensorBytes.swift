import ApusCore
import CRows

/// Tensors from and to the big-endian bytes of files.
enum TensorBytes {
  /// The tensor whose elements are all bytes from `start` on.
  static func tensor(_ type: TensorType, bigEndian bytes: [UInt8], from start: Int) throws -> Tensor {
    let tensor = try Tensor(bytes: bytes.span.bytes.extracting(droppingFirst: start), type: type)
    let width = type.dtype.bitWidth / 8
    guard width > 1, 1.littleEndian == 1 else { return tensor }
    apus_swap_elements(tensor.storage.plainAddress, type.shape.elementCount, width)
    return tensor
  }

  static func bigEndian(_ tensor: Tensor) throws -> [UInt8] {
    let storage = tensor.storage.isContiguous ? tensor.storage : try HostCopy.contiguous(tensor.storage)
    _ = try storage.plain()
    var bytes = storage.withBytes { [UInt8]($0) }
    let width = tensor.dtype.bitWidth / 8
    if width > 1, 1.littleEndian == 1 { apus_swap_elements(&bytes, bytes.count / width, width) }
    return bytes
  }
}
