import ApusCore
import Synchronization

/// Runs the creation of a layer's inferred parameters once, whichever thread calls the layer first.
final class Building: Sendable {
  private let isDone = Atomic(false)
  private let lock = Mutex(())

  /// - Parameter body: returns false when the input does not tell the sizes; it is asked again at the next call.
  @inline(__always)
  func once(_ body: () -> Bool) {
    if isDone.load(ordering: .acquiring) { return }
    run(body)
  }

  private func run(_ body: () -> Bool) {
    lock.withLock { _ in
      if !isDone.load(ordering: .relaxed), body() { isDone.store(true, ordering: .releasing) }
    }
  }
}

/// A layer that can take sizes from its first input. What it makes then has this dtype.
protocol SizeInferring: Module {
  var dtype: DType { get }
}

extension Parameter {
  /// A parameter of a known or a still unknown shape.
  convenience init(_ shape: Shape?, _ initializer: Initializer, dtype: DType) {
    self.init(shape.map { initializer($0, dtype: dtype) })
  }

  /// Gives it its first value unless it has one (loaded weights).
  func build(_ shape: Shape, _ initializer: Initializer, dtype: DType) {
    if !isInitialized { initialize(initializer(shape, dtype: dtype)) }
  }
}
