import ApusCore

/// max(x, 0), element by element.
public final class ReLU: Module {
  public init() {}
  public func forward(_ x: Tensor) -> Tensor { x.relu() }
}

/// x where x > 0, `slope`·x elsewhere.
public final class LeakyReLU: Module {
  public let slope: Double
  public init(_ slope: Double = 0.01) { self.slope = slope }
  public func forward(_ x: Tensor) -> Tensor { x.leakyRelu(slope) }
}

/// x·Φ(x), Φ the normal distribution's function (Hendrycks and Gimpel, 2016, https://arxiv.org/abs/1606.08415).
public final class GELU: Module {
  public enum Approximation: Hashable, Sendable {
    /// Φ by the error function.
    case none
    /// Φ ≈ ½(1 + tanh(√(2/π)(x + 0.044715x³))).
    case tanh
  }
  public let approximation: Approximation
  public init(approximation: Approximation = .none) { self.approximation = approximation }
  public func forward(_ x: Tensor) -> Tensor {
    switch approximation {
    case .none: x.gelu()
    case .tanh: x.gelu(approximation: .tanh)
    }
  }
}

/// x·σ(x), also called swish (Elfwing et al., 2017).
public final class SiLU: Module {
  public init() {}
  public func forward(_ x: Tensor) -> Tensor { x.silu() }
}

/// 1 / (1 + e⁻ˣ), element by element.
public final class Sigmoid: Module {
  public init() {}
  public func forward(_ x: Tensor) -> Tensor { x.sigmoid() }
}

/// The hyperbolic tangent, element by element.
public final class Tanh: Module {
  public init() {}
  public func forward(_ x: Tensor) -> Tensor { x.tanh() }
}

/// eˣ / Σ eˣ along an axis.
public final class Softmax: Module {
  public let axis: Int
  public init(axis: Int = -1) { self.axis = axis }
  public func forward(_ x: Tensor) -> Tensor { x.softmax(axis: axis) }
}
