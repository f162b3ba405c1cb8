import ApusCore

/// max(x, 0), element by element; the derivative at 0 is 0 (`ReLU` in PyTorch and Keras).
///
/// ```swift
/// let model = Sequential { Linear(64, 32); ReLU(); Linear(32, 10) }
/// ```
/// - Input and output: any shape, the same dtype.
public final class ReLU: Module {
  /// A layer without parameters.
  public init() {}
  public func forward(_ x: Tensor) -> Tensor { x.relu() }
}

/// x where x > 0, `slope`·x elsewhere, element by element (`LeakyReLU`; Keras' default slope is 0.3).
///
/// ```swift
/// let y = LeakyReLU(0.1)(Tensor([-1.0, 2.0]))      // [-0.1, 2]
/// ```
public final class LeakyReLU: Module {
  /// The factor of negative elements.
  public let slope: Double
  /// - Parameter slope: the factor of negative elements.
  public init(_ slope: Double = 0.01) { self.slope = slope }
  public func forward(_ x: Tensor) -> Tensor { x.leakyRelu(slope) }
}

/// x·Φ(x), element by element, Φ the normal distribution's function (Hendrycks and Gimpel, 2016,
/// https://arxiv.org/abs/1606.08415); `GELU` in PyTorch, `gelu` in Keras.
///
/// ```swift
/// let exact = GELU()
/// let asInGPT2 = GELU(approximation: .tanh)
/// ```
public final class GELU: Module {
  /// How Φ is computed.
  public enum Approximation: Hashable, Sendable {
    /// Φ by the error function.
    case none
    /// Φ ≈ ½(1 + tanh(√(2/π)(x + 0.044715x³))).
    case tanh
  }
  /// How Φ is computed.
  public let approximation: Approximation
  /// - Parameter approximation: how Φ is computed.
  public init(approximation: Approximation = .none) { self.approximation = approximation }
  public func forward(_ x: Tensor) -> Tensor {
    switch approximation {
    case .none: x.gelu()
    case .tanh: x.gelu(approximation: .tanh)
    }
  }
}

/// x·σ(x), element by element, also called swish (Elfwing et al., 2017, https://arxiv.org/abs/1702.03118).
///
/// ```swift
/// let y = SiLU()(Tensor([-1.0, 0.0, 1.0]))         // [-0.2689, 0, 0.7311]
/// ```
public final class SiLU: Module {
  /// A layer without parameters.
  public init() {}
  public func forward(_ x: Tensor) -> Tensor { x.silu() }
}

/// 1 / (1 + e⁻ˣ), element by element. For binary cross entropy leave it out: that loss takes logits.
///
/// ```swift
/// let y = Sigmoid()(Tensor([0.0]))                 // [0.5]
/// ```
public final class Sigmoid: Module {
  /// A layer without parameters.
  public init() {}
  public func forward(_ x: Tensor) -> Tensor { x.sigmoid() }
}

/// The hyperbolic tangent, element by element: (eˣ − e⁻ˣ) / (eˣ + e⁻ˣ).
///
/// ```swift
/// let y = Tanh()(Tensor([0.0]))                    // [0]
/// ```
public final class Tanh: Module {
  /// A layer without parameters.
  public init() {}
  public func forward(_ x: Tensor) -> Tensor { x.tanh() }
}

/// eˣ / Σ eˣ along an axis: positive numbers that sum to 1. For cross entropy leave it out: that loss takes logits.
///
/// ```swift
/// let y = Softmax()(Tensor([[1.0, 2.0, 3.0]]))     // [[0.0900, 0.2447, 0.6652]]
/// ```
public final class Softmax: Module {
  /// The axis that is summed over; negative counts from the end.
  public let axis: Int
  /// - Parameter axis: the axis that is summed over; negative counts from the end.
  public init(axis: Int = -1) { self.axis = axis }
  public func forward(_ x: Tensor) -> Tensor { x.softmax(axis: axis) }
}
