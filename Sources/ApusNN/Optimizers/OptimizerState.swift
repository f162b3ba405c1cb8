import ApusCore
import Synchronization

/// What an optimizer keeps: its parameters, learning rate, step counts, and the slots (memory) of each parameter.
public final class OptimizerState: Sendable {
  /// float64 scalar.
  public let learningRate: Variable
  /// int64 scalar: how many steps were made.
  public let step: Variable
  private let registry = Mutex(Registry())
  typealias FusedStep = Compiled<Void>

  private struct Registry {
    var parameters: [Parameter] = []
    /// How often there were others: graphs traced before change those there were.
    var parametersVersion = 0
    var slots: [ObjectIdentifier: [Variable]] = [:]
    /// How many steps each parameter has made. Those of the same count share a variable, so that a step prepares its
    /// numbers once for all of them.
    var clocks: [ObjectIdentifier: Variable] = [:]
    /// How often clocks were dealt out anew: graphs traced before use others.
    var clockVersion = 0
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

  /// The parameters in the order they were given. A compiled function that asks is traced anew when there are others.
  public var parameters: [Parameter] {
    let (parameters, version) = registry.withLock { ($0.parameters, $0.parametersVersion) }
    if isTracing {
      traceHolds { [weak self] in self?.registry.withLock { $0.parametersVersion } == version }
    }
    return parameters
  }

  /// Adds parameters; those that are known already are left out.
  public func attach(_ parameters: [Parameter]) {
    let clock = Self.clock(0)
    registry.withLock { registry in
      for parameter in parameters where registry.clocks[ObjectIdentifier(parameter)] == nil {
        registry.parameters.append(parameter)
        registry.parametersVersion += 1
        registry.clocks[ObjectIdentifier(parameter)] = clock
      }
    }
  }

  /// Takes parameters away, with what was remembered of them.
  public func detach(_ parameters: [Parameter]) {
    registry.withLock { registry in
      for key in parameters.map({ ObjectIdentifier($0) }) where registry.clocks.removeValue(forKey: key) != nil {
        registry.parameters.removeAll { ObjectIdentifier($0) == key }
        registry.parametersVersion += 1
        registry.slots[key] = nil
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

  // MARK: Steps of each parameter

  private static func clock(_ count: Int) -> Variable { outsideTrace { Variable(Tensor(count, dtype: .int64)) } }

  /// Some of the parameters, which are about to make a step, in groups of those that have made equally many.
  ///
  /// Parameters that stay behind keep their clock; the others of their group go on with a new one.
  func groups(stepping active: [Parameter]) -> [(steps: Variable, parameters: [Parameter])] {
    let (clocks, sizes) = registry.withLock { registry in
      var sizes: [ObjectIdentifier: Int] = [:]
      for clock in registry.clocks.values { sizes[ObjectIdentifier(clock), default: 0] += 1 }
      return (active.map { registry.clocks[ObjectIdentifier($0)] }, sizes)
    }
    var places: [ObjectIdentifier: Int] = [:]
    var groups: [(steps: Variable, parameters: [Parameter])] = []
    for case (let parameter, let clock?) in zip(active, clocks) {
      if let place = places[ObjectIdentifier(clock)] {
        groups[place].parameters.append(parameter)
      } else {
        places[ObjectIdentifier(clock)] = groups.count
        groups.append((clock, [parameter]))
      }
    }
    for (place, group) in groups.enumerated() where group.parameters.count < sizes[ObjectIdentifier(group.steps)] ?? 0 {
      let own = outsideTrace { Variable(group.steps.value) }
      // Earlier in a function that is being traced the group may have made steps, which are to be counted too.
      if group.steps.isWrittenInTrace { own.value = group.steps.value }
      groups[place].steps = own
      deal(own, to: group.parameters)
    }
    if isTracing {
      let version = registry.withLock { $0.clockVersion }
      traceHolds { [weak self] in self?.registry.withLock { $0.clockVersion } == version }
    }
    return groups
  }

  private func deal(_ clock: Variable, to parameters: [Parameter]) {
    registry.withLock { registry in
      for parameter in parameters { registry.clocks[ObjectIdentifier(parameter)] = clock }
      registry.clockVersion += 1
    }
  }

  /// How many steps a parameter has made.
  func steps(of parameter: Parameter) -> Int {
    let clock = registry.withLock { $0.clocks[ObjectIdentifier(parameter)] }
    return clock.map { $0.value.item(as: Int.self) } ?? 0
  }

  /// Sets how many steps each parameter has made. Graphs stay valid where those that counted together still do.
  func setSteps(_ counts: [(parameter: Parameter, count: Int)]) {
    let clocks = registry.withLock { $0.clocks }
    var countOfClock: [ObjectIdentifier: Int] = [:]
    var areTogether = true
    for (parameter, count) in counts {
      guard let clock = clocks[ObjectIdentifier(parameter)] else { continue }
      if countOfClock.updateValue(count, forKey: ObjectIdentifier(clock)) ?? count != count { areTogether = false }
    }
    if areTogether {
      for clock in clocks.values {
        if let count = countOfClock[ObjectIdentifier(clock)] { clock.value = Tensor(count, dtype: .int64) }
      }
    } else {
      for (count, group) in Dictionary(grouping: counts, by: \.count) {
        deal(Self.clock(count), to: group.map(\.parameter))
      }
    }
  }

  // MARK: Slots

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
