import ApusCore

/// Changes parameters by their gradients.
///
/// ```swift
/// let optimizer = Adam(model.parameters, learningRate: 1e-3)
/// optimizer.zeroGradients()
/// crossEntropy(model(images), labels).backward()
/// optimizer.step()
/// ```
/// The learning rate, the numbers of steps and the optimizer's memory of each parameter are variables, so a compiled
/// step reads and writes them each time it runs. An own optimizer conforms to the protocol, keeps an ``OptimizerState``
/// and says in ``update(_:gradient:slots:step:)`` how one parameter changes.
public protocol Optimizer: AnyObject, Sendable {
  /// Numbers that are the same for all parameters that make their n-th step.
  associatedtype StepValues

  /// Its parameters, learning rate, step count and slots.
  var state: OptimizerState { get }

  /// Names of the tensors remembered for every parameter, zeros at first: `["momentum_buffer"]`.
  var slotNames: [String] { get }

  /// Whether eager steps may run as one compiled function, which reads and writes every tensor once. Only where
  /// ``prepare(step:learningRate:)`` and ``update(_:gradient:slots:step:)`` are plain formulas of their arguments and of
  /// constants: other Swift state would be read once and not again. Otherwise false, the default.
  var isFused: Bool { get }

  /// Prepares what the parameters need that have made equally many steps. A frozen parameter, or one without a gradient,
  /// makes none, so a step may prepare for several such groups, mostly for one.
  /// - Parameters:
  ///   - step: the number of their step, from 1 (PyTorch's `state["step"]`); a float64 scalar.
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

  /// How many steps were made; a parameter that was frozen, had no gradient or joined later has made fewer.
  public var stepCount: Int { outsideTrace { state.step.value.item(as: Int.self) } }

  /// The parameters that it changes.
  public var parameters: [Parameter] { state.parameters }

  /// Gives it the parameters to change, in addition to those it has; those it has already are left out.
  public func attach(_ parameters: [Parameter]) { state.attach(parameters) }

  /// Takes parameters away from it, those of a replaced layer say, and forgets what it remembered of them.
  public func detach(_ parameters: [Parameter]) { state.detach(parameters) }

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
      state.step.value = state.step.value + 1
      let active = state.parameters.filter { $0.isTrainable && $0.gradient != nil }
      for (steps, parameters) in state.groups(stepping: active) {
        let count = steps.value + 1
        steps.value = count
        let values = withScope("optimizer") {
          prepare(step: count.cast(to: .float64), learningRate: state.learningRate.value)
        }
        for parameter in parameters {
          guard let gradient = parameter.gradient?.detached() else { continue }
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
}

// MARK: Saving

extension Optimizer {
  /// The learning rate, the step count and all slots, the latter as `<parameter's name>.<slot>`; and as `<name>.step` the
  /// steps of each parameter that has made fewer than the optimizer. (One without slots in the dictionary has made none.)
  ///
  /// - Parameter model: gives the parameters their names; without one they are numbered in order.
  public func stateDictionary(_ model: (any Module)? = nil) -> StateDictionary {
    var result: StateDictionary = ["learning_rate": state.learningRate.value, "step": state.step.value]
    for (name, parameter) in named(model) {
      for (slot, variable) in zip(slotNames, state.existingSlots(of: parameter) ?? []) {
        result["\(name).\(slot)"] = variable.value
      }
      let steps = state.steps(of: parameter)
      let usual = slotNames.isEmpty || state.existingSlots(of: parameter) != nil ? stepCount : 0
      if let key = stepKey(name), steps != usual { result[key] = Tensor(steps, dtype: .int64) }
    }
    return result
  }

  /// Where a parameter's own number of steps is; nil where a slot of the optimizer has that name.
  private func stepKey(_ name: String) -> String? { slotNames.contains("step") ? nil : "\(name).step" }

  /// Restores what ``stateDictionary(_:)`` gave. Parameters of which nothing was remembered begin anew. States of earlier
  /// versions, which counted steps for all parameters together, have made all of them.
  /// - Parameters:
  ///   - saved: the learning rate, the step count and slots.
  ///   - model: gives the parameters their names, as when the state was taken.
  /// - Throws: `ApusError` (argument) when slots are missing, unknown or of another shape, or the learning rate or the
  ///   number of steps can't be; nothing is changed then.
  public func loadStateDictionary(_ saved: StateDictionary, _ model: (any Module)? = nil) throws {
    var difference = StateDifference()
    var expected: Set = ["learning_rate", "step"]
    difference.missing = expected.filter { saved[$0] == nil }.sorted()
    var loads: [(Variable, Tensor)] = []
    /// Where each parameter's number of steps is; nil: it has made none.
    var counts: [(parameter: Parameter, key: String?)] = []
    for (name, parameter) in named(model) {
      let keys = slotNames.map { "\(name).\($0)" }
      expected.formUnion(keys)
      let ownKey = stepKey(name)
      if let ownKey { expected.insert(ownKey) }
      let usual = keys.isEmpty || keys.contains { saved[$0] != nil } ? "step" : nil
      counts.append((parameter, ownKey.flatMap { saved[$0] == nil ? nil : $0 } ?? usual))
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
    let ownKeys = counts.compactMap(\.key).filter { $0 != "step" }
    for key in ["learning_rate", "step"] + ownKeys {
      guard let shape = saved[key]?.shape, shape.rank > 0 else { continue }
      difference.mismatched.append("\(key): got \(shape), expected []")
    }
    difference.unexpected = saved.keys.filter { !expected.contains($0) }
    guard difference.isEmpty, let rate = saved["learning_rate"], let step = saved["step"] else {
      throw ApusError(.argument, "the saved state does not fit the optimizer \(type(of: self)): \(difference)")
    }
    guard rate.item() >= 0, step.item() >= 0 else {
      throw ApusError(
        .argument, "a saved learning rate of \(rate.item()) and step \(step.item()): 0 or more fit")
    }
    func steps(_ key: String?) -> Int { key.flatMap { saved[$0]?.cast(to: .int64).item(as: Int.self) } ?? 0 }
    for key in ownKeys where steps(key) < 0 {
      throw ApusError(.argument, "a saved \(key) of \(steps(key)): 0 or more fit")
    }
    for (variable, tensor) in loads { variable.value = tensor }
    state.setSteps(counts.map { ($0.parameter, steps($0.key)) })
    state.learningRate.value = rate.cast(to: .float64)
    state.step.value = step.cast(to: .int64)
  }

  private func named(_ model: (any Module)?) -> [(String, Parameter)] {
    var names: [ObjectIdentifier: String] = [:]
    for (name, parameter) in model?.namedParameters() ?? [] { names[ObjectIdentifier(parameter)] = name }
    return state.parameters.enumerated().map { (names[ObjectIdentifier($1)] ?? "\($0)", $1) }
  }
}
