import ApusCore

/// Stochastic gradient descent with momentum, by PyTorch's formulas
/// (https://docs.pytorch.org/docs/stable/generated/torch.optim.SGD.html).
///
/// With g the gradient plus weightDecay · p: without momentum p ← p − lr·g; with it v ← momentum · v + (1 − dampening)
/// · g (in the first step v ← g) and p ← p − lr·v, or with `nesterov` p ← p − lr·(g + momentum · v).
/// The first step is each parameter's own: one that joins later begins with v ← g.
/// ```swift
/// let optimizer = SGD(model.parameters, learningRate: 0.1, momentum: 0.9, weightDecay: 5e-4, nesterov: true)
/// ```
/// Keras keeps the learning rate inside v: the same as long as the rate stays. Its weight decay is taken from the
/// parameter as ``AdamW`` does.
public final class SGD: Optimizer {
  public let state: OptimizerState
  /// How much of v is kept from step to step; 0: there is no v.
  public let momentum: Double
  /// What is taken from the gradient's share of v.
  public let dampening: Double
  /// The factor of the parameter that is added to its gradient (L2 regularisation).
  public let weightDecay: Double
  /// Whether the step looks ahead (Nesterov's momentum).
  public let nesterov: Bool

  /// Parameters may be given here or later by ``Optimizer/attach(_:)``; a trainer does the latter.
  /// - Parameters:
  ///   - parameters: what it changes, as `model.parameters`.
  ///   - learningRate: lr, 0 or more.
  ///   - momentum: how much of v is kept from step to step, 0 or more.
  ///   - dampening: what is taken from the gradient's share of v.
  ///   - weightDecay: the factor of the parameter that is added to its gradient, 0 or more.
  ///   - nesterov: whether the step looks ahead; needs a momentum and no dampening.
  public init(
    _ parameters: [Parameter] = [], learningRate: Double = 0.01, momentum: Double = 0, dampening: Double = 0,
    weightDecay: Double = 0, nesterov: Bool = false
  ) {
    require(momentum >= 0 && weightDecay >= 0, "SGD: momentum and weight decay can't be negative")
    require(!nesterov || momentum > 0 && dampening == 0, "SGD: nesterov needs a momentum and no dampening")
    state = OptimizerState(parameters, learningRate: learningRate)
    self.momentum = momentum
    self.dampening = dampening
    self.weightDecay = weightDecay
    self.nesterov = nesterov
  }

  /// One step's numbers, the same for all parameters that make their n-th step.
  public struct StepValues {
    var learningRate: ScalarCache
    /// 1 − dampening, in the first step 1; nil: 1 always.
    var share: ScalarCache?
  }

  public var isFused: Bool { true }
  public var slotNames: [String] { momentum > 0 ? ["momentum_buffer"] : [] }

  public func prepare(step: Tensor, learningRate: Tensor) -> StepValues {
    let share = dampening == 0 ? nil : 1 - (step .> 1).cast(to: .float64) * dampening
    return StepValues(learningRate: ScalarCache(learningRate), share: share.map { ScalarCache($0) })
  }

  public func update(_ value: Tensor, gradient: Tensor, slots: inout [Tensor], step: StepValues) -> Tensor {
    let g = weightDecay == 0 ? gradient : gradient + value * weightDecay
    let rate = step.learningRate.value(value.dtype)
    guard momentum > 0 else { return value - g * rate }
    slots[0] = slots[0] * momentum + (step.share.map { g * $0.value(value.dtype) } ?? g)
    return value - (nesterov ? g + slots[0] * momentum : slots[0]) * rate
  }
}

/// A float64 scalar cast to the dtypes it is asked for, each once.
public final class ScalarCache {
  private let scalar: Tensor
  private var casts: [DType: Tensor] = [:]

  init(_ scalar: Tensor) { self.scalar = scalar }

  func value(_ dtype: DType) -> Tensor {
    if let known = casts[dtype] { return known }
    let made = scalar.cast(to: dtype)
    casts[dtype] = made
    return made
  }
}
