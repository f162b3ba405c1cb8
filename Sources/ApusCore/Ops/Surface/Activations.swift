/// How ``Tensor/gelu(approximation:)`` is computed.
public enum GELUApproximation: Sendable {
  /// By the error function.
  case none
  /// By the hyperbolic tangent, as the paper's and GPT-2's.
  case tanh
}

extension Tensor {
  /// Gaussian error linear unit: x·Φ(x) = x/2·erfc(−x/√2); with `.tanh`,
  /// x/2·(1 + tanh(√(2/π)·(x + 0.044715 x³))). Hendrycks and Gimpel, 2016, https://arxiv.org/abs/1606.08415
  public func gelu(approximation: GELUApproximation = .none) -> Tensor {
    switch approximation {
    case .none: Dispatch.unary(.gelu, asReal())
    case .tanh: Dispatch.unary(.tanhGELU, asReal())
    }
  }

  /// x·sigmoid(x), also known as swish.
  public func silu() -> Tensor { Dispatch.unary(.silu, asReal()) }

  /// log(1 + eˣ), without overflow.
  public func softplus() -> Tensor {
    let x = asReal()
    // Either branch is smooth beyond its end, so that derivatives of any order are right at 0 too.
    let isPositive = x .> 0
    return select(isPositive, x, 0) + select(isPositive, -x, x).exp().log1p()
  }

  /// x where it is positive, slope·x elsewhere.
  public func leakyRelu(_ slope: Double = 0.01) -> Tensor {
    let x = asReal()
    return select(x .> 0, x, x * slope)
  }

  /// x where it is positive, α·(eˣ − 1) elsewhere. Clevert et al., 2015, https://arxiv.org/abs/1511.07289
  public func elu(alpha: Double = 1) -> Tensor {
    let x = asReal()
    // 0 itself belongs to the exponential's side, whose slope there is α.
    let isPositive = x .> 0
    return select(isPositive, x, select(isPositive, 0, x).expm1() * alpha)
  }

  /// exp(xᵢ) / Σ exp(xⱼ) along an axis; the result has the operand's shape and sums to 1.
  ///
  /// ```swift
  /// Tensor([1.0, 2.0, 3.0]).softmax(axis: -1)      // [0.0900, 0.2447, 0.6652]
  /// ```
  /// - Parameter axis: negative counts from the end.
  public func softmax(axis: Int = -1) -> Tensor {
    Tensor.attempt("softmax", self) {
      Dispatch.one(.softmax(.init(axis: try normalized(axis))), asReal())
    }
  }

  /// xᵢ − log Σ exp(xⱼ) along an axis: the logarithm of ``softmax(axis:)``, exact where that underflows.
  public func logSoftmax(axis: Int = -1) -> Tensor {
    Tensor.attempt("logSoftmax", self) {
      Dispatch.one(.logSoftmax(.init(axis: try normalized(axis))), asReal())
    }
  }
}
