import ApusCore
import ApusFiles

/// The IDX format of the MNIST files: one array of bytes, integers or floats.
///
/// Two zero bytes, a code for the element type, the number of dimensions, each dimension as a big-endian 32-bit number,
/// then the elements in row-major order, big-endian (Y. LeCun, C. Cortes, C. Burges, "The MNIST database").
/// Gzip-compressed files are read as they are, in several members and padded with zeros too.
///
/// ```swift
/// let images = try IDX.read("train-images-idx3-ubyte.gz")   // uint8[60000, 28, 28]
/// ```
public enum IDX {
  /// The largest file that is read, and the largest array, in bytes.
  static let byteLimit = 1 << 34

  /// Reads an IDX file, compressed or not.
  /// - Returns: a tensor of the file's shape and element type (uint8, int8, int16, int32, float32 or float64).
  /// - Throws: `ApusError` (file) that names the file and says what is wrong with it.
  public static func read(_ path: String) throws -> Tensor {
    let bytes = try InputFile.bytes(of: path, limit: byteLimit)
    do {
      return try decode(bytes)
    } catch let error as ApusError {
      throw ApusError(error.kind, "\(path): \(error.message)")
    }
  }

  /// Decodes the bytes of an IDX file, compressed or not.
  /// - Throws: `ApusError` (file) that says what is wrong, (memory) for an array larger than the machine's memory.
  public static func decode(_ bytes: [UInt8]) throws -> Tensor {
    let isGzip = Gzip.isGzip(bytes)
    let header = try Header(isGzip ? Gzip.inflate(bytes, limit: Header.maximumLength).bytes : bytes)
    let size = try header.byteCount
    // One byte more than expected tells a longer array from a whole one.
    let whole = isGzip ? try Gzip.inflate(bytes, limit: header.length + size + 1) : (bytes: bytes, isWhole: true)
    guard whole.bytes.count == header.length + size, whole.isWhole else {
      throw header.mismatch(found: whole.bytes.count - header.length)
    }
    return try TensorBytes.tensor(header.type, bigEndian: whole.bytes, from: header.length)
  }

  /// A tensor as the bytes of an IDX file.
  /// - Throws: `ApusError` (dtype) unless it has one of the format's six element types, (argument) for a dimension that
  ///   does not fit into 32 bits.
  public static func encode(_ tensor: Tensor) throws -> [UInt8] {
    guard let code = codes.first(where: { $0.value == tensor.dtype })?.key else {
      throw ApusError(
        .dtype, "IDX files hold uint8, int8, int16, int32, float32 or float64", operation: "IDX.encode",
        operands: [tensor.type])
    }
    var bytes: [UInt8] = [0, 0, code, UInt8(tensor.rank)]
    for size in tensor.shape {
      guard let size = UInt32(exactly: size) else {
        throw ApusError(.argument, "IDX dimensions have 32 bits; \(size) has more")
      }
      for byte in [3, 2, 1, 0] { bytes.append(UInt8(truncatingIfNeeded: size >> (8 * byte))) }
    }
    return try bytes + TensorBytes.bigEndian(tensor)
  }

  /// Writes a tensor as an IDX file, first under a temporary name; compressed when the name ends in `.gz`.
  /// - Throws: as ``encode(_:)``, `ApusError` (file) when it can't be written, (memory) when it can't be compressed.
  public static func write(_ tensor: Tensor, to path: String) throws {
    let bytes = try encode(tensor)
    try AtomicReplacement.file(path, path.hasSuffix(".gz") ? Gzip.compress(bytes) : bytes)
  }

  private static let codes: [UInt8: DType] = [
    0x08: .uint8, 0x09: .int8, 0x0B: .int16, 0x0C: .int32, 0x0D: .float32, 0x0E: .float64,
  ]

  /// What an IDX file says before its elements.
  private struct Header {
    static let maximumLength = 4 + 4 * Shape.maximumRank

    let type: TensorType
    /// In bytes.
    let length: Int

    init(_ bytes: [UInt8]) throws {
      guard bytes.count >= 4 else {
        throw ApusError(.file, "\(bytes.count) bytes are too few for an IDX file, whose header has at least 4")
      }
      guard bytes[0] == 0, bytes[1] == 0, let dtype = codes[bytes[2]] else {
        let magic = bytes.prefix(4).map { "0x" + String($0, radix: 16) }.joined(separator: " ")
        throw ApusError(
          .file,
          "not an IDX file: it begins with \(magic), where two zeros, a type code (0x8, 0x9, 0xb to 0xe) and the number of "
            + "dimensions belong")
      }
      let rank = Int(bytes[3])
      guard rank <= Shape.maximumRank else {
        throw ApusError(.file, "\(rank) dimensions are more than the \(Shape.maximumRank) a tensor has")
      }
      length = 4 + 4 * rank
      guard bytes.count >= length else {
        throw ApusError(.file, "the file ends within its header of \(length) bytes")
      }
      let sizes = (0..<rank).map { axis in
        bytes[4 + 4 * axis..<8 + 4 * axis].reduce(0) { $0 << 8 | Int($1) }
      }
      type = TensorType(dtype, Shape(sizes))
    }

    /// Bytes of the elements.
    var byteCount: Int {
      get throws {
        guard let size = try? type.byteCount(), size <= byteLimit else {
          throw ApusError(.file, "the header claims \(type), more than the \(byteLimit) bytes that are read")
        }
        return size
      }
    }

    func mismatch(found: Int) -> ApusError {
      let size = (try? byteCount) ?? 0
      return ApusError(
        .file,
        "the header claims \(type), \(size) bytes of elements, but "
          + (found < size ? "only \(found) follow" : "more follow: the file is damaged or of another kind"))
    }
  }
}
