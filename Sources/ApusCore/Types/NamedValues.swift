/// A name as files and other languages see it: by its bytes.
///
/// Swift's `String` takes two spellings of "é" (one character, or "e" and an accent) for the same text; a file system, a
/// safetensors file and PyTorch tell them apart.
package struct ExactName: Hashable, Sendable {
  package let text: String

  package init(_ text: String) { self.text = text }

  package static func == (a: ExactName, b: ExactName) -> Bool { a.text.utf8.elementsEqual(b.text.utf8) }

  package func hash(into hasher: inout Hasher) {
    for byte in text.utf8 { hasher.combine(byte) }
    hasher.combine(UInt8(0xFF))
  }
}

extension ExactName: Comparable {
  /// In the bytes' order, in which no two names are equal.
  package static func < (a: ExactName, b: ExactName) -> Bool { a.text.utf8.lexicographicallyPrecedes(b.text.utf8) }
}

extension String {
  /// What follows a prefix that is there byte for byte; nil without it.
  package func dropping(exactPrefix prefix: String) -> String? {
    guard utf8.starts(with: prefix.utf8) else { return nil }
    return String(decoding: utf8.dropFirst(prefix.utf8.count), as: UTF8.self)
  }
}

/// Values under names, in a fixed order.
///
/// ```swift
/// var ages: NamedValues = ["Ada": 36, "Kurt": 71]
/// ages["Emmy"] = 53
/// ages.keys                               // ["Ada", "Kurt", "Emmy"]
/// ```
/// Names are told apart by their bytes, as in the files they come from: two that are equal only after Unicode
/// normalisation are two.
public struct NamedValues<Value> {
  /// The names in their order.
  public private(set) var keys: [String] = []
  private var values: [ExactName: Value] = [:]

  /// A collection without entries.
  public init() {}

  /// A collection of pairs, in their order; of two with the same name the later one counts.
  public init(_ entries: some Sequence<(String, Value)>) {
    for (key, value) in entries { self[key] = value }
  }

  /// How many entries there are.
  public var count: Int { keys.count }
  /// Whether there are none.
  public var isEmpty: Bool { keys.isEmpty }

  /// The value of that name, nil when there is none. A new key goes to the end; setting nil removes the entry.
  public subscript(key: String) -> Value? {
    get { values[ExactName(key)] }
    set {
      let name = ExactName(key)
      let known = values[name] != nil
      values[name] = newValue
      if newValue == nil {
        keys.removeAll { ExactName($0) == name }
      } else if !known {
        keys.append(key)
      }
    }
  }

  /// The entries whose keys begin with `prefix`, without it.
  public func entries(under prefix: String) -> NamedValues {
    NamedValues(lazy.compactMap { key, value in key.dropping(exactPrefix: prefix).map { ($0, value) } })
  }
}

extension NamedValues: Sendable where Value: Sendable {}

extension NamedValues: Equatable where Value: Equatable {
  /// Whether names and values are the same, in whatever order.
  public static func == (a: NamedValues, b: NamedValues) -> Bool { a.values == b.values }
}

extension NamedValues: Sequence, ExpressibleByDictionaryLiteral {
  public init(dictionaryLiteral elements: (String, Value)...) { self.init(elements) }

  public func makeIterator() -> some IteratorProtocol<(key: String, value: Value)> {
    keys.lazy.compactMap { key in values[ExactName(key)].map { (key: key, value: $0) } }.makeIterator()
  }
}
