import ApusCore
import TestSupport
import Testing

@testable import ApusNN

#if canImport(Glibc)
  import Glibc
#endif

/// Each parameter counts its own steps, as in PyTorch. Expected values are those of the documentation's formulas, in Double.
@Suite struct StepCountTests {
  private let makers: [(name: String, make: @Sendable ([Parameter]) -> any Optimizer)] = [
    ("SGD", { SGD($0, learningRate: 0.1, momentum: 0.9, dampening: 0.5) }),
    ("Adam", { Adam($0, learningRate: 0.1, betas: (0.8, 0.95), epsilon: 1e-3) }),
    ("AdamW", { AdamW($0, learningRate: 0.1, betas: (0.8, 0.95), epsilon: 1e-3, weightDecay: 0.2) }),
  ]

  /// One parameter from 1, after the gradients that it has got so far.
  private func expected(_ name: String, _ gradients: [Double]) -> Double {
    var (p, m, v) = (1.0, 0.0, 0.0)
    for (i, g) in gradients.enumerated() {
      let t = Double(i + 1)
      if name == "SGD" {
        m = i == 0 ? g : 0.9 * m + 0.5 * g
        p -= 0.1 * m
      } else {
        if name == "AdamW" { p *= 1 - 0.1 * 0.2 }
        m = 0.8 * m + 0.2 * g
        v = 0.95 * v + 0.05 * g * g
        p -= 0.1 / (1 - pow(0.8, t)) * m / (v.squareRoot() / (1 - pow(0.95, t)).squareRoot() + 1e-3)
      }
    }
    return p
  }

  /// Which of four parameters move in which step, in all the ways that one may be left out: frozen, without gradient, not
  /// attached yet.
  private let schedule: [[Bool]] = [
    [true, true, false, false], [true, false, false, false], [true, true, true, false], [true, true, true, true],
    [false, true, false, true], [true, true, true, true], [false, false, false, false], [true, true, true, true],
  ]

  private enum Way: CaseIterable { case fused, single, compiled }

  private func run(
    _ name: String, _ make: ([Parameter]) -> any Optimizer, _ way: Way, savesAt: Int? = nil
  ) throws {
    let parameters = (0..<4).map { _ in Parameter(Tensor(1.0, dtype: .float64)) }
    var optimizer = make(Array(parameters[..<3]))
    var given = [[Double]](repeating: [], count: 4)
    func compiledStep(_ optimizer: any Optimizer) -> Compiled<Void> { ApusCore.compiled { optimizer.step() } }
    var step = compiledStep(optimizer)
    for (number, moves) in schedule.enumerated() {
      if number == 3 { optimizer.attach([parameters[3]]) }
      if number == savesAt {
        let saved = optimizer.stateDictionary()
        optimizer = make(optimizer.parameters)
        try optimizer.loadStateDictionary(saved)
        step = compiledStep(optimizer)
      }
      for (i, parameter) in parameters.enumerated() {
        let gradient = 0.5 + Double(number) - Double(i)
        // The first is left out by freezing it, the others by having no gradient.
        parameter.isTrainable = moves[i] || i > 0
        parameter.gradient = moves[i] || i == 0 ? Tensor(gradient, dtype: .float64) : nil
        if moves[i] { given[i].append(gradient) }
      }
      switch way {
      case .fused: optimizer.step()
      case .single: try checked { optimizer.step() }
      case .compiled: try step()
      }
      for (i, parameter) in parameters.enumerated() {
        let target = expected(name, given[i])
        #expect(
          abs(parameter.value.item() - target) < 1e-12,
          "\(name), \(way), step \(number + 1), parameter \(i): not \(target)")
      }
    }
    #expect(optimizer.stepCount == schedule.count)
  }

  @Test func areTheParametersOwn() throws {
    for (name, make) in makers { for way in Way.allCases { try run(name, make, way) } }
  }

  @Test func areSavedAndLoaded() throws {
    for (name, make) in makers { for number in 1..<8 { try run(name, make, .fused, savesAt: number) } }
  }

  /// Numbers are prepared once for all that step together, and nothing is traced again while those stay the same.
  @Test func parametersThatStepTogetherShareThem() throws {
    let parameters = (0..<9).map { _ in Parameter(Tensor([1.0, 2])) }
    let optimizer = Adam(parameters)
    parameters[3].isTrainable = false
    let step = ApusCore.compiled {
      for parameter in parameters where parameter.isTrainable { parameter.gradient = parameter.value }
      optimizer.step()
      optimizer.zeroGradients()
    }
    for _ in 0..<4 { try step() }
    #expect(step.traceCount == 1)
    func powers() throws -> Int { try step.graph().nodes.count { $0.primitive.name == "power" } }
    #expect(try powers() == 2)
    parameters[3].isTrainable = true
    for _ in 0..<4 { try step() }
    #expect(step.traceCount == 2)
    #expect(try powers() == 4)
    let saved = optimizer.stateDictionary()
    #expect(saved["3.step"]?.item() == 4 && saved["step"]?.item() == 8 && saved["2.step"] == nil)
    // The same groups: the graph stays.
    try optimizer.loadStateDictionary(saved)
    try step()
    #expect(step.traceCount == 2)
    let later = optimizer.stateDictionary()
    #expect(later["3.step"]?.item() == 5 && later["step"]?.item() == 9 && later["2.step"] == nil)
  }

  /// Several steps in one compiled function, of which a later one leaves a parameter out.
  @Test func twoStepsInOneFunction() throws {
    let (a, b) = (Parameter(Tensor(1.0, dtype: .float64)), Parameter(Tensor(1.0, dtype: .float64)))
    let (name, make) = makers[1]
    let optimizer = make([a, b])
    let steps = ApusCore.compiled {
      (a.gradient, b.gradient) = (Tensor(2.0, dtype: .float64), Tensor(2.0, dtype: .float64))
      optimizer.step()
      (a.gradient, b.gradient) = (Tensor(-1.0, dtype: .float64), nil)
      optimizer.step()
      optimizer.zeroGradients()
    }
    for round in 1...3 {
      try steps()
      let expectedA = expected(name, (0..<round).flatMap { _ in [2.0, -1] })
      #expect(abs(a.value.item() - expectedA) < 1e-12, "round \(round)")
      #expect(abs(b.value.item() - expected(name, .init(repeating: 2, count: round))) < 1e-12, "round \(round)")
    }
  }

  /// A state from before parameters counted for themselves: all have made every step.
  @Test func olderStatesAreRead() throws {
    let (a, b) = (Parameter(Tensor(1.0, dtype: .float64)), Parameter(Tensor(1.0, dtype: .float64)))
    let optimizer = Adam([a, b], learningRate: 0.1, betas: (0.8, 0.95), epsilon: 1e-3)
    try optimizer.loadStateDictionary([
      "learning_rate": Tensor(0.1, dtype: .float64), "step": Tensor(3), "0.exp_avg": Tensor(0.5, dtype: .float64),
      "0.exp_avg_sq": Tensor(0.25, dtype: .float64),
    ])
    (a.gradient, b.gradient) = (Tensor(1.0, dtype: .float64), Tensor(1.0, dtype: .float64))
    optimizer.step()
    let (m, v, t) = (0.8 * 0.5 + 0.2, 0.95 * 0.25 + 0.05, 4.0)
    let target = 1 - 0.1 / (1 - pow(0.8, t)) * m / (v.squareRoot() / (1 - pow(0.95, t)).squareRoot() + 1e-3)
    #expect(abs(a.value.item() - target) < 1e-12)
    #expect(abs(b.value.item() - expected("Adam", [1])) < 1e-12)
  }

  @Test func senselessCountsAreRefused() throws {
    let parameter = Parameter(Tensor(1.0))
    let optimizer = Adam([parameter])
    parameter.gradient = Tensor(1.0)
    optimizer.step()
    for (count, says) in [(Tensor(-1), "a saved 0.step of -1"), (Tensor([1, 2]), "0.step: got [2], expected []")] {
      var saved = optimizer.stateDictionary()
      saved["0.step"] = count
      #expect(message { try optimizer.loadStateDictionary(saved) }.contains(says))
    }
    #expect(optimizer.stateDictionary().keys == ["learning_rate", "step", "0.exp_avg", "0.exp_avg_sq"])
  }
}
