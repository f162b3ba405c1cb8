/// Runs `body` outside the current trace: what it computes is computed now. Layers whose sizes are inferred make their
/// parameters so. Without a trace it just runs `body`.
public func outsideTrace<R>(_ body: () throws -> R) rethrows -> R {
  guard ExecutionContext.current?.trace != nil else { return try body() }
  return try ExecutionContext.with({ $0.trace = nil }, body)
}

/// Whether what runs now is recorded for a compiled function.
package var isTracing: Bool { ExecutionContext.current?.trace != nil }

/// Says that the graph being traced stands for its function only while `condition` holds: for Swift state that is read
/// in it. Without a trace nothing.
package func traceHolds(while condition: @escaping @Sendable () -> Bool) {
  ExecutionContext.current?.trace?.addGuard(condition)
}

extension Variable {
  /// Whether the function being traced has assigned it: its value then is not the one it has outside.
  package var isWrittenInTrace: Bool { ExecutionContext.current?.trace?.hasWritten(self) == true }
}

/// Names the operations of `body` in graphs and pictures; nested names are joined with dots. Free when not tracing.
///
/// ```swift
/// withScope("encoder") { withScope("attention") { x.matmul(y) } }      // encoder.attention
/// ```
@inline(__always)
public func withScope<R>(_ name: @autoclosure () -> String, _ body: () throws -> R) rethrows -> R {
  guard let trace = ExecutionContext.current?.trace else { return try body() }
  trace.pushScope(name())
  defer { trace.popScope() }
  return try body()
}

/// What a trace remembers for the rooms above: names, and what is worth finding once.
package enum TraceNotes {
  /// Says what variables are called in the program that is being traced; `make` is called once a trace for `owner`.
  package static func nameVariables(by owner: AnyObject, _ make: () -> [(name: String, variable: Variable)]) {
    ExecutionContext.current?.trace?.name(by: owner, make)
  }

  /// What `make` gives: inside a trace made once for `object`, elsewhere each time.
  package static func once<T: Sendable>(for object: AnyObject, _ make: () -> T) -> T {
    ExecutionContext.current?.trace?.note(object, make) ?? make()
  }
}
