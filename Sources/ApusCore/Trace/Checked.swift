import Runtime

/// Collects the first error of a `checked` block or a trace.
final class ErrorRecorder {
  private(set) var first: (any Error)?
  private var operations = 0
  let operationLimit: Int
  private let location: String

  init(operationLimit: Int, location: String) {
    self.operationLimit = operationLimit
    self.location = location
  }

  func record(_ error: any Error) {
    if first == nil { first = UserFrame.locating(error, otherwise: location) }
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
public func checked<R>(
  operationLimit: Int = 100_000_000, file: StaticString = #fileID, line: UInt = #line, _ body: () throws -> R
) throws -> R {
  let recorder = ErrorRecorder(operationLimit: operationLimit, location: "\(file):\(line)")
  let result = try ExecutionContext.with({ $0.recorder = recorder }) { () throws -> R in
    do {
      return try body()
    } catch {
      throw recorder.first ?? error
    }
  }
  if let error = recorder.first { throw error }
  return result
}

/// Like `precondition`, for what makes sense to recover from: inside `checked` or a trace the error is recorded and the
/// caller goes on, so it must stay safe with what it got. Elsewhere the process ends with the same message.
@inline(__always)
package func require(
  _ condition: Bool, _ message: @autoclosure () -> String, kind: ApusError.Kind = .argument
) {
  if !condition { Dispatch.report(ApusError(kind, message())) }
}

/// Finds the user's line on the stack: the first frame outside this library. Only errors pay for it.
enum UserFrame {
  /// Paths of inlined frames are relative to the package, others are not.
  private static let rooms = [
    "ApusCore", "ApusCPU", "ApusNN", "ApusData", "ApusFiles", "ApusTrain", "ApusFormats", "ApusWatch",
    "ApusConformance", "ApusCommand",
  ].map { "Sources/\($0)/" }

  /// The error with the place where it happened, if it has none yet.
  static func locating(_ error: any Error, otherwise: String? = nil) -> any Error {
    guard var error = error as? ApusError, error.location == nil else { return error }
    error.location = location() ?? otherwise
    return error
  }

  private static func location() -> String? {
    guard let stack = try? Backtrace.capture(limit: 48).symbolicated() else { return nil }
    for frame in stack.frames {
      guard let symbol = frame.symbol, let source = symbol.sourceLocation else { continue }
      if rooms.contains(where: source.path.contains) || source.path.contains("<compiler")
        || source.path.contains("swift-generated-sources")
      {
        continue
      }
      let name = source.path.split(separator: "/").suffix(2).joined(separator: "/")
      if source.line > 0 { return "\(name):\(source.line)" }
    }
    return nil
  }
}
