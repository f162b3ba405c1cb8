import ApusCore
import Synchronization

/// A child module that may be replaced: what `var` would be, for stored properties that are `let`.
///
/// ```swift
/// final class Classifier: Module {
///   let body = Linear(64, 512, activation: .relu)
///   let head = Slot(Linear(512, 10))
///   func forward(_ x: Tensor) -> Tensor { head(body(x)) }
/// }
/// let classifier = Classifier()
/// classifier.head.module = Linear(512, 3)      // a new task
/// ```
/// A compiled function that runs the child, a trainer's step too, is traced anew after it was replaced. An optimizer
/// keeps the parameters that it has: ``Optimizer/detach(_:)`` takes the old child's from it, ``Optimizer/attach(_:)`` gives
/// it the new one's. A trainer refuses to go on without those.
public final class Slot<Child: Sendable>: Sendable {
  private let child: Mutex<Child>

  /// - Parameter module: the first child.
  public init(_ module: Child) where Child: Module { child = Mutex(module) }

  /// A slot for any layer from a tensor to a tensor.
  public init(_ module: Child) where Child == any Layer { child = Mutex(module) }

  /// The child of the moment. Replaced inside a compiled function: error (trace), since its graph would not do so.
  public var module: Child {
    get {
      let module = child.withLock { $0 }
      if isTracing {
        // Not the slot's own reference: whoever replaced the child may have let it go, and its address be used again.
        let seen = Reference(module as AnyObject)
        traceHolds { [weak self] in self.map { $0.child.withLock { $0 } as AnyObject === seen.object } ?? false }
      }
      return module
    }
    set {
      require(
        !isTracing,
        "a slot's module can't be replaced inside a compiled function: do it before the call, or in outsideTrace { }",
        kind: .trace)
      if !isTracing { child.withLock { $0 = newValue } }
    }
  }
}

/// A weak reference; what it refers to is a module, and so may be looked at from any task.
final class Reference: @unchecked Sendable {
  weak var object: AnyObject?
  init(_ object: AnyObject) { self.object = object }
}

extension Slot where Child: Module {
  /// Runs the child.
  public func callAsFunction(_ input: Child.Input) -> Child.Output { module(input) }
}

extension Slot where Child == any Layer {
  /// Runs the child.
  public func callAsFunction(_ input: Tensor) -> Tensor { module(input) }
}

/// A slot whose child's type is not known.
protocol AnySlot: AnyObject {
  var anyModule: (any Module)? { get }
}
extension Slot: AnySlot {
  var anyModule: (any Module)? { module as? any Module }
}
