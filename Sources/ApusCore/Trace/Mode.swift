import Synchronization

/// A flag that may change between runs of a compiled function, as a module's training mode: reading it in a trace makes
/// the graph valid for that value only.
public final class Mode: Sendable {
  private let flag: Atomic<Bool>
  /// A flag and its first value.
  public init(_ value: Bool) { flag = Atomic(value) }

  /// The flag now. Read inside a trace, it makes the graph valid for this value only.
  public var value: Bool {
    get {
      let value = flag.load(ordering: .relaxed)
      if let trace = ExecutionContext.current?.trace {
        trace.addGuard { [self] in flag.load(ordering: .relaxed) == value }
      }
      return value
    }
    set { flag.store(newValue, ordering: .relaxed) }
  }
}
