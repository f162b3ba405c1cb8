/// What went wrong in an operation: which one, on what, and what would have fit.
///
/// Operators trap with ``description``; `checked`, traces, import and serving throw the same value instead.
public struct ApusError: Error, Sendable {
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
    /// A run that was cancelled, or passed its deadline.
    case cancelled
  }

  /// What kind of thing went wrong.
  public var kind: Kind
  /// What is wrong and what would have fit, in words.
  public var message: String
  /// The operation, `add` or `convolution`.
  public var operation: String?
  /// Its operands' types, `float32[32, 10]`.
  public var operands: [String]
  /// `file:line` of the user's call where it is known. An error carries addresses of the stack; they are looked up when
  /// this is first read, which may take a second in a large program, and kept.
  public var location: String? {
    get { givenLocation ?? origin?.location }
    set { (givenLocation, origin) = (newValue, newValue == nil ? nil : origin) }
  }
  /// The module whose forward pass it happened in, `encoder.0 (Linear)`; nil outside of all.
  public var module: String? {
    get { givenModule ?? origin?.module }
    set { givenModule = newValue }
  }
  private var givenLocation: String?
  private var givenModule: String?
  /// Where it happened, before anybody asked.
  private(set) var origin: CallSite?

  /// An error; `operands` are kept as text.
  public init(
    _ kind: Kind, _ message: String, operation: String? = nil, operands: [TensorType] = [], location: String? = nil
  ) {
    self.kind = kind
    self.message = message
    self.operation = operation
    self.operands = operands.map(\.description)
    givenLocation = location
  }

  func at(_ operation: String, _ operands: [TensorType]) -> ApusError {
    var copy = self
    if copy.operation == nil {
      copy.operation = operation
      copy.operands = operands.map(\.description)
    }
    return copy
  }

  /// The error with the place where it happened, if it has none yet.
  func from(_ site: @autoclosure () -> CallSite?) -> ApusError {
    guard origin == nil, givenLocation == nil else { return self }
    var copy = self
    copy.origin = site()?.held
    return copy
  }

  /// The error of a graph that runs, perhaps on another thread, as what the running task knows it.
  var inTask: ApusError {
    var copy = self
    copy.origin = origin?.held
    return copy
  }
}

extension ApusError: Hashable {
  /// Whether they say the same: kind, message, operation, operands and place.
  public static func == (a: ApusError, b: ApusError) -> Bool {
    guard a.kind == b.kind, a.message == b.message, a.operation == b.operation, a.operands == b.operands else {
      return false
    }
    if a.origin === b.origin { return a.givenLocation == b.givenLocation && a.givenModule == b.givenModule }
    return a.location == b.location && a.module == b.module
  }
  public func hash(into hasher: inout Hasher) {
    hasher.combine(kind)
    hasher.combine(message)
    hasher.combine(operation)
    hasher.combine(operands)
  }
}

extension ApusError: CustomStringConvertible {
  /// `module: operation(operands): message [location]`, without what is not known.
  public var description: String {
    var text = ""
    // What a layer says of itself begins with its name.
    if let module, !message.hasPrefix(module) { text = "\(module): " }
    if let operation { text += "\(operation)(\(operands.joined(separator: ", "))): " }
    text += message
    if let location { text += " [\(location)]" }
    return text
  }
}
