import ApusCore
import Synchronization

/// Changes parameters by their gradients.
///
/// ```swift
/// let optimizer = Adam(model.parameters, learningRate: 1e-3)
/// optimizer.zeroGradients()
/// crossEntropy(model(images), labels).backward()
/// optimizer.step()
/// ```
/// The learning rate, the number of steps and the optimizer's memory of each parameter are variables, so a compiled
/// step reads and writes them each time it runs. An own optimizer conforms to the protocol, keeps an ``OptimizerState``
/// and says in ``update(_:gradient:slots:step:)`` how one parameter changes.
public protocol Optimizer: AnyObject, Sendable {
  /// Numbers that are the same for all parameters in one step.
  associatedtype StepValues

  /// Its parameters, learning rate, step count and slots.
  var state: OptimizerState { get }

  /// Names of the tensors remembered for every parameter, zeros at first: `["momentum_buffer"]`.
  var slotNames: [String] { get }

  /// Whether eager steps may run as one compiled function, which reads and writes every tensor once. Only where
  /// ``prepare(step:learningRate:)`` and ``update(_:gradient:slots:step:)`` are plain formulas of their arguments and of
  /// constants: other Swift state would be read once and not again. Otherwise false, the default.
  var isFused: Bool { get }

  /// Prepares what all parameters need, once a step.
  /// - Parameters:
  ///   - step: the number of this step, from 1; a float64 scalar.
  ///   - learningRate: a float64 scalar.
  func prepare(step: Tensor, learningRate: Tensor) -> StepValues

  /// The parameter's next value.
  /// - Parameters:
  ///   - value: before the step.
  ///   - gradient: of the same dtype and shape.
  ///   - slots: the remembered tensors in the order of ``slotNames``, to be replaced by the next ones.
  ///   - step: what ``prepare(step:learningRate:)`` returned for this step.
  func update(_ value: Tensor, gradient: Tensor, slots: inout [Tensor], step: StepValues) -> Tensor
}

extension Optimizer {
  public var isFused: Bool { false }

  /// The step size. Setting it does not trace anything anew.
  public var learningRate: Double {
    get { outsideTrace { state.learningRate.value.item() } }
    set {
      guard OptimizerState.check(learningRate: newValue) else { return }
      outsideTrace { state.learningRate.value = Tensor(newValue, dtype: .float64) }
    }
  }

  /// How many steps were made.
  public var stepCount: Int { outsideTrace { state.step.value.item(as: Int.self) } }

  /// The parameters that it changes.
  public var parameters: [Parameter] { state.parameters }

  /// Gives it the parameters to change, in addition to those it has; those it has already are left out.
  public func attach(_ parameters: [Parameter]) { state.attach(parameters) }

  /// Forgets all gradients, so that the next `backward` starts anew.
  public func zeroGradients() { for parameter in state.parameters { parameter.gradient = nil } }

  /// Changes every trainable parameter that has a gradient.
  public func step() {
    guard isFused, operationsRunUnwatched else { return stepByOperations() }
    let fused = state.fusedStep { [weak self] in self?.stepByOperations() }
    do {
      try withoutGradients { try fused() }
    } catch {
      // Nothing is changed by a step that fails. Once more, operation by operation, it fails in the usual way.
      stepByOperations()
    }
  }

  private func stepByOperations() {
    withoutGradients {
      let count = state.step.value + 1
      state.step.value = count
      let values = withScope("optimizer") {
        prepare(step: count.cast(to: .float64), learningRate: state.learningRate.value)
      }
      for parameter in state.parameters {
        guard parameter.isTrainable, let gradient = parameter.gradient?.detached() else { continue }
        let variables = state.slots(of: parameter, names: slotNames)
        withScope("optimizer") {
          var slots = variables.map(\.value)
          parameter.value = update(parameter.value, gradient: gradient, slots: &slots, step: values)
          for (variable, slot) in zip(variables, slots) { variable.value = slot }
        }
      }
    }
  }
}

/// What an optimizer keeps: its parameters, learning rate, step count, and the slots (memory) of each parameter.
public final class OptimizerState: Sendable {
  /// float64 scalar.
  public let learningRate: Variable
  /// int64 scalar: how many steps were made.
  public let step: Variable
  private let registry = Mutex(Registry())
  typealias FusedStep = Compiled<Void>

  private struct Registry {
    var parameters: [Parameter] = []
    var known: Set<ObjectIdentifier> = []
    var slots: [ObjectIdentifier: [Variable]] = [:]
    /// The update of the parameters there are, compiled.
    var fusedStep: FusedStep?
  }

  /// - Parameters:
  ///   - parameters: what the optimizer changes; more may be attached later.
  ///   - learningRate: 0 or more, otherwise error (argument).
  public init(_ parameters: [Parameter], learningRate: Double) {
    Self.check(learningRate: learningRate)
    self.learningRate = Variable(Tensor(learningRate, dtype: .float64))
    step = Variable(Tensor(0, dtype: .int64))
    attach(parameters)
  }

  @discardableResult
  static func check(learningRate: Double) -> Bool {
    require(learningRate >= 0, "a learning rate of \(learningRate): 0 or more fit")
    return learningRate >= 0
  }

  /// The parameters in the order they were given.
  public var parameters: [Parameter] { registry.withLock { $0.parameters } }

  /// Adds parameters; those that are known already are left out.
  public func attach(_ parameters: [Parameter]) {
    registry.withLock { registry in
      for parameter in parameters where registry.known.insert(ObjectIdentifier(parameter)).inserted {
        registry.parameters.append(parameter)
        registry.fusedStep = nil
      }
    }
  }

  func fusedStep(_ body: @escaping @Sendable () -> Void) -> FusedStep {
    registry.withLock { registry in
      if let known = registry.fusedStep { return known }
      let made = compiled(name: "optimizer", body)
      registry.fusedStep = made
      return made
    }
  }

  /// The slots of a parameter, zeros of its type when there are none yet.
  func slots(of parameter: Parameter, names: [String]) -> [Variable] {
    if names.isEmpty { return [] }
    if let known = existingSlots(of: parameter) { return known }
    let made = outsideTrace { names.map { _ in Variable(Tensor.zerosLike(parameter.value)) } }
    return registry.withLock { registry in
      if let known = registry.slots[ObjectIdentifier(parameter)] { return known }
      registry.slots[ObjectIdentifier(parameter)] = made
      return made
    }
  }

  func existingSlots(of parameter: Parameter) -> [Variable]? {
    registry.withLock { $0.slots[ObjectIdentifier(parameter)] }
  }
}

// MARK: Saving

extension Optimizer {
  /// The learning rate, the step count and all slots, the latter as `<parameter's name>.<slot>`.
  ///
  /// - Parameter model: gives the parameters their names; without one they are numbered in order.
  public func stateDictionary(_ model: (any Module)? = nil) -> StateDictionary {
    var result: StateDictionary = ["learning_rate": state.learningRate.value, "step": state.step.value]
    for (name, parameter) in named(model) {
      for (slot, variable) in zip(slotNames, state.existingSlots(of: parameter) ?? []) {
        result["\(name).\(slot)"] = variable.value
      }
    }
    return result
  }

  /// Restores what ``stateDictionary(_:)`` gave. Parameters of which nothing was remembered begin anew.
  /// - Parameters:
  ///   - saved: the learning rate, the step count and slots.
  ///   - model: gives the parameters their names, as when the state was taken.
  /// - Throws: `ApusError` (argument) when slots are missing, unknown or of another shape, or the learning rate or the
  ///   number of steps can't be; nothing is changed then.
  public func loadStateDictionary(_ saved: StateDictionary, _ model: (any Module)? = nil) throws {
    var difference = StateDifference()
    let own = ["learning_rate", "step"]
    var expected = Set(own.map(ExactName.init))
    difference.missing = own.filter { saved[$0] == nil }
    var loads: [(Variable, Tensor)] = []
    for (name, parameter) in named(model) {
      let keys = slotNames.map { "\(name).\($0)" }
      expected.formUnion(keys.map(ExactName.init))
      // A parameter that never had a gradient has no slots.
      guard keys.contains(where: { saved[$0] != nil }) else {
        loads += (state.existingSlots(of: parameter) ?? []).map { ($0, Tensor.zerosLike($0.value)) }
        continue
      }
      guard parameter.isInitialized else {
        throw ApusError(.argument, "the size of \(name) is unknown: load the model's state before the optimizer's")
      }
      for (key, variable) in zip(keys, state.slots(of: parameter, names: slotNames)) {
        guard let tensor = saved[key] else {
          difference.missing.append(key)
          continue
        }
        if tensor.shape != variable.value.shape {
          difference.mismatched.append("\(key): got \(tensor.shape), expected \(variable.value.shape)")
        }
        loads.append((variable, tensor.cast(to: variable.value.dtype)))
      }
    }
    for key in own {
      guard let shape = saved[key]?.shape, shape.rank > 0 else { continue }
      difference.mismatched.append("\(key): got \(shape), expected []")
    }
    difference.unexpected = saved.keys.filter { !expected.contains(ExactName($0)) }
    guard difference.isEmpty, let rate = saved["learning_rate"], let step = saved["step"] else {
      throw ApusError(.argument, "the saved state does not fit the optimizer \(type(of: self)): \(difference)")
    }
    guard rate.item() >= 0, step.item() >= 0 else {
      throw ApusError(
        .argument, "a saved learning rate of \(rate.item()) and step \(step.item()): 0 or more fit")
    }
    for (variable, tensor) in loads { variable.value = tensor }
    state.learningRate.value = rate.cast(to: .float64)
    state.step.value = step.cast(to: .int64)
  }

  private func named(_ model: (any Module)?) -> [(String, Parameter)] {
    var names: [ObjectIdentifier: String] = [:]
    for (name, parameter) in model?.namedParameters() ?? [] { names[ObjectIdentifier(parameter)] = name }
    return state.parameters.enumerated().map { (names[ObjectIdentifier($1)] ?? "\($0)", $1) }
  }
}
