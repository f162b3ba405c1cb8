/// What went wrong in an operation: which one, on what, and what would have fit.
///
/// Operators trap with ``description``; `checked`, traces, import and serving throw the same value instead.
public struct ApusError: Error, Hashable, Sendable {
  /// What kind of thing went wrong: what a handler may decide by.
  public enum Kind: Hashable, Sendable {
    /// Shapes that do not fit each other or the operation.
    case shape
    /// A dtype the operation is not defined on.
    case dtype
    /// An argument outside its range (an axis, an index, a probability).
    case argument
    /// Memory could not be had.
    case memory
    /// A gradient was asked for where there is none.
    case gradient
    /// A symbolic tensor outside its trace, or a trace that went wrong.
    case trace
    /// A file that is missing, damaged or of the wrong kind.
    case file
    /// Something this engine cannot do.
    case unsupported
  }

  /// What kind of thing went wrong.
  public var kind: Kind
  /// What is wrong and what would have fit, in words.
  public var message: String
  /// The operation, `add` or `convolution`.
  public var operation: String?
  /// Its operands' types, `float32[32, 10]`.
  public var operands: [String]
  /// `file:line` of the user's call where it is known.
  public var location: String?

  /// An error; `operands` are kept as text.
  public init(
    _ kind: Kind, _ message: String, operation: String? = nil, operands: [TensorType] = [], location: String? = nil
  ) {
    self.kind = kind
    self.message = message
    self.operation = operation
    self.operands = operands.map(\.description)
    self.location = location
  }

  func at(_ operation: String, _ operands: [TensorType]) -> ApusError {
    var copy = self
    if copy.operation == nil {
      copy.operation = operation
      copy.operands = operands.map(\.description)
    }
    return copy
  }
}

extension ApusError: CustomStringConvertible {
  /// `operation(operands): message [location]`, without what is not known.
  public var description: String {
    var text = ""
    if let operation { text = "\(operation)(\(operands.joined(separator: ", "))): " }
    text += message
    if let location { text += " [\(location)]" }
    return text
  }
}
