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
/// Replacing it does not change graphs captured before: compile again afterwards.
public final class Slot<Child: Sendable>: Sendable {
  private let child: Mutex<Child>

  /// - Parameter module: the first child.
  public init(_ module: Child) where Child: Module { child = Mutex(module) }

  /// A slot for any layer from a tensor to a tensor.
  public init(_ module: Child) where Child == any Layer { child = Mutex(module) }

  /// The child of the moment.
  public var module: Child {
    get { child.withLock { $0 } }
    set { child.withLock { $0 = newValue } }
  }
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
