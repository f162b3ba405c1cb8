/// One operand, element by element; the result has its type.
protocol UnaryElementwise: PrimitiveDefinition {
  var primitive: Primitive { get }
  /// Checks the operand's dtype.
  func check(_ type: TensorType) throws
}
extension UnaryElementwise {
  func check(_ type: TensorType) throws { try Rules.floating(type) }
  func infer(_ operands: [TensorType]) throws -> [TensorType] {
    try Rules.count(operands, 1)
    try check(operands[0])
    return operands
  }
  func batch(_ context: BatchContext) -> [Tensor] { Dispatch.run(primitive, context.inputs) }

  /// Samples over the shared shapes with values in `range`.
  static func samples(_ primitive: Primitive, _ range: ClosedRange<Double> = -2...2) -> [Sample] {
    SampleShapes.all.map { Sample(primitive, [.real($0, range)]) }
  }
}

/// Its Jacobian is diagonal, so one product serves both modes.
protocol DiagonalDerivative: UnaryElementwise {
  /// `v · f'(x)`.
  func product(_ v: Tensor, _ x: () -> Tensor, _ y: () -> Tensor) -> Tensor
}
extension DiagonalDerivative {
  func vjp(_ context: VJPContext) -> [Tensor?] {
    [product(context.gradient, { context.input(0) }, { context.output(0) })]
  }
  func jvp(_ context: JVPContext) -> [Tensor?] {
    guard let tangent = context.tangents[0] else { return [nil] }
    return [product(tangent, { context.inputs[0] }, { context.output })]
  }
}

/// Steps: the derivative is zero wherever it exists, and, as everywhere in the field, zero at the steps.
protocol PiecewiseConstant: UnaryElementwise, Elementary {}
extension PiecewiseConstant {
  var residuals: Residuals { [] }
  func vjp(_ context: VJPContext) -> [Tensor?] { [Tensor.zerosLike(context.gradient)] }
  func jvp(_ context: JVPContext) -> [Tensor?] { [nil] }
}

extension Primitive {
  struct Negate: DiagonalDerivative, Elementary {
    var name: String { "negate" }
    var primitive: Primitive { .negate }
    var residuals: Residuals { [] }
    func check(_ type: TensorType) throws { try Rules.numeric(type) }
    func product(_ v: Tensor, _ x: () -> Tensor, _ y: () -> Tensor) -> Tensor { -v }
    static var samples: [Sample] { samples(.negate) + [Sample(.negate, [.integer([2, 3], -5...5)])] }
  }

  /// |x|; the derivative at 0 is taken as 0.
  struct Abs: DiagonalDerivative, Elementary {
    var name: String { "abs" }
    var primitive: Primitive { .abs }
    var residuals: Residuals { .input0 }
    func check(_ type: TensorType) throws { try Rules.numeric(type) }
    func product(_ v: Tensor, _ x: () -> Tensor, _ y: () -> Tensor) -> Tensor { v * x().sign() }
    static var samples: [Sample] {
      samples(.abs) + [
        Sample(.abs, [.integer([2, 3], -5...5, .int32)]), Sample(.abs, [.values([-1, 0, 2], [3])], smooth: false),
      ]
    }
  }

  /// −1, 0 or 1; NaN stays NaN.
  struct Sign: PiecewiseConstant {
    var name: String { "sign" }
    var primitive: Primitive { .sign }
    func check(_ type: TensorType) throws { try Rules.numeric(type) }
    static var samples: [Sample] {
      samples(.sign, 0.5...2) + [Sample(.sign, [.values([-1, 0, 2], [3])], smooth: false)]
    }
  }

  struct Floor: PiecewiseConstant {
    var name: String { "floor" }
    var primitive: Primitive { .floor }
    static var samples: [Sample] {
      [Sample(.floor, [.values([-1.5, -0.2, 0.3, 2.5], [2, 2])])] + samples(.floor, 0.2...0.8)
    }
  }

  struct Ceil: PiecewiseConstant {
    var name: String { "ceil" }
    var primitive: Primitive { .ceil }
    static var samples: [Sample] {
      [Sample(.ceil, [.values([-1.5, -0.2, 0.3, 2.5], [2, 2])])] + samples(.ceil, 0.2...0.8)
    }
  }

  /// To the nearest whole number, halves to the even one.
  struct Round: PiecewiseConstant {
    var name: String { "round" }
    var primitive: Primitive { .round }
    static var samples: [Sample] {
      samples(.round, 0.1...0.4) + [Sample(.round, [.values([-2.5, -1.5, 0.5, 1.5], [4])], smooth: false)]
    }
  }

  struct LogicalNot: UnaryElementwise, NotDifferentiable, Elementary {
    static var notDifferentiableBecause: String { "it works on truth values" }
    var name: String { "logicalNot" }
    var primitive: Primitive { .logicalNot }
    func check(_ type: TensorType) throws { try Rules.boolean(type) }
    static var samples: [Sample] { SampleShapes.all.map { Sample(.logicalNot, [.bool($0)]) } }
  }
}
