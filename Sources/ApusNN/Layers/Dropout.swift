import ApusCore

/// In training, sets each element to 0 with a probability and divides the others by what is left: the expected value
/// stays (Srivastava et al., 2014, https://jmlr.org/papers/v15/srivastava14a.html). In inference mode, the input
/// itself.
///
/// y = x / (1 − p) where b is 1 and 0 elsewhere, b ~ Bernoulli(1 − p), drawn anew at each call. With p = 1 the output
/// is 0.
/// ```swift
/// let model = Sequential { Linear(64, 32); Dropout(0.2); Linear(32, 10) }
/// model.eval()                            // switches it off, `model.train()` on again
/// ```
/// - Input and output: any shape. PyTorch's `p` and Keras' `rate` are the same probability.
public final class Dropout: Module {
  /// p, the probability of setting an element to 0.
  public let probability: Double
  /// Whether it is in training mode: see ``Module/train()`` and ``Module/eval()``.
  public let mode = Mode(true)
  /// Where the random numbers come from.
  public let generator: Generator

  /// - Parameters:
  ///   - probability: of setting an element to 0, from 0 to 1.
  ///   - generator: where the random numbers come from.
  public init(_ probability: Double = 0.5, generator: Generator = .default) {
    require((0...1).contains(probability), "Dropout(\(probability)): a probability is between 0 and 1")
    self.probability = probability
    self.generator = generator
  }

  public func forward(_ x: Tensor) -> Tensor {
    if !mode.value || probability == 0 { return x }
    // Chosen, not multiplied by 0: what is dropped may be infinite.
    if probability == 1 { return select(Tensor(false), x, 0) }
    let keep = Tensor.uniform(x.shape, dtype: .float32, generator: generator) .>= probability
    return select(keep, x * (1 / (1 - probability)), 0)
  }
}
