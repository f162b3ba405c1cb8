import ApusCore

/// Normalises every channel by the batch's mean and variance in training, by their running averages in inference (Ioffe
/// and Szegedy, 2015, https://arxiv.org/abs/1502.03167). The part that ``BatchNorm2D`` and ``BatchNorm1D`` share.
///
/// y = (x − μ) / √(σ² + ε) · weight + bias, with the biased σ². In training the running averages move by r ← (1 −
/// momentum) · r + momentum · batch value, the variance unbiased, as in PyTorch. (Keras' `momentum` is 1 − this, and
/// its running variance is the biased one.) A single value per channel has no variance: in training an error, in a
/// compiled function with the batch's size left open a variance of 0.
///
/// - Input and output: [N, C, H, W]; for ``BatchNorm1D`` [N, C] or [N, C, L].
/// - Parameters `weight`, `bias` [C]; buffers `running_mean`, `running_var` [C], `num_batches_tracked` (int64). Keras
///   calls them gamma, beta, moving_mean and moving_variance.
public class BatchNormalization: Module, SizeInferring, @unchecked Sendable {
  /// The factor of each channel [C], ones at first; nil without `affine`.
  public let weight: Parameter?
  /// The summand of each channel [C], zeros at first; nil without `affine`.
  public let bias: Parameter?
  /// The mean of each channel [C] that inference uses; zeros at first.
  public let runningMean: Buffer
  /// The variance of each channel [C] that inference uses; ones at first.
  public let runningVar: Buffer
  /// How many batches the running averages have seen: an int64 scalar.
  public let numBatchesTracked: Buffer
  /// Whether it is in training mode: see ``Module/train()`` and ``Module/eval()``.
  public let mode = Mode(true)
  /// ε, which keeps the divisor from 0.
  public let epsilon: Double
  /// How far the running averages move towards each batch; nil: they are the plain averages of all batches.
  public let momentum: Double?
  let dtype: DType
  private let ranks: ClosedRange<Int>
  private let building = Building()

  init(_ channels: Int?, epsilon: Double, momentum: Double?, affine: Bool, dtype: DType, ranks: ClosedRange<Int>) {
    require((channels ?? 1) > 0, "batch norm of \(channels ?? 0) channels: there must be some")
    self.epsilon = epsilon
    self.momentum = momentum
    self.dtype = dtype
    self.ranks = ranks
    let shape: Shape? = channels.map { [$0] }
    weight = affine ? Parameter(shape, .ones, dtype: dtype) : nil
    bias = affine ? Parameter(shape, .zeros, dtype: dtype) : nil
    runningMean = Buffer(shape.map { Initializer.zeros($0, dtype: dtype) })
    runningVar = Buffer(shape.map { Initializer.ones($0, dtype: dtype) })
    numBatchesTracked = Buffer(Initializer.zeros([], dtype: .int64))
  }

  public func build(for x: Tensor) {
    building.once {
      if runningMean.isInitialized && runningVar.isInitialized && weight?.isInitialized ?? true { return true }
      guard ranks.contains(x.rank), let channels = x.dimension(1).value, channels > 0 else { return false }
      weight?.build([channels], .ones, dtype: dtype)
      bias?.build([channels], .zeros, dtype: dtype)
      if !runningMean.isInitialized { runningMean.initialize(Initializer.zeros([channels], dtype: dtype)) }
      if !runningVar.isInitialized { runningVar.initialize(Initializer.ones([channels], dtype: dtype)) }
      return true
    }
  }

  public func forward(_ x: Tensor) -> Tensor {
    guard runningMean.isInitialized else { return mismatch(x, nil) }
    let mean = runningMean.value
    guard ranks.contains(x.rank), mean.rank == 1, x.dimension(1) == mean.dimension(0) else {
      return mismatch(x, mean.dimension(-1))
    }
    let scale = weight?.tensor ?? Tensor.onesLike(mean)
    let shift = bias?.tensor ?? Tensor.zerosLike(mean)
    guard mode.value else {
      return x.batchNormInference(
        mean: mean, variance: runningVar.value, scale: scale, shift: shift, epsilon: epsilon)
    }
    guard others(x).contains(where: { x.dimension($0).value != 1 }) else {
      return .failure(.layer(expected: "more than one value per channel in training", got: x), as: x.type)
    }
    let (y, batchMean, batchVariance) = x.batchNorm(scale: scale, shift: shift, epsilon: epsilon)
    withoutGradients { track(x, mean: batchMean.detached(), variance: batchVariance.detached()) }
    return y
  }

  private func track(_ x: Tensor, mean: Tensor, variance: Tensor) {
    // An empty batch has no statistics, and leaves the averages as they are.
    if others(x).contains(where: { x.dimension($0).value == 0 }) { return }
    let batches = numBatchesTracked.value + 1
    // n / (n − 1) for n values a channel. A batch whose size was open may have one, or none: no NaN that stays for ever
    // then.
    let count = Tensor.elementCount(x, over: others(x), dtype: mean.dtype)
    let unbiased = variance * (count / maximum(count - 1, 1))
    let isOpen = others(x).contains { x.dimension($0).value == nil }
    func set(_ buffer: Buffer, _ next: Tensor) {
      // The batch's statistics are of the input's dtype where that is the larger one.
      let next = next.cast(to: buffer.value.dtype)
      buffer.value = isOpen ? select(count .== 0, buffer.value, next) : next
    }
    if let momentum {
      set(runningMean, runningMean.value * (1 - momentum) + mean * momentum)
      set(runningVar, runningVar.value * (1 - momentum) + unbiased * momentum)
    } else {
      let share = 1 / batches.cast(to: mean.dtype)
      set(runningMean, runningMean.value + (mean - runningMean.value) * share)
      set(runningVar, runningVar.value + (unbiased - runningVar.value) * share)
    }
    set(numBatchesTracked, batches)
  }

  /// The axes besides the channels'.
  private func others(_ x: Tensor) -> [Int] { x.shape.indices.filter { $0 != 1 } }

  private func mismatch(_ x: Tensor, _ channels: Dim?) -> Tensor {
    let size = channels.map(\.description) ?? "C"
    let expected = ranks == 4...4 ? "[N, \(size), H, W]" : "[N, \(size)] or [N, \(size), L]"
    return .failure(.layer(expected: expected, got: x), as: x.type)
  }
}

/// Batch norm of images [N, C, H, W] (PyTorch's `BatchNorm2d`, Keras' `BatchNormalization(axis=1)`): see
/// ``BatchNormalization``.
///
/// ```swift
/// let block = Sequential {
///   Conv2D(3, 32, kernelSize: 3, bias: false)
///   BatchNorm2D(32)                       // or BatchNorm2D(), channels inferred
///   ReLU()
/// }
/// block.train()                           // the batch's statistics; the running ones move
/// block.eval()                            // the running statistics
/// ```
public final class BatchNorm2D: BatchNormalization, @unchecked Sendable {
  /// A layer whose number of channels is known.
  /// - Parameters:
  ///   - channels: C, the size of axis 1.
  ///   - epsilon: ε, which keeps the divisor from 0 (Keras' default is 1e-3).
  ///   - momentum: how far the running averages move towards each batch (Keras' 0.99 is 0.01 here); nil: they are the
  ///     plain averages of all batches.
  ///   - affine: whether there are a weight and a bias.
  ///   - dtype: of weight, bias and running averages.
  public init(
    _ channels: Int, epsilon: Double = 1e-5, momentum: Double? = 0.1, affine: Bool = true, dtype: DType = .float32
  ) {
    super.init(channels, epsilon: epsilon, momentum: momentum, affine: affine, dtype: dtype, ranks: 4...4)
  }

  /// Takes the number of channels from the first input.
  /// - Parameters:
  ///   - epsilon: ε, which keeps the divisor from 0.
  ///   - momentum: how far the running averages move towards each batch; nil: they are the plain averages of all
  ///     batches.
  ///   - affine: whether there are a weight and a bias.
  ///   - dtype: of weight, bias and running averages.
  public init(epsilon: Double = 1e-5, momentum: Double? = 0.1, affine: Bool = true, dtype: DType = .float32) {
    super.init(nil, epsilon: epsilon, momentum: momentum, affine: affine, dtype: dtype, ranks: 4...4)
  }
}

/// Batch norm of features [N, C] or sequences [N, C, L] (PyTorch's `BatchNorm1d`): see ``BatchNormalization``.
///
/// ```swift
/// let model = Sequential { Linear(64, 32); BatchNorm1D(32); ReLU() }
/// ```
public final class BatchNorm1D: BatchNormalization, @unchecked Sendable {
  /// A layer whose number of channels is known.
  /// - Parameters:
  ///   - channels: C, the size of axis 1.
  ///   - epsilon: ε, which keeps the divisor from 0.
  ///   - momentum: how far the running averages move towards each batch; nil: they are the plain averages of all
  ///     batches.
  ///   - affine: whether there are a weight and a bias.
  ///   - dtype: of weight, bias and running averages.
  public init(
    _ channels: Int, epsilon: Double = 1e-5, momentum: Double? = 0.1, affine: Bool = true, dtype: DType = .float32
  ) {
    super.init(channels, epsilon: epsilon, momentum: momentum, affine: affine, dtype: dtype, ranks: 2...3)
  }

  /// Takes the number of channels from the first input.
  /// - Parameters:
  ///   - epsilon: ε, which keeps the divisor from 0.
  ///   - momentum: how far the running averages move towards each batch; nil: they are the plain averages of all
  ///     batches.
  ///   - affine: whether there are a weight and a bias.
  ///   - dtype: of weight, bias and running averages.
  public init(epsilon: Double = 1e-5, momentum: Double? = 0.1, affine: Bool = true, dtype: DType = .float32) {
    super.init(nil, epsilon: epsilon, momentum: momentum, affine: affine, dtype: dtype, ranks: 2...3)
  }
}
