import ApusCore

/// A layer or a model: parameters, buffers and other modules, and a function of its input.
///
/// A module is a class whose stored properties are `let`: `Parameter`, `Buffer`, `Mode`, `Generator`, modules,
/// optionals, arrays and dictionaries of them, and ``Slot`` for a child that may be replaced. It implements ``forward(_:)`` and is
/// called like a function; the call names the operations in graphs, creates inferred parameters and runs hooks.
///
/// ```swift
/// final class Perceptron: Module {
///   let hidden = Linear(64, 32)
///   let output = Linear(32, 10)
///   func forward(_ x: Tensor) -> Tensor { output(hidden(x).relu()) }
/// }
/// let logits = Perceptron()(Tensor.ones([1, 64]))     // float32[1, 10]
/// ```
/// Names of parameters are the properties' names in snake case, joined with dots: `hidden.weight`, and
/// `running_mean` for `let runningMean`, `layers.0.weight` in an array, `by_name.left.weight` in a dictionary. They are the
/// keys of ``stateDictionary()``, and PyTorch's where the structure
/// is the same. In a tuple, a structure or an enumeration a module is not found: an error says so.
///
/// An input and parameters of different dtypes meet in the larger one, as operands of `+` do: a float64 input makes a
/// float32 layer's output float64, and the parameters and running statistics stay float32.
public protocol Module<Input, Output>: AnyObject, Sendable {
  /// What the module takes; more than one input is a tuple.
  associatedtype Input = Tensor
  /// What the module returns.
  associatedtype Output = Tensor

  /// The module's function. Call the module, not this.
  func forward(_ input: Input) -> Output

  /// Creates what depends on the input's size. Called before every ``forward(_:)``; the default does nothing.
  func build(for input: Input)

  /// The stored parameters, buffers, modes and modules with their names. The default reads the stored properties.
  func members() -> [ModuleMember]
}

/// A module from one tensor to one tensor: what a ``Sequential`` is made of.
public typealias Layer = Module<Tensor, Tensor>

extension Module {
  public func build(for input: Input) {}

  /// Runs the module: ``build(for:)``, ``forward(_:)``, hooks. An input that does not fit is an error that names the
  /// layer.
  public func callAsFunction(_ input: Input) -> Output {
    ModuleCalls.push(self)
    defer { ModuleCalls.pop() }
    build(for: input)
    if ForwardHooks.areInUse { return ForwardHooks.run(self, input) }
    if ModuleCalls.isOutermost { return forward(input) }
    return withScope(ModuleCalls.innermostName) { forward(input) }
  }

  /// Runs a module of two inputs, `func forward(_ input: (Tensor, Tensor)) -> Tensor`.
  public func callAsFunction<A, B>(_ a: A, _ b: B) -> Output where Input == (A, B) { self((a, b)) }

  /// Runs a module of three inputs.
  public func callAsFunction<A, B, C>(_ a: A, _ b: B, _ c: C) -> Output where Input == (A, B, C) { self((a, b, c)) }
}

// MARK: Training mode

extension Module {
  /// Puts this module and all it contains into training mode: dropout drops, batch norm uses the batch's statistics.
  /// Modules begin in it. A compiled function that reads the mode has a graph for each.
  public func train() { setMode(training: true) }

  /// Puts this module and all it contains into inference mode (`eval`, Keras' `training=False`). It does not switch
  /// gradients off: `withoutGradients` does.
  public func eval() { setMode(training: false) }

  private func setMode(training: Bool) {
    for (_, member) in allMembers() {
      if case .mode(let mode) = member { mode.value = training }
    }
  }

  /// The modes of this module and all it contains, to be restored later.
  ///
  /// ```swift
  /// let modes = model.modes
  /// defer { modes.restore() }
  /// model.eval()
  /// ```
  public var modes: SavedModes {
    let modes = allMembers().compactMap { _, kind in if case .mode(let mode) = kind { mode } else { nil } }
    return SavedModes(modes: modes.map { ($0, $0.value) })
  }
}

/// Training modes of modules at one moment.
public struct SavedModes: Sendable {
  fileprivate let modes: [(mode: Mode, value: Bool)]

  /// Whether all are in training mode.
  public var areTraining: Bool { modes.allSatisfy(\.value) }

  /// Puts each module back into the mode it was in.
  public func restore() { for (mode, value) in modes { mode.value = value } }
}
