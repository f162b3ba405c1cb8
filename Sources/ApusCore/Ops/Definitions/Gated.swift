/// x times a gate that opens from 0 to 1: y → 0 at −∞ and y → x at ∞, which a product would make 0·∞ of.
protocol Gated: DiagonalDerivative {
  /// The derivative, finite at the infinities.
  func slope(_ x: Tensor) -> Tensor
}
extension Gated {
  var residuals: Residuals { .input0 }
  func product(_ v: Tensor, _ x: () -> Tensor, _ y: () -> Tensor) -> Tensor { v * slope(x()) }
}

extension Tensor {
  /// Within ±`bound`, beyond which a gate's slope is 0 in every dtype: what it is multiplied with is finite then.
  fileprivate func within(_ bound: Double) -> Tensor { minimum(maximum(self, -bound), bound) }
}

extension Primitive {
  /// x·σ(x). Derivative: σ(x)·(1 + x·σ(−x)).
  struct SiLU: Gated {
    var name: String { "silu" }
    var primitive: Primitive { .silu }
    func slope(_ x: Tensor) -> Tensor { x.sigmoid() * (x.within(1000) * (-x).sigmoid() + 1) }
    func decomposition(_ operands: [Tensor]) -> [Tensor]? { [operands[0] * operands[0].sigmoid()] }
    static var samples: [Sample] { samples(.silu) }
  }

  /// x·Φ(x). Derivative: Φ(x) + x·φ(x).
  struct GELU: Gated {
    var name: String { "gelu" }
    var primitive: Primitive { .gelu }
    func slope(_ x: Tensor) -> Tensor {
      Dispatch.unary(.normalCDF, x) + x.within(40) * Dispatch.unary(.normalPDF, x)
    }
    func decomposition(_ operands: [Tensor]) -> [Tensor]? {
      [operands[0] * Dispatch.unary(.normalCDF, operands[0])]
    }
    static var samples: [Sample] { samples(.gelu) }
  }

  /// x·σ(2u), which is x/2·(1 + tanh u), with u = √(2/π)·(x + 0.044715 x³). Derivative: σ(2u)·(1 + x·2u′·σ(−2u)).
  struct TanhGELU: Gated {
    var name: String { "tanhGELU" }
    var primitive: Primitive { .tanhGELU }
    private static let linear = 1.5957691216057308  // 2√(2/π)
    private static let cubic = linear * 0.044715
    private func gate(_ x: Tensor) -> Tensor { x * (x * x * Self.cubic + Self.linear) }
    func slope(_ x: Tensor) -> Tensor {
      let x = x.within(40)
      let gate = gate(x)
      return gate.sigmoid() * (x * (x * x * (3 * Self.cubic) + Self.linear) * (-gate).sigmoid() + 1)
    }
    func decomposition(_ operands: [Tensor]) -> [Tensor]? { [operands[0] * gate(operands[0]).sigmoid()] }
    static var samples: [Sample] { samples(.tanhGELU) }
  }

  /// Φ(x) = ½ erfc(−x/√2), relatively exact in the left tail.
  struct NormalCDF: DiagonalDerivative, Elementary {
    var name: String { "normalCDF" }
    var primitive: Primitive { .normalCDF }
    var residuals: Residuals { .input0 }
    func product(_ v: Tensor, _ x: () -> Tensor, _ y: () -> Tensor) -> Tensor { v * Dispatch.unary(.normalPDF, x()) }
    static var samples: [Sample] { samples(.normalCDF) }
  }

  /// φ(x) = e^(−x²/2)/√(2π), relatively exact in the tails.
  struct NormalPDF: DiagonalDerivative, Elementary {
    var name: String { "normalPDF" }
    var primitive: Primitive { .normalPDF }
    var residuals: Residuals { [.input0, .outputs] }
    func product(_ v: Tensor, _ x: () -> Tensor, _ y: () -> Tensor) -> Tensor { v * -(x().within(40) * y()) }
    static var samples: [Sample] { samples(.normalPDF) }
  }
}
