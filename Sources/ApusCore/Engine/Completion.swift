import Synchronization

/// Something that ends once, on whatever thread, well or with an error; any number of others wait for it.
///
/// ```swift
/// let computed = Completion()
/// queue.async { computed.finish(Result { try kernel.run() }) }
/// try await computed.ready()
/// ```
public final class Completion: Sendable {
  private struct State {
    var result: Result<Void, any Error>?
    /// Tasks that wait.
    var waiting: [CheckedContinuation<Void, any Error>] = []
  }
  private let state = Mutex(State())

  /// Not ended yet.
  public init() {}

  /// Ended well.
  public static let done: Completion = {
    let done = Completion()
    done.finish()
    return done
  }()

  /// Whether it has ended, well or not.
  public var isFinished: Bool { state.withLock { $0.result != nil } }

  /// Ends it. All but the first call do nothing.
  public func finish(_ result: Result<Void, any Error> = .success(())) {
    let waiting = state.withLock { state in
      if state.result != nil { return [CheckedContinuation<Void, any Error>]() }
      state.result = result
      defer { state.waiting = [] }
      return state.waiting
    }
    Parking.wake(self)
    for task in waiting { task.resume(with: result) }
  }

  /// Waits for the end, holding the thread.
  /// - Throws: what it ended with.
  public func wait() throws {
    if let result = state.withLock({ $0.result }) { return try result.get() }
    Parking.wait(for: self) { state.withLock { $0.result == nil } }
    try state.withLock { $0.result }?.get()
  }

  /// Waits for the end; the thread does something else meanwhile.
  /// - Throws: what it ended with.
  public func ready() async throws {
    try await withCheckedThrowingContinuation { continuation in
      let result = state.withLock { state in
        if state.result == nil { state.waiting.append(continuation) }
        return state.result
      }
      if let result { continuation.resume(with: result) }
    }
  }
}
