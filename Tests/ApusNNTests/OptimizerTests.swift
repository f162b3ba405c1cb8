import ApusCore
import ApusNN
import TestSupport
import Testing

#if canImport(Glibc)
  import Glibc
#endif

/// One scalar parameter, the gradients given: the formulas of PyTorch's documentation, in Double.
@Suite struct OptimizerTests {
  private let gradients = [0.5, -1.5, 2.0, 0.25, -0.125]

  private func run(_ make: ([Parameter]) -> any Optimizer) -> [Double] {
    let parameter = Parameter(Tensor(1.0, dtype: .float64))
    let optimizer = make([parameter])
    return gradients.map { gradient in
      parameter.gradient = Tensor(gradient, dtype: .float64)
      optimizer.step()
      optimizer.zeroGradients()
      return parameter.value.item()
    }
  }

  private func compare(_ a: [Double], _ b: [Double], _ name: String) {
    for (x, y) in zip(a, b) { #expect(abs(x - y) < 1e-12, "\(name): \(a) is not \(b)") }
  }

  @Test func sgd() {
    for (momentum, dampening, decay, nesterov) in [
      (0.0, 0.0, 0.0, false), (0, 0, 0.1, false), (0.9, 0, 0, false), (0.9, 0.3, 0.1, false), (0.9, 0, 0.1, true),
    ] {
      var (p, v) = (1.0, 0.0)
      let expected = gradients.enumerated().map { i, gradient in
        let g = gradient + decay * p
        v = i == 0 ? g : momentum * v + (1 - dampening) * g
        p -= 0.1 * (momentum == 0 ? g : nesterov ? g + momentum * v : v)
        return p
      }
      let values = run {
        SGD($0, learningRate: 0.1, momentum: momentum, dampening: dampening, weightDecay: decay, nesterov: nesterov)
      }
      compare(values, expected, "SGD \(momentum) \(dampening) \(decay) \(nesterov)")
    }
  }

  private func adam(decay: Double, decoupled: Bool) -> [Double] {
    var (p, m, v) = (1.0, 0.0, 0.0)
    return gradients.enumerated().map { i, gradient in
      let t = Double(i + 1)
      var g = gradient
      if decoupled { p *= 1 - 0.1 * decay } else { g += decay * p }
      m = 0.8 * m + 0.2 * g
      v = 0.95 * v + 0.05 * g * g
      p -= 0.1 / (1 - pow(0.8, t)) * m / (v.squareRoot() / (1 - pow(0.95, t)).squareRoot() + 1e-3)
      return p
    }
  }

  @Test func adam() {
    for decay in [0, 0.2] {
      let a = run { Adam($0, learningRate: 0.1, betas: (0.8, 0.95), epsilon: 1e-3, weightDecay: decay) }
      compare(a, adam(decay: decay, decoupled: false), "Adam \(decay)")
      let w = run { AdamW($0, learningRate: 0.1, betas: (0.8, 0.95), epsilon: 1e-3, weightDecay: decay) }
      compare(w, adam(decay: decay, decoupled: true), "AdamW \(decay)")
    }
  }

  @Test func theLearningRateMayChangeWithoutANewTrace() throws {
    let parameter = Parameter(Tensor(0.0))
    let optimizer = SGD([parameter], learningRate: 1)
    let step = compiled { (g: Tensor) in
      parameter.gradient = g
      optimizer.step()
      optimizer.zeroGradients()
    }
    try step(Tensor(1.0))
    optimizer.learningRate = 0.5
    try step(Tensor(1.0))
    #expect(parameter.value.item() == -1.5)
    #expect(step.traceCount == 1)
    #expect(optimizer.stepCount == 2 && optimizer.learningRate == 0.5)
  }

  @Test func parametersWithoutGradientStay() {
    let (a, b, c) = (Parameter(Tensor(1.0)), Parameter(Tensor(1.0)), Parameter(Tensor(1.0)))
    let optimizer = AdamW([a, b, c], weightDecay: 0.5)
    a.gradient = Tensor(1.0)
    c.gradient = Tensor(1.0)
    c.isTrainable = false
    optimizer.step()
    #expect(a.value.item() != 1 && b.value.item() == 1 && c.value.item() == 1)
    #expect(optimizer.stateDictionary().keys == ["learning_rate", "step", "0.exp_avg", "0.exp_avg_sq"])
  }

  @Test func stateIsSavedUnderTheParametersNames() throws {
    func make() -> (Sequential, Adam) {
      let model = Sequential { Linear(2, 1) }
      return (model, Adam(model.parameters))
    }
    let (model, optimizer) = make()
    model(Tensor.ones([1, 2])).sum().backward()
    optimizer.step()
    optimizer.learningRate = 0.25
    let saved = optimizer.stateDictionary(model)
    #expect(
      saved.keys == [
        "learning_rate", "step", "0.weight.exp_avg", "0.weight.exp_avg_sq", "0.bias.exp_avg", "0.bias.exp_avg_sq",
      ])
    let (other, fresh) = make()
    try fresh.loadStateDictionary(saved, other)
    #expect(fresh.stepCount == 1 && fresh.learningRate == 0.25)
    for (key, value) in saved { #expect(fresh.stateDictionary(other)[key]?.toArray() == value.toArray()) }
    var damaged = saved
    damaged["0.bias.exp_avg"] = nil
    damaged["1.bias.exp_avg"] = Tensor(1.0)
    damaged["0.weight.exp_avg"] = Tensor([1.0])
    damaged["step"] = Tensor(77)
    #expect(
      message { try fresh.loadStateDictionary(damaged, other) }
        == "the saved state does not fit the optimizer Adam: missing: 0.bias.exp_avg; unexpected: 1.bias.exp_avg; "
        + "of another shape: 0.weight.exp_avg: got [1], expected [1, 2]")
    #expect(fresh.stepCount == 1)
  }

  /// A state from before the first step makes an optimizer as new.
  @Test func restoringTheBeginningForgetsEverything() throws {
    func run(_ parameter: Parameter, _ optimizer: Adam) -> [Float] {
      parameter.value = Tensor([1.0, 2])
      for gradient in [Tensor([0.5, -1]), Tensor([2.0, 0.25])] {
        parameter.gradient = gradient
        optimizer.step()
      }
      return parameter.value.toArray()
    }
    let parameter = Parameter(Tensor([1.0, 2]))
    let optimizer = Adam([parameter], learningRate: 0.1)
    let fresh = optimizer.stateDictionary()
    let first = run(parameter, optimizer)
    try optimizer.loadStateDictionary(fresh)
    #expect(run(parameter, optimizer) == first)
  }

  @Test func damagedNumbersAreRefused() {
    let optimizer = SGD([Parameter(Tensor(1.0))], learningRate: 0.5, momentum: 0.9)
    let saved = optimizer.stateDictionary()
    let damages: [(String, Tensor, String)] = [
      ("learning_rate", Tensor([1.0, 2]), "learning_rate: got [2], expected []"),
      ("step", Tensor([1, 2]), "step: got [2], expected []"),
      ("learning_rate", Tensor(-1.0), "a saved learning rate of -1.0"),
      ("learning_rate", Tensor(Double.nan), "a saved learning rate of nan"),
      ("step", Tensor(-1), "step -1.0: 0 or more fit"),
    ]
    for (key, tensor, says) in damages {
      var damaged = saved
      damaged[key] = tensor
      let text = message { try optimizer.loadStateDictionary(damaged) }
      #expect(text.contains(says), "\(text)")
    }
    #expect(optimizer.learningRate == 0.5 && optimizer.stepCount == 0)
  }

  /// PyTorch's name.
  @Test func theMomentumsName() {
    let parameter = Parameter(Tensor(1.0))
    let optimizer = SGD([parameter], momentum: 0.9)
    parameter.gradient = Tensor(1.0)
    optimizer.step()
    #expect(optimizer.stateDictionary().keys == ["learning_rate", "step", "0.momentum_buffer"])
  }

  @Test func impossibleNumbersAreRefused() {
    let parameter = Parameter(Tensor(1.0))
    parameter.gradient = Tensor(3.0)
    let optimizer = SGD([parameter], learningRate: 0.5)
    for number in [-1, Double.nan] {
      #expect(message { optimizer.learningRate = number } == "a learning rate of \(number): 0 or more fit")
      #expect(message { clipGradientNorm([parameter], maximum: number) }.contains("a norm of \(number): 0 or more"))
      #expect(message { clipGradientValue([parameter], maximum: number) }.contains("±\(number): 0 or more"))
    }
    #expect(optimizer.learningRate == 0.5 && parameter.gradient?.item() == 3)
  }

  @Test func clipping() {
    let parameters = [Parameter(Tensor([0.0, 0])), Parameter(Tensor(0.0)), Parameter(Tensor(0.0))]
    parameters[0].gradient = Tensor([3.0, 0])
    parameters[1].gradient = Tensor(-4.0)
    #expect(clipGradientNorm(parameters, maximum: 10).item() == 5)
    #expect(parameters[0].gradient?.toArray() == [3, 0])
    #expect(clipGradientNorm(parameters, maximum: 1).item() == 5)
    #expect(abs((parameters[1].gradient?.item() ?? 0) + 0.8) < 1e-6)
    clipGradientValue(parameters, maximum: 0.7)
    #expect(parameters[1].gradient.map { abs($0.item() + 0.7) < 1e-6 } == true)
    #expect(abs((parameters[0].gradient?.toArray()[0] ?? 0) - 0.6) < 1e-6)
    #expect(clipGradientNorm([parameters[2]], maximum: 1).item() == 0)
  }

  @Test func schedules() {
    func values(_ schedule: Schedule, _ steps: Int...) -> [Double] { steps.map { schedule($0) } }
    #expect(values(.constant, 0, 100) == [1, 1])
    #expect(values(.step(every: 3, gamma: 0.5), 0, 2, 3, 6) == [1, 1, 0.5, 0.25])
    for (a, b) in zip(values(.cosine(steps: 10, minimum: 0.1), 0, 5, 10, 20), [1, 0.55, 0.1, 0.1]) {
      #expect(abs(a - b) < 1e-12)
    }
    #expect(values(.linear(steps: 4, end: 0.5), 0, 2, 4, 9) == [1, 0.75, 0.5, 0.5])
    #expect(values(.linear(steps: 2).warmingUp(steps: 3), 0, 1, 2, 3, 4, 5) == [0.25, 0.5, 0.75, 1, 0.5, 0])
  }

  /// x² + 10y² from (3, 2): each optimizer gets to the bottom.
  @Test func theyMinimise() {
    let makers: [([Parameter]) -> any Optimizer] = [
      { SGD($0, learningRate: 0.05, momentum: 0.5) }, { Adam($0, learningRate: 0.1) },
      { AdamW($0, learningRate: 0.1, weightDecay: 0.01) },
    ]
    for make in makers {
      let p = Parameter(Tensor([3.0, 2.0]))
      let optimizer = make([p])
      for _ in 0..<300 {
        optimizer.zeroGradients()
        (p.tensor * p.tensor * Tensor([1.0, 10.0])).sum().backward()
        optimizer.step()
      }
      #expect(p.value.abs().max().item() < 1e-2)
    }
  }
}
