import ApusCore

/// Reads the JSON of a safetensors header: objects, strings and whole numbers, strictly, and nothing else.
///
/// It knows the grammar of RFC 8259 for those; duplicate keys, which a general parser would merge, are found by the
/// callers, who see every key. Strings stay where they are, decoded in place, which never makes them longer: a header
/// of 100 MB may have millions.
struct HeaderScanner {
  /// A string's bytes in ``bytes``: UTF-8, without quotes and escapes.
  struct Text {
    var start: UInt32
    var count: UInt32

    init(_ range: Range<Int>) {
      (start, count) = (UInt32(truncatingIfNeeded: range.lowerBound), UInt32(truncatingIfNeeded: range.count))
    }

    var range: Range<Int> { Int(start)..<Int(start) + Int(count) }
  }

  /// The header, in which escapes of strings passed are decoded.
  private(set) var bytes: [UInt8]
  private(set) var position: Int

  /// - Parameters:
  ///   - bytes: fewer than 2³².
  ///   - position: where to begin.
  init(_ bytes: [UInt8], at position: Int = 0) {
    self.bytes = bytes
    self.position = position
  }

  /// Nothing but white space is left.
  var isAtEnd: Bool {
    mutating get {
      skipSpace()
      return position == bytes.count
    }
  }

  /// `{ "key": …, … }`: calls `body` at every value with its key.
  mutating func object(_ body: (inout HeaderScanner, Text) throws -> Void) throws {
    try expect("{")
    if accept("}") { return }
    repeat {
      let key = try string()
      try expect(":")
      try body(&self, key)
    } while accept(",")
    try expect("}")
  }

  /// `[1, 2, …]` of at most `limit` numbers.
  mutating func integers(limit: Int) throws -> [Int] {
    try expect("[")
    var values: [Int] = []
    if accept("]") { return values }
    repeat {
      guard values.count < limit else { throw error("more than \(limit) numbers in a list") }
      values.append(try integer())
    } while accept(",")
    try expect("]")
    return values
  }

  private mutating func integer() throws -> Int {
    skipSpace()
    let start = position
    var value = 0
    while position < bytes.count, case let digit = bytes[position], digit >= 0x30 && digit <= 0x39 {
      let (tens, overflow) = value.multipliedReportingOverflow(by: 10)
      let (next, carry) = tens.addingReportingOverflow(Int(digit - 0x30))
      guard !overflow && !carry else { throw error("a number that is too large") }
      value = next
      position += 1
    }
    let length = position - start
    guard length > 0, length == 1 || bytes[start] != 0x30 else { throw error("a whole number was expected") }
    return value
  }

  func string(_ text: Text) -> String { String(decoding: bytes[text.range], as: UTF8.self) }

  /// A string for an error's message: its beginning, in quotes.
  func shown(_ text: Text) -> String {
    let limit = 200
    return quoted(String(decoding: bytes[text.range.prefix(limit)], as: UTF8.self) + (text.count > limit ? "…" : ""))
  }

  /// Whether a string is that one, byte for byte.
  func equals(_ text: Text, _ other: StaticString) -> Bool {
    other.withUTF8Buffer { $0.elementsEqual(bytes[text.range]) }
  }

  mutating func string() throws -> Text {
    try expect("\"")
    let start = position
    var end = start
    while position < bytes.count {
      let byte = bytes[position]
      position += 1
      switch byte {
      case UInt8(ascii: "\""):
        guard isUTF8(start..<end) else { throw error("a string that is not UTF-8") }
        return Text(start..<end)
      case UInt8(ascii: "\\"):
        for decoded in try escape() {
          bytes[end] = decoded
          end += 1
        }
      case 0..<0x20: throw error("a control character in a string")
      default:
        if end != position - 1 { bytes[end] = byte }
        end += 1
      }
    }
    throw error("a string without an end")
  }

  private func isUTF8(_ range: Range<Int>) -> Bool {
    if bytes[range].allSatisfy({ $0 < 0x80 }) { return true }
    return String(validating: bytes[range], as: UTF8.self) != nil
  }

  private mutating func escape() throws -> [UInt8] {
    guard position < bytes.count else { throw error("a string without an end") }
    let byte = bytes[position]
    position += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return [byte]
    case UInt8(ascii: "b"): return [0x08]
    case UInt8(ascii: "f"): return [0x0C]
    case UInt8(ascii: "n"): return [0x0A]
    case UInt8(ascii: "r"): return [0x0D]
    case UInt8(ascii: "t"): return [0x09]
    case UInt8(ascii: "u"):
      let unit = try hexUnit()
      var code = UInt32(unit)
      if unit >= 0xD800 && unit < 0xDC00, bytes[position...].starts(with: Array("\\u".utf8)) {
        position += 2
        let low = try hexUnit()
        guard low >= 0xDC00 && low < 0xE000 else { throw error("half of a surrogate pair") }
        code = 0x10000 + (UInt32(unit) - 0xD800) << 10 + (UInt32(low) - 0xDC00)
      }
      guard let scalar = Unicode.Scalar(code) else { throw error("half of a surrogate pair") }
      return Array(UTF8.encode(scalar) ?? .init())
    default: throw error("an unknown escape in a string")
    }
  }

  private mutating func hexUnit() throws -> UInt16 {
    guard position + 4 <= bytes.count, let text = String(validating: bytes[position..<position + 4], as: UTF8.self),
      text.utf8.allSatisfy({ $0 != UInt8(ascii: "+") && $0 != UInt8(ascii: "-") }), let unit = UInt16(text, radix: 16)
    else { throw error("four hexadecimal digits were expected") }
    position += 4
    return unit
  }

  private mutating func accept(_ character: Unicode.Scalar) -> Bool {
    skipSpace()
    guard position < bytes.count, bytes[position] == UInt8(ascii: character) else { return false }
    position += 1
    return true
  }

  private mutating func expect(_ character: Unicode.Scalar) throws {
    guard accept(character) else { throw error("'\(character)' was expected") }
  }

  private mutating func skipSpace() {
    while position < bytes.count {
      switch bytes[position] {
      case 0x20, 0x09, 0x0A, 0x0D: position += 1
      default: return
      }
    }
  }

  func error(_ what: String) -> ApusError { ApusError(.file, "\(what) at byte \(position) of the header") }
}
