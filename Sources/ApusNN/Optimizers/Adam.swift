import ApusCore

/// Adam (Kingma and Ba, 2015, https://arxiv.org/abs/1412.6980), by PyTorch's formulas.
///
/// With g the gradient plus weightDecay · p and t the step: m ← β₁m + (1 − β₁)g, v ← β₂v + (1 − β₂)g², p ← p − lr/(1 −
/// β₁ᵗ) · m / (√v / √(1 − β₂ᵗ) + ε). t is counted for each parameter: one that joins later, by ``Optimizer/attach(_:)`` or
/// when it is no longer frozen, begins with t = 1.
/// ```swift
/// let optimizer = Adam(model.parameters, learningRate: 3e-4)
/// ```
public final class Adam: Optimizer {
  public let state: OptimizerState
  /// β₁ and β₂: how much of m and v is kept from step to step.
  public let betas: (Double, Double)
  /// ε, which keeps the divisor from 0.
  public let epsilon: Double
  /// The factor of the parameter that is added to its gradient (L2 regularisation).
  public let weightDecay: Double

  /// Parameters may be given here or later by ``Optimizer/attach(_:)``; a trainer does the latter.
  /// - Parameters:
  ///   - parameters: what it changes, as `model.parameters`.
  ///   - learningRate: lr, 0 or more.
  ///   - betas: β₁ and β₂, from 0 to below 1.
  ///   - epsilon: ε, 0 or more (Keras' default is 1e-7).
  ///   - weightDecay: the factor of the parameter that is added to its gradient, 0 or more.
  public init(
    _ parameters: [Parameter] = [], learningRate: Double = 1e-3, betas: (Double, Double) = (0.9, 0.999),
    epsilon: Double = 1e-8, weightDecay: Double = 0
  ) {
    AdamStep.check(betas, epsilon, weightDecay)
    state = OptimizerState(parameters, learningRate: learningRate)
    self.betas = betas
    self.epsilon = epsilon
    self.weightDecay = weightDecay
  }

  public var isFused: Bool { true }
  public var slotNames: [String] { AdamStep.slotNames }

  public func prepare(step: Tensor, learningRate: Tensor) -> AdamStep {
    AdamStep(step: step, learningRate: learningRate, betas: betas, epsilon: epsilon, weightDecay: 0)
  }

  public func update(_ value: Tensor, gradient: Tensor, slots: inout [Tensor], step: AdamStep) -> Tensor {
    step.update(value, weightDecay == 0 ? gradient : gradient + value * weightDecay, &slots)
  }
}

/// Adam with the weight decay taken from the parameter instead of added to the gradient (Loshchilov and Hutter, 2019,
/// https://arxiv.org/abs/1711.05101), by PyTorch's formulas: p ← p·(1 − lr · weightDecay), then Adam's step.
///
/// ```swift
/// let optimizer = AdamW(model.parameters, learningRate: 3e-4, weightDecay: 0.05)
/// ```
public final class AdamW: Optimizer {
  public let state: OptimizerState
  /// β₁ and β₂: how much of m and v is kept from step to step.
  public let betas: (Double, Double)
  /// ε, which keeps the divisor from 0.
  public let epsilon: Double
  /// How much of the parameter, times the learning rate, is taken from it in each step.
  public let weightDecay: Double

  /// Parameters may be given here or later by ``Optimizer/attach(_:)``; a trainer does the latter.
  /// - Parameters:
  ///   - parameters: what it changes, as `model.parameters`.
  ///   - learningRate: lr, 0 or more.
  ///   - betas: β₁ and β₂, from 0 to below 1.
  ///   - epsilon: ε, 0 or more (Keras' default is 1e-7).
  ///   - weightDecay: how much of the parameter, times the learning rate, is taken from it in each step, 0 or more
  ///     (Keras' default is 0.004).
  public init(
    _ parameters: [Parameter] = [], learningRate: Double = 1e-3, betas: (Double, Double) = (0.9, 0.999),
    epsilon: Double = 1e-8, weightDecay: Double = 0.01
  ) {
    AdamStep.check(betas, epsilon, weightDecay)
    state = OptimizerState(parameters, learningRate: learningRate)
    self.betas = betas
    self.epsilon = epsilon
    self.weightDecay = weightDecay
  }

  public var isFused: Bool { true }
  public var slotNames: [String] { AdamStep.slotNames }

  public func prepare(step: Tensor, learningRate: Tensor) -> AdamStep {
    AdamStep(step: step, learningRate: learningRate, betas: betas, epsilon: epsilon, weightDecay: weightDecay)
  }

  public func update(_ value: Tensor, gradient: Tensor, slots: inout [Tensor], step: AdamStep) -> Tensor {
    step.update(value, gradient, &slots)
  }
}

/// One step's numbers of Adam and AdamW, and the part that both share.
public struct AdamStep {
  static let slotNames = ["exp_avg", "exp_avg_sq"]

  private let betas: (Double, Double)
  private let epsilon: Double
  /// lr / (1 − β₁ᵗ).
  private let stepSize: ScalarCache
  /// 1 / √(1 − β₂ᵗ).
  private let scale: ScalarCache
  /// 1 − lr · weightDecay; nil: 1.
  private let keep: ScalarCache?

  init(step: Tensor, learningRate: Tensor, betas: (Double, Double), epsilon: Double, weightDecay: Double) {
    self.betas = betas
    self.epsilon = epsilon
    // In float64: 1 − 0.999ᵗ would lose four of float32's seven digits in the first steps.
    func correction(_ beta: Double) -> Tensor { 1 - Tensor(beta, dtype: .float64).power(step) }
    stepSize = ScalarCache(learningRate / correction(betas.0))
    scale = ScalarCache(correction(betas.1).rsqrt())
    keep = weightDecay == 0 ? nil : ScalarCache(1 - learningRate * weightDecay)
  }

  static func check(_ betas: (Double, Double), _ epsilon: Double, _ weightDecay: Double) {
    require(
      (0..<1).contains(betas.0) && (0..<1).contains(betas.1), "Adam: betas \(betas) must be from 0 to below 1")
    require(epsilon >= 0 && weightDecay >= 0, "Adam: epsilon and weight decay can't be negative")
  }

  func update(_ value: Tensor, _ gradient: Tensor, _ slots: inout [Tensor]) -> Tensor {
    let m = slots[0] * betas.0 + gradient * (1 - betas.0)
    let v = slots[1] * betas.1 + gradient * gradient * (1 - betas.1)
    slots = [m, v]
    let kept = keep.map { value * $0.value(value.dtype) } ?? value
    let direction = m / (v.sqrt() * scale.value(value.dtype) + epsilon)
    return kept - direction * stepSize.value(value.dtype)
  }
}
