/// What a run of the conformance suite found.
public struct ConformanceReport: Sendable, CustomStringConvertible {
  /// A result that differs from the reference's, or an error where there should be none (or none where there should).
  public struct Failure: Sendable, CustomStringConvertible {
    /// The primitive or the graph.
    public var subject: String
    /// The operands' types and layouts, or the graph's sizes.
    public var operands: String
    /// How the result differs, or the error.
    public var message: String
    /// `subject(operands): message`.
    public var description: String { "\(subject)(\(operands)): \(message)" }
  }

  /// The engine's name.
  public var engine: String
  /// How many comparisons were made.
  public internal(set) var checks = 0
  /// Those that failed.
  public internal(set) var failures: [Failure] = []
  /// Primitives and dtypes that the engine refused as unsupported, each once.
  public internal(set) var unsupported: Set<String> = []

  /// Whether nothing failed. What the engine refused as unsupported does not count.
  public var passed: Bool { failures.isEmpty }

  /// A line of totals, up to three failures of each subject, and what was unsupported.
  public var description: String {
    var lines = ["\(engine): \(checks) checks, \(failures.count) failures, \(unsupported.count) unsupported"]
    // The first few of each subject say what is wrong with it.
    var shown: [String: Int] = [:]
    for failure in failures {
      shown[failure.subject, default: 0] += 1
      if shown[failure.subject, default: 0] <= 3 { lines.append("  \(failure)") }
    }
    lines += shown.filter { $0.value > 3 }.sorted { $0.key < $1.key }.map { "  \($0.key): \($0.value) failures in all" }
    lines += unsupported.sorted().map { "  unsupported: \($0)" }
    return lines.joined(separator: "\n")
  }

  mutating func check(_ subject: String, _ operands: @autoclosure () -> String, _ body: () throws -> String?) {
    checks += 1
    do {
      if let message = try body() {
        failures.append(Failure(subject: subject, operands: operands(), message: message))
      }
    } catch {
      failures.append(Failure(subject: subject, operands: operands(), message: "\(error)"))
    }
  }
}
