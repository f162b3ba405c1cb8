import ApusCore

/// The header of a safetensors file: which tensors there are, and where.
///
/// Format: 8 bytes with the header's length (unsigned, little-endian), the header (JSON, `{` first, padded with spaces),
/// then the tensors' bytes, little-endian and row-major, one after another without gaps.
/// https://huggingface.co/docs/safetensors/index#format
struct SafetensorsHeader {
  struct Entry {
    var name: String
    var type: TensorType
    /// Within the tensors' bytes.
    var offset: Int
    var byteCount: Int
  }

  /// The specification's limit of the header's length.
  static let maximumLength = 100_000_000

  /// In the header's order.
  var entries: [Entry] = []
  var metadata: NamedValues<String> = [:]
  /// Bytes of all tensors.
  var dataLength = 0

  // MARK: Reading

  /// - Throws: `ApusError` (file) for whatever is not allowed by the format.
  init(parsing bytes: [UInt8]) throws {
    guard bytes.first == UInt8(ascii: "{") else { throw ApusError(.file, "the header does not begin with '{'") }
    var scanner = HeaderScanner(bytes)
    var names: Set<ExactName> = []
    var metadata: NamedValues<String> = [:]
    var entries: [Entry] = []
    try scanner.object { scanner, name in
      guard names.insert(ExactName(name)).inserted else {
        throw ApusError(.file, "two entries have the name \(quoted(name))")
      }
      if name == "__metadata__" {
        try scanner.object { scanner, key in
          let text = try scanner.string()
          guard metadata[key] == nil else {
            throw ApusError(.file, "two entries of the metadata have the name \(quoted(key))")
          }
          metadata[key] = text
        }
      } else {
        entries.append(try Self.entry(name, &scanner))
      }
    }
    guard scanner.isAtEnd else { throw scanner.error("something after the header's end") }
    self.metadata = metadata
    self.entries = entries
    var end = 0
    for entry in entries.sorted(by: { ($0.offset, $0.byteCount) < ($1.offset, $1.byteCount) }) {
      guard entry.offset == end else {
        throw ApusError(
          .file,
          "the bytes of \(quoted(entry.name)) begin at \(entry.offset), those before it end at \(end): "
            + "tensors must follow each other without \(entry.offset < end ? "overlap" : "gaps")")
      }
      end += entry.byteCount
    }
    dataLength = end
  }

  private static func entry(_ name: String, _ scanner: inout HeaderScanner) throws -> Entry {
    var dtypeName: String?
    var shape: [Int]?
    var offsets: [Int]?
    try scanner.object { scanner, key in
      switch key {
      case "dtype" where dtypeName == nil: dtypeName = try scanner.string()
      case "shape" where shape == nil: shape = try scanner.integers(limit: 64)
      case "data_offsets" where offsets == nil: offsets = try scanner.integers(limit: 2)
      default: throw ApusError(.file, "\(quoted(name)) has an unknown or repeated field \(quoted(key))")
      }
    }
    guard let dtypeName, let shape, let offsets, offsets.count == 2 else {
      throw ApusError(.file, "\(quoted(name)) needs a dtype, a shape and two data_offsets")
    }
    guard let dtype = DType(safetensors: dtypeName) else {
      throw ApusError(
        .unsupported,
        "\(quoted(name)) has the dtype \(quoted(dtypeName)); known are \(DType.safetensorsNames.joined(separator: ", "))"
      )
    }
    guard shape.count <= Shape.maximumRank else {
      throw ApusError(
        .unsupported, "\(quoted(name)) has \(shape.count) dimensions; up to \(Shape.maximumRank) are supported")
    }
    var elements = 1
    for size in shape where !shape.contains(0) {
      let (product, overflow) = elements.multipliedReportingOverflow(by: size)
      guard !overflow else { throw ApusError(.file, "\(quoted(name)) has more elements than can be counted: \(shape)") }
      elements = product
    }
    if shape.contains(0) { elements = 0 }
    guard let byteCount = dtype.byteCount(elements), offsets[0] <= offsets[1], offsets[1] - offsets[0] == byteCount
    else {
      throw ApusError(
        .file, "\(quoted(name)), \(dtypeName) of shape \(shape), does not fill the bytes \(offsets[0]) to \(offsets[1])"
      )
    }
    return Entry(name: name, type: TensorType(dtype, Shape(shape)), offset: offsets[0], byteCount: byteCount)
  }

  // MARK: Writing

  /// - Throws: `ApusError` (unsupported) for dtypes the format has no name for.
  init(_ tensors: [(name: String, type: TensorType)], metadata: NamedValues<String>) throws {
    self.metadata = metadata
    // Wider elements first: with a header of a multiple of 8 bytes every tensor is aligned.
    let order = tensors.sorted {
      ($1.type.dtype.bitWidth, ExactName($0.name)) < ($0.type.dtype.bitWidth, ExactName($1.name))
    }
    for (name, type) in order {
      guard type.dtype.safetensorsName != nil else {
        throw ApusError(.unsupported, "\(quoted(name)): safetensors files have no dtype \(type.dtype)")
      }
      guard name != "__metadata__" else { throw ApusError(.argument, "__metadata__ can't be a tensor's name") }
      let count = try type.byteCount()
      entries.append(Entry(name: name, type: type, offset: dataLength, byteCount: count))
      dataLength += count
    }
  }

  /// Length and header, padded so that the tensors' bytes begin at a multiple of 8.
  func encoded() throws -> [UInt8] {
    var fields: [String] = []
    if !metadata.isEmpty {
      let pairs = metadata.sorted { ExactName($0.key) < ExactName($1.key) }.map {
        "\(quoted($0.key)):\(quoted($0.value))"
      }
      fields.append("\"__metadata__\":{\(pairs.joined(separator: ","))}")
    }
    for entry in entries {
      let shape = entry.type.shape.map(String.init).joined(separator: ",")
      fields.append(
        "\(quoted(entry.name)):{\"dtype\":\"\(entry.type.dtype.safetensorsName ?? "")\",\"shape\":[\(shape)],"
          + "\"data_offsets\":[\(entry.offset),\(entry.offset + entry.byteCount)]}")
    }
    var text = Array("{\(fields.joined(separator: ","))}".utf8)
    while text.count % 8 != 0 { text.append(0x20) }
    guard text.count <= Self.maximumLength else {
      throw ApusError(
        .argument, "a header of \(text.count) bytes; a safetensors file has at most \(Self.maximumLength)")
    }
    return (0..<8).map { UInt8(truncatingIfNeeded: text.count >> (8 * $0)) } + text
  }
}

/// The text as a JSON string.
func quoted(_ text: String) -> String {
  var result = "\""
  for scalar in text.unicodeScalars {
    switch scalar {
    case "\"": result += "\\\""
    case "\\": result += "\\\\"
    case let c where c.value < 0x20:
      let hex = String(c.value, radix: 16)
      result += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
    default: result.unicodeScalars.append(scalar)
    }
  }
  return result + "\""
}

extension DType {
  private static let safetensorsTable: [(DType, String)] = [
    (.bool, "BOOL"), (.uint8, "U8"), (.int8, "I8"), (.int16, "I16"), (.uint16, "U16"), (.int32, "I32"),
    (.uint32, "U32"),
    (.int64, "I64"), (.uint64, "U64"), (.float16, "F16"), (.bfloat16, "BF16"), (.float32, "F32"), (.float64, "F64"),
    (.complex64, "C64"), (.float8e4m3fn, "F8_E4M3"), (.float8e5m2, "F8_E5M2"),
  ]
  static let safetensorsNames = safetensorsTable.map(\.1)

  var safetensorsName: String? { Self.safetensorsTable.first { $0.0 == self }?.1 }
  init?(safetensors name: String) {
    guard let entry = Self.safetensorsTable.first(where: { $0.1 == name }) else { return nil }
    self = entry.0
  }
}
