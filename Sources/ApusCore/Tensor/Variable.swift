import Synchronization

/// State that outlives one computation: parameters, running statistics, optimizer slots, random state.
///
/// Reading ``value`` gives an immutable tensor; assigning replaces it. Inside a trace nothing is assigned: the trace
/// keeps an overlay, and the compiled function reads and writes the variable each time it runs. Reading and
/// assigning are safe from any task.
/// ```swift
/// let steps = Buffer(Tensor(0))
/// steps.value += 1
/// steps.value            // 1
/// ```
public class Variable: @unchecked Sendable {
  private struct State {
    var value: Tensor?
    /// A compiled function has taken the value and will put the next one back.
    var isUpdating = false
    /// How many wait for it.
    var waiting = 0
  }
  private let state: Mutex<State>

  /// - Parameter value: nil for a variable whose shape is not known yet.
  public init(_ value: Tensor?) { state = Mutex(State(value: value?.detached())) }

  /// Whether it has been given a value.
  public var isInitialized: Bool { state.withLock { $0.value != nil || $0.isUpdating } }

  /// The current value, which is on no gradient tape: what is assigned is detached. One of another shape may be
  /// assigned.
  ///
  /// Inside `gradient(at:)` and `jvp` a value that depends on the point may be assigned and read again: until the end of
  /// the closure it keeps its place on the tape, so that derivatives flow through it. Outside they don't.
  ///
  /// Read before it has one: error (argument). The result of a failed operation is not assigned: error (argument).
  public var value: Tensor {
    get {
      let context = ExecutionContext.current
      if let value = context?.overlay?.value(of: self) { return value }
      if let trace = context?.trace { return trace.read(self) }
      guard let value = stored else {
        return Dispatch.fail(
          ApusError(.argument, "a variable was read before its shape is known: call the model once, or give its sizes"),
          type: TensorType(.float32, []))
      }
      return value
    }
    set {
      let context = ExecutionContext.current
      if context?.overlay?.assign(newValue, to: self) == true { return }
      if let trace = context?.trace {
        if newValue.isTracked { trace.writesTracked = true }
        trace.write(self, newValue.detached())
      } else if newValue.isPoisoned {
        // What the variable holds is kept: a failed step loses nothing.
        Dispatch.reporting {
          throw ApusError(
            .argument, "the new value is the result of a failed operation", operation: "a variable's value",
            operands: [newValue.type])
        }
      } else {
        stored = newValue.detached()
      }
    }
  }

  /// What is kept outside traces; waits while a compiled function is replacing it.
  var stored: Tensor? {
    get { whenIdle { $0.value } }
    set { whenIdle { $0.value = newValue } }
  }

  /// Puts the same value elsewhere, onto a device say, unless another was assigned meanwhile.
  func relocate(_ old: Storage, to new: Storage) {
    whenIdle { if $0.value?.storage === old { $0.value = Tensor(new) } }
  }

  /// Takes the value out for replacement, so that its memory may be reused. Readers wait for ``finishUpdate(_:)``.
  func beginUpdate() -> Tensor? {
    whenIdle { state in
      state.isUpdating = true
      let value = state.value
      state.value = nil
      return value
    }
  }

  /// Gives the next value, or the one from before.
  func finishUpdate(_ value: Tensor?) {
    let isAwaited = state.withLock { state in
      state.value = value
      state.isUpdating = false
      return state.waiting > 0
    }
    if isAwaited { Parking.wake(self) }
  }

  /// Runs `body` on the state once no compiled function has taken the value.
  private func whenIdle<R: Sendable>(_ body: (inout State) -> R) -> R {
    while true {
      let result = state.withLock { state -> R? in
        if !state.isUpdating { return body(&state) }
        state.waiting += 1
        return nil
      }
      if let result { return result }
      Parking.wait(for: self) { state.withLock { $0.isUpdating } }
      state.withLock { $0.waiting -= 1 }
    }
  }
}

/// A variable that training changes by its gradient.
///
/// ```swift
/// let weight = Parameter(Tensor.zeros([3]))
/// (weight.tensor * Tensor([1.0, 2, 3])).sum().backward()
/// weight.gradient            // [1, 2, 3]
/// ```
public final class Parameter: Variable, @unchecked Sendable {
  let slot = GradientSlot()
  private let leaf: TapeNode
  private let trainable: Atomic<Bool>

  /// - Parameter value: nil for a parameter whose shape is not known yet. Only floating-point ones get gradients.
  public override init(_ value: Tensor?) {
    leaf = TapeNode(leaf: slot)
    trainable = Atomic(true)
    super.init(value)
  }

  /// The value as a leaf of the gradient tape: what a model computes with. Frozen or not floating-point: the bare
  /// value.
  public var tensor: Tensor {
    // What stands for it, or was computed inside `gradient(at:)`, is no leaf: it has a place of its own on the tape.
    if let value = ExecutionContext.current?.overlay?.value(of: self) { return value }
    let value = value
    guard isTrainable, value.dtype.isFloatingPoint else { return value }
    return Tensor(value.storage, node: leaf)
  }

  /// The leaf that gradients are collected at; nil while it is frozen.
  var trackedLeaf: TapeNode? { isTrainable ? leaf : nil }

  /// The gradient `backward` accumulated, of the value's shape; nil before, and after an optimizer's `zeroGradients`.
  public var gradient: Tensor? {
    get { slot.gradient }
    set { slot.gradient = newValue }
  }

  /// Whether gradients are computed for it (`requires_grad`, Keras' `trainable`). A compiled function is traced anew
  /// when it changes.
  public var isTrainable: Bool {
    get {
      let value = trainable.load(ordering: .relaxed)
      ExecutionContext.current?.trace?.guardTrainable(value, owner: self)
      return value
    }
    set { trainable.store(newValue, ordering: .relaxed) }
  }
}

/// A variable that training changes otherwise: running statistics, counters.
public final class Buffer: Variable, @unchecked Sendable {}
