import ApusCore
import ApusFiles
import ApusNN

/// A safetensors file opened for reading: the header is checked whole before any tensor is read.
///
/// ```swift
/// let file = try SafetensorsFile("model.safetensors")
/// file.names                                  // ["fc.bias", "fc.weight"]
/// let weight = try file.tensor("fc.weight")
/// ```
/// Nothing is allocated before it is known to be in the file. Format: ``SafetensorsFile/write(_:metadata:to:)``.
public struct SafetensorsFile: Sendable {
  /// Free text about the file.
  public let metadata: [String: String]
  /// The tensors' names in the header's order.
  public let names: [String]
  private let file: InputFile
  private let dataStart: Int
  private let entries: [String: SafetensorsHeader.Entry]

  /// Opens a file and reads its header.
  /// - Parameter path: of the file.
  /// - Throws: `ApusError` (file) naming what is wrong with the file.
  public init(_ path: String) throws {
    file = try InputFile(path)
    guard file.size >= 8 else {
      throw ApusError(.file, "\(path) is no safetensors file: \(file.size) bytes are too few")
    }
    let length = try file.read(8, at: 0).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    guard length <= SafetensorsHeader.maximumLength, length <= file.size - 8 else {
      throw ApusError(
        .file,
        "\(path) is no safetensors file, or truncated: its header would have \(length) bytes of \(file.size - 8) "
          + "(at most \(SafetensorsHeader.maximumLength))")
    }
    dataStart = 8 + Int(length)
    let header: SafetensorsHeader
    do {
      header = try SafetensorsHeader(parsing: file.read(Int(length), at: 8))
    } catch var error as ApusError {
      error.message = "\(path): \(error.message)"
      throw error
    }
    guard header.dataLength == file.size - dataStart else {
      throw ApusError(
        .file,
        "\(path) is \(header.dataLength > file.size - dataStart ? "truncated" : "longer than its header says"): "
          + "the tensors take \(header.dataLength) bytes, and \(file.size - dataStart) follow the header")
    }
    metadata = header.metadata
    names = header.entries.map(\.name)
    entries = Dictionary(uniqueKeysWithValues: header.entries.map { ($0.name, $0) })
  }

  /// A tensor's dtype and shape; nil when the file has none of that name.
  public func type(of name: String) -> TensorType? { entries[name]?.type }

  /// Reads a tensor, with the file's dtype and shape.
  /// - Parameter name: one of ``names``.
  /// - Throws: `ApusError` (file) when there is none of that name or the file can't be read.
  public func tensor(_ name: String) throws -> Tensor {
    guard let entry = entries[name] else { throw ApusError(.file, "\(file.path) has no tensor \(quoted(name))") }
    let bytes = try file.read(entry.byteCount, at: dataStart + entry.offset)
    return try Tensor(bytes: bytes.span.bytes, type: entry.type)
  }

  /// Reads all tensors, in the header's order.
  /// - Throws: `ApusError` (file) when the file can't be read.
  public func stateDictionary() throws -> StateDictionary {
    StateDictionary(try names.map { ($0, try tensor($0)) })
  }

  /// Writes tensors under a temporary name and renames the file when it is complete.
  ///
  /// ```swift
  /// try SafetensorsFile.write(["x": Tensor.ones([2, 3])], to: "x.safetensors")
  /// ```
  /// The format (https://huggingface.co/docs/safetensors/index#format): the length of the header as a little-endian
  /// UInt64, the header in JSON (`{"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, …}`), the
  /// tensors' bytes. Wider dtypes come first, so that each tensor is aligned.
  /// - Parameters:
  ///   - tensors: what is written, under their names.
  ///   - metadata: free text, kept under `__metadata__`.
  ///   - path: of the file; one that is there is replaced.
  /// - Throws: `ApusError` (file) when it can't be written, (unsupported) for dtypes the format lacks, (argument) for a
  ///   tensor named `__metadata__` or without values, or a header longer than the format allows.
  public static func write(_ tensors: StateDictionary, metadata: [String: String] = [:], to path: String) throws {
    // Before anything is made on the disk.
    for (name, tensor) in tensors where !tensor.storage.isConcrete {
      throw ApusError(
        .argument,
        "\(quoted(name)) can't be saved: it has no values, as the result of a failed operation or in a trace",
        operands: [tensor.type])
    }
    let header = try SafetensorsHeader(tensors.map { ($0.key, $0.value.type) }, metadata: metadata)
    let prefix = try header.encoded()
    try AtomicReplacement.file(path) { file in
      try file.write(prefix)
      for entry in header.entries {
        guard let storage = tensors[entry.name]?.storage else { continue }
        let plain = storage.isContiguous ? storage : try HostCopy.contiguous(storage)
        _ = try plain.plain()
        try plain.withBytes { try file.write($0.bytes) }
      }
    }
  }
}
