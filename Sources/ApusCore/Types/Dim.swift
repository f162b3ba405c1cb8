import Synchronization

/// One dimension of a shape: known, or symbolic (a named size such as `"batch"`, or arithmetic of such names).
///
/// Symbolic dimensions exist only while a function is traced and in the graph that results. Equal expressions are
/// equal values: sums and products are kept in a normal form and interned.
///
/// ```swift
/// let n: Dim = "batch"
/// n * 2 + n == n * 3      // true
/// ```
public struct Dim: Hashable, Sendable, BitwiseCopyable {
  /// ≥ 0: the size itself. < 0: −1 − index into the table of interned expressions.
  let raw: Int

  init(raw: Int) { self.raw = raw }

  /// A known size. A negative one is an error (shape): it traps, or is recorded by `checked` or a trace.
  public init(_ size: Int) {
    require(size >= 0, "a dimension can't be negative, and \(size) is", kind: .shape)
    raw = max(size, 0)
  }

  /// A named, symbolic size; equal names are equal sizes.
  public static func symbol(_ name: String) -> Dim { DimTable.shared.intern(DimExpression(atom: .symbol(name))) }

  /// The size when it is known.
  public var value: Int? { raw >= 0 ? raw : nil }
  /// Whether it is a number.
  public var isKnown: Bool { raw >= 0 }

  var expression: DimExpression { raw >= 0 ? DimExpression(constant: raw) : DimTable.shared[raw] }

  /// Names the expression depends on; none when it is known.
  public var symbols: Set<String> { raw >= 0 ? [] : expression.symbols }

  /// The size under an assignment of names; nil when a name is missing.
  ///
  /// ```swift
  /// let n: Dim = "n"
  /// (n * 2 + 1).resolved(["n": 4])      // 9
  /// ```
  public func resolved(_ sizes: [String: Int]) -> Int? { raw >= 0 ? raw : expression.evaluate(sizes) }

  /// The sum; of known sizes at most `Int.max`.
  public static func + (a: Dim, b: Dim) -> Dim {
    if a.raw >= 0, b.raw >= 0 { return Dim(raw: a.raw.saturatingPlus(b.raw)) }
    return DimTable.shared.intern(a.expression.adding(b.expression, scale: 1))
  }
  /// The difference. A negative number: error (shape).
  public static func - (a: Dim, b: Dim) -> Dim {
    if a.raw >= 0, b.raw >= 0 { return Dim(a.raw - b.raw) }
    return DimTable.shared.intern(a.expression.adding(b.expression, scale: -1))
  }
  /// The product; of known sizes at most `Int.max`.
  public static func * (a: Dim, b: Dim) -> Dim {
    if a.raw >= 0, b.raw >= 0 { return Dim(raw: a.raw.saturatingTimes(b.raw)) }
    return DimTable.shared.intern(a.expression.multiplied(b.expression))
  }
  /// Division rounded down; exact when every coefficient is divisible. By 0: error (argument).
  public static func / (a: Dim, b: Dim) -> Dim {
    require(b.raw != 0, "\(a) can't be divided by 0")
    if b.raw == 0 { return Dim(raw: 0) }
    if a.raw >= 0, b.raw > 0 { return Dim(raw: a.raw / b.raw) }
    return DimTable.shared.intern(a.expression.divided(by: b.expression))
  }
  /// The sum with a number, which may be negative.
  public static func + (a: Dim, b: Int) -> Dim {
    b >= 0 ? a + Dim(raw: b) : a - Dim(raw: 0.saturatingMinus(b))
  }
  /// The difference with a number.
  public static func - (a: Dim, b: Int) -> Dim { a + 0.saturatingMinus(b) }
  /// The product with a number ≥ 0.
  public static func * (a: Dim, b: Int) -> Dim { a * Dim(b) }
  /// Division by a number > 0, rounded down.
  public static func / (a: Dim, b: Int) -> Dim { a / Dim(b) }
}

extension Dim: ExpressibleByIntegerLiteral, ExpressibleByStringLiteral, CustomStringConvertible {
  /// A known size, `let n: Dim = 3`.
  public init(integerLiteral value: Int) { self.init(value) }
  /// A symbolic size, `let n: Dim = "batch"`.
  public init(stringLiteral value: String) { self = .symbol(value) }
  public var description: String { raw >= 0 ? "\(raw)" : expression.description }
}

extension Dim: Codable {
  /// Decodes a number or an expression.
  /// - Throws: `DecodingError` for a negative number.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    let expression =
      try (try? container.decode(Int.self)).map { DimExpression(constant: $0) } ?? container.decode(DimExpression.self)
    if let size = expression.constant, size < 0 {
      throw DecodingError.dataCorruptedError(in: container, debugDescription: "a dimension can't be negative: \(size)")
    }
    self = DimTable.shared.intern(expression)
  }
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    if raw >= 0 { try container.encode(raw) } else { try container.encode(expression) }
  }
}

/// A polynomial with integer coefficients over atoms: the normal form of a symbolic size.
struct DimExpression: Hashable, Codable, Sendable {
  indirect enum Atom: Hashable, Codable, Sendable, Comparable {
    case symbol(String)
    case quotient(DimExpression, DimExpression)

    static func < (a: Atom, b: Atom) -> Bool { a.key < b.key }
    var key: String {
      switch self {
      case .symbol(let name): name
      case .quotient(let a, let b): "(\(a)) / (\(b))"
      }
    }
  }
  struct Term: Hashable, Codable, Sendable {
    var factors: [Atom]  // sorted
    var coefficient: Int
    var key: String { factors.map(\.key).joined(separator: "*") }
  }

  /// Sorted by factors; no zero coefficients.
  private(set) var terms: [Term]

  init(atom: Atom) { terms = [Term(factors: [atom], coefficient: 1)] }
  init(constant: Int) { terms = constant == 0 ? [] : [Term(factors: [], coefficient: constant)] }
  private init(merging all: [Term]) {
    var merged: [[Atom]: Int] = [:]
    for term in all {
      merged[term.factors, default: 0] = merged[term.factors, default: 0].saturatingPlus(term.coefficient)
    }
    terms = merged.filter { $0.value != 0 }.map { Term(factors: $0.key, coefficient: $0.value) }
      .sorted { ($1.factors.count, $0.key) < ($0.factors.count, $1.key) }
  }

  var constant: Int? { terms.isEmpty ? 0 : terms.count == 1 && terms[0].factors.isEmpty ? terms[0].coefficient : nil }

  func adding(_ other: DimExpression, scale: Int) -> DimExpression {
    DimExpression(
      merging: terms
        + other.terms.map { Term(factors: $0.factors, coefficient: $0.coefficient.saturatingTimes(scale)) })
  }

  func multiplied(_ other: DimExpression) -> DimExpression {
    DimExpression(
      merging: terms.flatMap { a in
        other.terms.map {
          Term(factors: (a.factors + $0.factors).sorted(), coefficient: a.coefficient.saturatingTimes($0.coefficient))
        }
      })
  }

  func divided(by other: DimExpression) -> DimExpression {
    if let exact = exactQuotient(by: other) { return exact }
    return DimExpression(atom: .quotient(self, other))
  }

  /// Division by a single term when every term of ours has it as a factor.
  private func exactQuotient(by other: DimExpression) -> DimExpression? {
    guard other.terms.count == 1 else { return self == other ? DimExpression(constant: 1) : nil }
    let divisor = other.terms[0]
    var quotient: [Term] = []
    for var term in terms {
      let (remainder, overflow) = term.coefficient.remainderReportingOverflow(dividingBy: divisor.coefficient)
      guard remainder == 0, !overflow else { return nil }
      term.coefficient /= divisor.coefficient
      for factor in divisor.factors {
        guard let i = term.factors.firstIndex(of: factor) else { return nil }
        term.factors.remove(at: i)
      }
      quotient.append(term)
    }
    return DimExpression(merging: quotient)
  }

  var symbols: Set<String> {
    var names: Set<String> = []
    for term in terms {
      for factor in term.factors {
        switch factor {
        case .symbol(let name): names.insert(name)
        case .quotient(let a, let b): names.formUnion(a.symbols.union(b.symbols))
        }
      }
    }
    return names
  }

  /// nil when a name is missing, a divisor is not positive, or the result does not fit an `Int`.
  func evaluate(_ sizes: [String: Int]) -> Int? {
    var sum = 0
    for term in terms {
      var product = term.coefficient
      func multiply(by factor: Int) -> Bool {
        let (next, overflow) = product.multipliedReportingOverflow(by: factor)
        product = next
        return !overflow
      }
      for factor in term.factors {
        switch factor {
        case .symbol(let name):
          guard let size = sizes[name] else { return nil }
          guard multiply(by: size) else { return nil }
        case .quotient(let a, let b):
          guard let x = a.evaluate(sizes), let y = b.evaluate(sizes), y > 0 else { return nil }
          let (quotient, remainder) = x.quotientAndRemainder(dividingBy: y)
          guard multiply(by: remainder < 0 ? quotient - 1 : quotient) else { return nil }
        }
      }
      let (total, overflow) = sum.addingReportingOverflow(product)
      if overflow { return nil }
      sum = total
    }
    return sum
  }
}

extension DimExpression {
  private enum CodingKeys: String, CodingKey { case terms }

  /// Decodes terms in any order and brings them to the normal form.
  /// - Throws: `DecodingError` for a division by zero.
  init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    let terms = try container.decode([Term].self, forKey: .terms)
    for case .quotient(_, let divisor) in terms.lazy.flatMap(\.factors) where divisor.constant == 0 {
      throw DecodingError.dataCorruptedError(
        forKey: .terms, in: container, debugDescription: "a dimension can't be divided by 0")
    }
    self.init(merging: terms.map { Term(factors: $0.factors.sorted(), coefficient: $0.coefficient) })
  }
}

extension DimExpression: CustomStringConvertible {
  var description: String {
    if terms.isEmpty { return "0" }
    return terms.enumerated().map { i, term in
      let sign = term.coefficient < 0 ? (i == 0 ? "-" : " - ") : (i == 0 ? "" : " + ")
      let size = term.coefficient.magnitude
      return sign + (term.factors.isEmpty ? "\(size)" : size == 1 ? term.key : "\(size)*\(term.key)")
    }.joined()
  }
}

/// Interned expressions of the process. It only grows, by one entry for each distinct expression ever seen.
final class DimTable: Sendable {
  static let shared = DimTable()
  private struct State {
    var expressions: [DimExpression] = []
    var indices: [DimExpression: Int] = [:]
  }
  private let state = Mutex(State())

  func intern(_ expression: DimExpression) -> Dim {
    if let constant = expression.constant { return Dim(constant) }
    return state.withLock { state in
      if let i = state.indices[expression] { return Dim(raw: -1 - i) }
      state.expressions.append(expression)
      state.indices[expression] = state.expressions.count - 1
      return Dim(raw: -state.expressions.count)
    }
  }

  subscript(raw: Int) -> DimExpression { state.withLock { $0.expressions[-1 - raw] } }
}
