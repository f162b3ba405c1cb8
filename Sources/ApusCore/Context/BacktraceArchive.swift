import Runtime

/// Return addresses as a `Backtrace`: its module takes them in from an archive only, in the Compact Backtrace Format
/// (https://github.com/swiftlang/swift/blob/main/docs/CompactBacktraceFormat.md).
struct BacktraceArchive {
  private let fields: [String: String]

  init(returnAddresses: [UInt]) {
    // The word size, then for each frame: a return address, absolute, of eight bytes, the highest first; the end.
    var bytes: [UInt8] = [0x02]
    for address in returnAddresses {
      bytes.append(0x2F)
      for shift in stride(from: 56, through: 0, by: -8) {
        bytes.append(UInt8(truncatingIfNeeded: address >> UInt(shift)))
      }
    }
    bytes.append(0x00)
    fields = ["backtrace": Self.base64(bytes), "architecture": Self.architecture]
  }

  func opened() -> Backtrace? { try? Backtrace(from: Reader(fields: fields)) }

  private static var architecture: String {
    #if arch(x86_64)
      "x86_64"
    #elseif arch(arm64)
      "arm64"
    #else
      "unknown"
    #endif
  }

  private static func base64(_ bytes: [UInt8]) -> String {
    let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
    var text = ""
    for start in stride(from: 0, to: bytes.count, by: 3) {
      let part = bytes[start..<min(start + 3, bytes.count)]
      let bits = part.reduce(UInt32(0)) { $0 << 8 | UInt32($1) } << UInt32(8 * (3 - part.count))
      for digit in 0...part.count { text.append(digits[Int(bits >> UInt32(18 - 6 * digit) & 63)]) }
    }
    return text
  }

  /// A decoder of these few strings.
  private struct Reader: Decoder {
    let fields: [String: String]
    var codingPath: [any CodingKey] { [] }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
      KeyedDecodingContainer(Container(fields: fields))
    }
    func unkeyedContainer() throws -> any UnkeyedDecodingContainer { throw Self.other }
    func singleValueContainer() throws -> any SingleValueDecodingContainer { throw Self.other }

    static let other = DecodingError.dataCorrupted(.init(codingPath: [], debugDescription: "only strings are kept"))
  }

  private struct Container<Key: CodingKey>: KeyedDecodingContainerProtocol {
    let fields: [String: String]
    var codingPath: [any CodingKey] { [] }
    var allKeys: [Key] { fields.keys.compactMap { Key(stringValue: $0) } }

    func contains(_ key: Key) -> Bool { fields[key.stringValue] != nil }
    func decodeNil(forKey key: Key) throws -> Bool { !contains(key) }
    func decode<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T {
      guard let value = fields[key.stringValue] as? T else { throw Reader.other }
      return value
    }
    func nestedContainer<Other: CodingKey>(keyedBy type: Other.Type, forKey key: Key) throws -> KeyedDecodingContainer<
      Other
    > {
      throw Reader.other
    }
    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer { throw Reader.other }
    func superDecoder() throws -> any Decoder { throw Reader.other }
    func superDecoder(forKey key: Key) throws -> any Decoder { throw Reader.other }
  }
}
