import CApus

/// Collects the first error of a `checked` block or a trace.
final class ErrorRecorder {
  private(set) var first: (any Error)?
  private var operations = 0
  let operationLimit: Int

  init(operationLimit: Int) { self.operationLimit = operationLimit }

  func record(_ error: any Error) {
    if first == nil { first = (error as? ApusError)?.from(.here()) ?? error }
  }

  /// Runs `body` with this recorder.
  /// - Throws: the first error recorded, or what `body` throws, with the place that the enclosing call told.
  func run<R>(_ body: () throws -> R) throws -> R {
    let result: R
    do {
      result = try body()
    } catch {
      throw first ?? (error as? ApusError)?.from(.enclosing(ExecutionContext.current?.place)) ?? error
    }
    if let first { throw first }
    return result
  }

  /// Runs `body` with a recorder of its own; `place` is where the user asked for that.
  static func checking<R>(
    at place: CallPlace?, operationLimit: Int = 100_000_000, _ body: () throws -> R
  ) throws -> R {
    let recorder = ErrorRecorder(operationLimit: operationLimit)
    return try ExecutionContext.with({
      $0.recorder = recorder
      $0.place = place ?? $0.place
    }) { try recorder.run(body) }
  }

  /// Ends loops that a failed condition keeps running: at the limit everything fails, and reads as NaN, 0 or false. A
  /// loop that goes on with those can't be left from here. As it would never end, the process does, with the first
  /// error.
  func countOperation() throws {
    operations += 1
    guard operations > operationLimit else { return }
    if operations - operationLimit > Swift.max(operationLimit, 1_000_000) {
      fatalError("a loop goes on after its operations failed: \(first.map { "\($0)" } ?? "operation limit")")
    }
    throw ApusError(.argument, "more than \(operationLimit) operations in one checked block")
  }
}

/// Runs tensor code so that a failing operation throws instead of ending the process.
///
/// The first failing operation is recorded with its operands and place and returns a poisoned tensor; what depends on
/// that is poisoned too, and host reads of it give NaN, 0 or false. At the end the first error is thrown.
///
/// ```swift
/// do {
///   let y = try checked { Tensor.ones([2, 3]).matmul(Tensor.ones([2, 3])) }
/// } catch {
///   print(error)   // matmul(float32[2, 3], float32[2, 3]): …
/// }
/// ```
/// - Parameters:
///   - operationLimit: operations after which the block fails, against runaway loops.
///   - file: the caller's file. An error names it where the failing line itself can't be found on the stack.
///   - line: the caller's line, named with the file.
///   - body: the code to run.
/// - Returns: what `body` returns.
/// - Throws: the first operation's ``ApusError``, or what `body` throws.
@inline(never)
public func checked<R>(
  operationLimit: Int = 100_000_000, file: StaticString = #fileID, line: UInt = #line, _ body: () throws -> R
) throws -> R {
  try ErrorRecorder.checking(
    at: CallPlace(file, line, mark: apus_stack_mark()), operationLimit: operationLimit, body)
}

/// Like `precondition`, for what makes sense to recover from: inside `checked` or a trace the error is recorded and the
/// caller goes on, so it must stay safe with what it got. Elsewhere the process ends with the same message.
@inline(__always)
package func require(
  _ condition: Bool, _ message: @autoclosure () -> String, kind: ApusError.Kind = .argument
) {
  if !condition { Dispatch.report(ApusError(kind, message())) }
}
