extension Tensor {
  /// This to divide `v` by: 1 where both are 0. What does not count at a pole remains 0 instead of 0/0.
  func divisor(of v: Tensor) -> Tensor { select((self .== 0) .&& (v .== 0), 1, self) }

  /// This value with the derivatives of `path`: the same function in a form whose derivatives keep their digits where its
  /// value does not. Costs nothing where no higher order is asked for.
  func differentiated(as path: () -> Tensor) -> Tensor {
    guard ExecutionContext.recordsGradients else { return self }
    let path = path()
    return detached() + (path - path.detached())
  }
}

extension Primitive {
  struct Exp: DiagonalDerivative, Elementary {
    var name: String { "exp" }
    var primitive: Primitive { .exp }
    var residuals: Residuals { .outputs }
    func product(_ v: Tensor, _ x: () -> Tensor, _ y: () -> Tensor) -> Tensor { v * y() }
    static var samples: [Sample] { samples(.exp) }
  }

  /// exp(x) − 1, exact near 0.
  struct Expm1: DiagonalDerivative, Elementary {
    var name: String { "expm1" }
    var primitive: Primitive { .expm1 }
    // Not y + 1, which is nothing where y is nearly −1.
    var residuals: Residuals { .input0 }
    func product(_ v: Tensor, _ x: () -> Tensor, _ y: () -> Tensor) -> Tensor { v * x().exp() }
    static var samples: [Sample] { samples(.expm1) }
  }

  struct Log: DiagonalDerivative, Elementary {
    var name: String { "log" }
    var primitive: Primitive { .log }
    var residuals: Residuals { .input0 }
    func product(_ v: Tensor, _ x: () -> Tensor, _ y: () -> Tensor) -> Tensor { v / x().divisor(of: v) }
    static var samples: [Sample] { samples(.log, 0.2...3) }
  }

  /// log(1 + x), exact near 0.
  struct Log1p: DiagonalDerivative, Elementary {
    var name: String { "log1p" }
    var primitive: Primitive { .log1p }
    var residuals: Residuals { .input0 }
    func product(_ v: Tensor, _ x: () -> Tensor, _ y: () -> Tensor) -> Tensor { v / (x() + 1).divisor(of: v) }
    static var samples: [Sample] { samples(.log1p, -0.8...3) }
  }

  struct Sqrt: DiagonalDerivative, Elementary {
    var name: String { "sqrt" }
    var primitive: Primitive { .sqrt }
    var residuals: Residuals { .outputs }
    func product(_ v: Tensor, _ x: () -> Tensor, _ y: () -> Tensor) -> Tensor { v / (y() * 2).divisor(of: v) }
    static var samples: [Sample] { samples(.sqrt, 0.2...3) }
  }

  /// 1 / √x.
  struct Rsqrt: DiagonalDerivative {
    var name: String { "rsqrt" }
    var primitive: Primitive { .rsqrt }
    var residuals: Residuals { .outputs }
    func product(_ v: Tensor, _ x: () -> Tensor, _ y: () -> Tensor) -> Tensor {
      let y = y()
      // y³ would overflow and vanish before the product does.
      let finite = ApusCore.select((y .== Double.infinity) .&& (v .== 0), 0, y)
      return v * finite * (finite * finite * -0.5)
    }
    func decomposition(_ operands: [Tensor]) -> [Tensor]? { [1 / operands[0].sqrt()] }
    static var samples: [Sample] { samples(.rsqrt, 0.2...3) }
  }

  struct Sin: DiagonalDerivative, Elementary {
    var name: String { "sin" }
    var primitive: Primitive { .sin }
    var residuals: Residuals { .input0 }
    func product(_ v: Tensor, _ x: () -> Tensor, _ y: () -> Tensor) -> Tensor { v * x().cos() }
    static var samples: [Sample] { samples(.sin) }
  }

  struct Cos: DiagonalDerivative, Elementary {
    var name: String { "cos" }
    var primitive: Primitive { .cos }
    var residuals: Residuals { .input0 }
    func product(_ v: Tensor, _ x: () -> Tensor, _ y: () -> Tensor) -> Tensor { -(v * x().sin()) }
    static var samples: [Sample] { samples(.cos) }
  }

  struct Tanh: DiagonalDerivative, Elementary {
    var name: String { "tanh" }
    var primitive: Primitive { .tanh }
    var residuals: Residuals { [.input0, .outputs] }
    /// 1 − y², as 4·σ(2x)·σ(−2x): exact where y is nearly ±1.
    func product(_ v: Tensor, _ x: () -> Tensor, _ y: () -> Tensor) -> Tensor {
      let twice = x() * 2
      let slope = (twice.sigmoid() * (-twice).sigmoid() * 4).differentiated { 1 - y() * y() }
      return v * slope
    }
    static var samples: [Sample] { samples(.tanh) }
  }

  /// 2/√π ∫₀ˣ exp(−t²) dt.
  struct Erf: DiagonalDerivative, Elementary {
    var name: String { "erf" }
    var primitive: Primitive { .erf }
    var residuals: Residuals { .input0 }
    func product(_ v: Tensor, _ x: () -> Tensor, _ y: () -> Tensor) -> Tensor {
      // φ(√2·x) is e^(−x²)/√(2π).
      v * (Dispatch.unary(.normalPDF, x() * 1.4142135623730951) * 2.8284271247461903)
    }
    static var samples: [Sample] { samples(.erf) }
  }

  /// 1 / (1 + exp(−x)).
  struct Sigmoid: DiagonalDerivative {
    var name: String { "sigmoid" }
    var primitive: Primitive { .sigmoid }
    var residuals: Residuals { [.input0, .outputs] }
    /// y·(1 − y), where 1 − y is σ(−x), which it does not show where y is nearly 1.
    func product(_ v: Tensor, _ x: () -> Tensor, _ y: () -> Tensor) -> Tensor {
      let slope = (y() * (-x()).sigmoid()).differentiated {
        let t = (x() * 0.5).tanh()
        return (1 - t * t) * 0.25
      }
      return v * slope
    }
    func decomposition(_ operands: [Tensor]) -> [Tensor]? { [1 / ((-operands[0]).exp() + 1)] }
    static var samples: [Sample] { samples(.sigmoid) }
  }

  /// max(x, 0); the derivative at 0 is taken as 0.
  struct Relu: DiagonalDerivative {
    var name: String { "relu" }
    var primitive: Primitive { .relu }
    var residuals: Residuals { .outputs }
    func check(_ type: TensorType) throws { try Rules.numeric(type) }
    func product(_ v: Tensor, _ x: () -> Tensor, _ y: () -> Tensor) -> Tensor { ApusCore.select(y() .> 0, v, 0) }
    func decomposition(_ operands: [Tensor]) -> [Tensor]? { [ApusCore.maximum(operands[0], 0)] }
    static var samples: [Sample] {
      samples(.relu) + [
        Sample(.relu, [.values([-1, 0, 2], [3])], smooth: false), Sample(.relu, [.integer([2, 3], -5...5)]),
      ]
    }
  }
}
