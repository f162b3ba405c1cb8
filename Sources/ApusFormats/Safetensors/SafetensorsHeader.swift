import ApusCore

/// The header of a safetensors file to be written: which tensors there are, and where. ``HeaderIndex`` reads one.
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
  /// So many entries of free text are read, and written: a dictionary of millions would take many times the header.
  static let maximumMetadata = 1 << 16

  /// In the header's order.
  private(set) var entries: [Entry] = []
  private let metadata: NamedValues<String>
  private var dataLength = 0

  /// - Throws: `ApusError` (unsupported) for dtypes the format has no name for, (argument) for names and metadata that it
  ///   can't hold.
  init(_ tensors: [(name: String, type: TensorType)], metadata: NamedValues<String>) throws {
    guard metadata.count <= Self.maximumMetadata else {
      throw ApusError(
        .argument, "\(metadata.count) entries of metadata; a file has at most \(Self.maximumMetadata)")
    }
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
  /// The format's names.
  static let safetensorsTable: [(DType, StaticString)] = [
    (.bool, "BOOL"), (.uint8, "U8"), (.int8, "I8"), (.int16, "I16"), (.uint16, "U16"), (.int32, "I32"),
    (.uint32, "U32"),
    (.int64, "I64"), (.uint64, "U64"), (.float16, "F16"), (.bfloat16, "BF16"), (.float32, "F32"), (.float64, "F64"),
    (.complex64, "C64"), (.float8e4m3fn, "F8_E4M3"), (.float8e5m2, "F8_E5M2"),
  ]

  var safetensorsName: String? { Self.safetensorsTable.first { $0.0 == self }.map { "\($0.1)" } }
}
