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
/// Nothing is allocated before it is known to be in the file. Headers of up to 100 MB, the format's limit, are read, with up
/// to 65,536 entries of metadata; an opened file takes a small multiple of its header.
/// Format: ``SafetensorsFile/write(_:metadata:to:)``.
public struct SafetensorsFile: Sendable {
  /// Where tensors' elements are.
  public enum Placement: Hashable, Sendable {
    /// In memory of their own.
    case copied
    /// In the file, mapped: nothing is read before it is used, and other processes that map it share its pages. The system
    /// gives such memory back when it needs it.
    ///
    /// Whoever truncates the file while a tensor of it is used ends this process (SIGBUS), and whoever writes to it changes
    /// the weights: for files that nobody changes meanwhile. Replacing one by renaming another is no change.
    case mapped
    /// In a copy without a name in a folder, mapped: nobody else can open, truncate or write it. It goes with the last
    /// tensor. For servers.
    case mappedCopy(folder: String)
  }

  private let file: InputFile
  private let mapping: MappedFile?
  private let dataStart: Int
  private let index: HeaderIndex

  /// Free text about the file.
  public var metadata: NamedValues<String> { index.metadata }

  /// The tensors' names in the header's order, made anew each time.
  public var names: [String] { (0..<index.count).map { index.name(at: $0) } }

  /// Opens a file and reads its header.
  ///
  /// ```swift
  /// let file = try SafetensorsFile("model.safetensors", placement: .mapped)
  /// try model.loadStateDictionary(file.stateDictionary())      // the weights are used where they are in the file
  /// ```
  /// - Parameters:
  ///   - path: of the file.
  ///   - placement: where the tensors' elements are: mapped, those that lie in the file as their dtype asks for (all that
  ///     ``write(_:metadata:to:)`` wrote but bools) are used in place, and the others copied.
  /// - Throws: `ApusError` (file) naming what is wrong with the file, (memory) when it can't be mapped.
  public init(_ path: String, placement: Placement = .copied) throws {
    try self.init(InputFile(path), placement: placement)
  }

  /// Reads the header of an open file.
  /// - Throws: as ``init(_:placement:)``.
  package init(_ file: InputFile, placement: Placement = .copied) throws {
    // What is read is what is mapped.
    let file = if case .mappedCopy(let folder) = placement { try file.privateCopy(in: folder) } else { file }
    self.file = file
    mapping = placement == .copied ? nil : try MappedFile(file)
    let path = file.path
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
    do {
      index = try HeaderIndex(parsing: file.read(Int(length), at: 8))
    } catch var error as ApusError {
      error.message = "\(path): \(error.message)"
      throw error
    }
    guard index.dataLength == file.size - dataStart else {
      throw ApusError(
        .file,
        "\(path) is \(index.dataLength > file.size - dataStart ? "truncated" : "longer than its header says"): "
          + "the tensors take \(index.dataLength) bytes, and \(file.size - dataStart) follow the header")
    }
  }

  /// A tensor's dtype and shape; nil when the file has none of that name.
  public func type(of name: String) -> TensorType? { index.index(of: name).map { index.type(at: $0) } }

  /// Reads a tensor, with the file's dtype and shape.
  /// - Parameter name: one of ``names``.
  /// - Throws: `ApusError` (file) when there is none of that name or the file can't be read.
  public func tensor(_ name: String) throws -> Tensor {
    guard let place = index.index(of: name) else {
      throw ApusError(.file, "\(file.path) has no tensor \(quoted(name))")
    }
    return try tensor(at: place)
  }

  private func tensor(at place: Int) throws -> Tensor {
    let range = index.bytes(at: place)
    if let mapping { return try mapping.tensor(index.type(at: place), at: dataStart + range.lowerBound) }
    let bytes = try file.read(range.count, at: dataStart + range.lowerBound)
    return try Tensor(bytes: bytes.span.bytes, type: index.type(at: place))
  }

  /// Reads all tensors, in the header's order.
  /// - Throws: `ApusError` (file) when the file can't be read.
  public func stateDictionary() throws -> StateDictionary {
    StateDictionary(try (0..<index.count).map { (index.name(at: $0), try tensor(at: $0)) })
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
  ///   tensor named `__metadata__` or without values, more than 65,536 entries of metadata, or a header longer than the
  ///   format allows.
  public static func write(_ tensors: StateDictionary, metadata: NamedValues<String> = [:], to path: String) throws {
    // Before anything is made on the disk.
    let header = try header(of: tensors, metadata)
    let prefix = try header.encoded()
    try AtomicReplacement.file(path) { try write(header, prefix, tensors, to: $0) }
  }

  /// Writes tensors to a file that is being made.
  /// - Throws: as ``write(_:metadata:to:)``.
  package static func write(
    _ tensors: StateDictionary, metadata: NamedValues<String> = [:], to file: OutputFile
  ) throws {
    let header = try header(of: tensors, metadata)
    try write(header, header.encoded(), tensors, to: file)
  }

  private static func header(
    of tensors: StateDictionary, _ metadata: NamedValues<String>
  ) throws -> SafetensorsHeader {
    for (name, tensor) in tensors where !tensor.storage.isConcrete {
      throw ApusError(
        .argument,
        "\(quoted(name)) can't be saved: it has no values, as the result of a failed operation or in a trace",
        operands: [tensor.type])
    }
    return try SafetensorsHeader(tensors.map { ($0.key, $0.value.type) }, metadata: metadata)
  }

  private static func write(
    _ header: SafetensorsHeader, _ prefix: [UInt8], _ tensors: StateDictionary, to file: OutputFile
  ) throws {
    try file.write(prefix)
    for entry in header.entries {
      guard let storage = tensors[entry.name]?.storage else { continue }
      let plain = storage.isContiguous ? storage : try HostCopy.contiguous(storage)
      _ = try plain.plain()
      try plain.withBytes { try file.write($0.bytes) }
    }
  }
}
