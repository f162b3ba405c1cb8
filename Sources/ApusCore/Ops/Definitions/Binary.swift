/// Two operands of equal type, element by element; the result has that type.
protocol BinaryElementwise: PrimitiveDefinition {
  var primitive: Primitive { get }
  func check(_ type: TensorType) throws
}
extension BinaryElementwise {
  func check(_ type: TensorType) throws { try Rules.numeric(type) }
  func infer(_ operands: [TensorType]) throws -> [TensorType] {
    try Rules.count(operands, 2)
    try Rules.same(operands[0], operands[1])
    try check(operands[0])
    return [operands[0]]
  }
  func batch(_ context: BatchContext) -> [Tensor] { Dispatch.run(primitive, context.allBatched) }

  static func samples(
    _ primitive: Primitive, _ a: ClosedRange<Double> = -2...2, _ b: ClosedRange<Double> = -2...2
  ) -> [Sample] {
    SampleShapes.all.map { Sample(primitive, [.real($0, a), .real($0, b)]) }
  }
}

extension Primitive {
  struct Add: BinaryElementwise, Elementary {
    var name: String { "add" }
    var primitive: Primitive { .add }
    var residuals: Residuals { [] }
    func vjp(_ context: VJPContext) -> [Tensor?] { [context.gradient, context.gradient] }
    func jvp(_ context: JVPContext) -> [Tensor?] { [context.sum(context.tangents[0], context.tangents[1])] }
    static var samples: [Sample] { samples(.add) + [Sample(.add, [.integer([2], -5...5), .integer([2], -5...5)])] }
  }

  struct Subtract: BinaryElementwise, Elementary {
    var name: String { "subtract" }
    var primitive: Primitive { .subtract }
    var residuals: Residuals { [] }
    func vjp(_ context: VJPContext) -> [Tensor?] {
      [context.gradient, context.needs(1) ? -context.gradient : nil]
    }
    func jvp(_ context: JVPContext) -> [Tensor?] { [context.sum(context.tangents[0], context.tangents[1].map { -$0 })] }
    static var samples: [Sample] { samples(.subtract) }
  }

  struct Multiply: BinaryElementwise, Elementary {
    var name: String { "multiply" }
    var primitive: Primitive { .multiply }
    var residuals: Residuals { [.input0, .input1] }
    func vjp(_ context: VJPContext) -> [Tensor?] {
      let g = context.gradient
      return [context.needs(0) ? g * context.input(1) : nil, context.needs(1) ? g * context.input(0) : nil]
    }
    func jvp(_ context: JVPContext) -> [Tensor?] {
      [
        context.sum(
          context.tangents[0].map { $0 * context.inputs[1] }, context.tangents[1].map { context.inputs[0] * $0 })
      ]
    }
    static var samples: [Sample] {
      samples(.multiply) + [Sample(.multiply, [.integer([2], -5...5, .int32), .integer([2], -5...5, .int32)])]
    }
  }

  /// a / b; on integers the quotient truncated toward zero, 0 where b is 0.
  struct Divide: BinaryElementwise, Elementary {
    var name: String { "divide" }
    var primitive: Primitive { .divide }
    var residuals: Residuals { [.input1, .outputs] }
    func vjp(_ context: VJPContext) -> [Tensor?] {
      let (g, b) = (context.gradient, context.input(1))
      if let known = b.uniformScalar, known.doubleValue != 0 {
        let quotient = g / b
        return [quotient, context.needs(1) ? -(quotient * context.output(0)) : nil]
      }
      // By 0, what does not count remains 0.
      let isIdle = (b .== 0) .&& (g .== 0)
      let quotient = g / ApusCore.select(isIdle, 1, b)
      return [quotient, context.needs(1) ? -(quotient * ApusCore.select(isIdle, 0, context.output(0))) : nil]
    }
    func jvp(_ context: JVPContext) -> [Tensor?] {
      let b = context.inputs[1]
      return [
        context.sum(context.tangents[0].map { $0 / b }, context.tangents[1].map { -($0 * context.output / b) })
      ]
    }
    static var samples: [Sample] {
      samples(.divide, -2...2, 0.5...2) + [
        Sample(.divide, [.integer([4], -9...9), .values([2, -2, 0, 3], [4], .int64)])
      ]
    }
  }

  /// a − b·⌊a/b⌋: the sign is the divisor's; 0 where an integer divisor is 0.
  struct Remainder: BinaryElementwise, Elementary {
    var name: String { "remainder" }
    var primitive: Primitive { .remainder }
    var residuals: Residuals { [.input0, .input1] }
    func vjp(_ context: VJPContext) -> [Tensor?] {
      let g = context.gradient
      return [g, context.needs(1) ? -(g * context.input(0).floorDivide(context.input(1))) : nil]
    }
    func jvp(_ context: JVPContext) -> [Tensor?] {
      let (a, b) = (context.inputs[0], context.inputs[1])
      return [context.sum(context.tangents[0], context.tangents[1].map { -($0 * a.floorDivide(b)) })]
    }
    static var samples: [Sample] {
      [
        Sample(.remainder, [.values([5.5, -5.5, 5.5, -5.5], [2, 2]), .values([2, 2, -2, -2], [2, 2])]),
        Sample(.remainder, [.values([7, -7, 7, -7, 3], [5], .int64), .values([3, 3, -3, -3, 0], [5], .int64)]),
        Sample(.remainder, [.real([0, 2]), .real([0, 2])]),
        Sample(.remainder, [.values([1.3], []), .values([0.4], [])]),
      ]
    }
  }

  /// aᵇ. Integer powers with a negative exponent are the truncated quotient 1/a^|b|.
  struct Power: BinaryElementwise, Elementary {
    var name: String { "power" }
    var primitive: Primitive { .power }
    var residuals: Residuals { [.input0, .input1, .outputs] }
    func vjp(_ context: VJPContext) -> [Tensor?] {
      let g = context.gradient
      let (a, b) = (context.input(0), context.input(1))
      return [
        context.needs(0) ? g * Self.slope(a, b, of: g, isConstant: !context.needs(1)) : nil,
        context.needs(1) ? g * Self.exponentSlope(a, b, context.output(0), of: g) : nil,
      ]
    }
    func jvp(_ context: JVPContext) -> [Tensor?] {
      let (a, b) = (context.inputs[0], context.inputs[1])
      return [
        context.sum(
          context.tangents[0].map { $0 * Self.slope(a, b, of: $0, isConstant: context.tangents[1] == nil) },
          context.tangents[1].map { $0 * Self.exponentSlope(a, b, context.output, of: $0) })
      ]
    }

    /// b·a^(b−1), 0 where b is 0, for a product with `v`: finite at the pole a = 0 where v is 0. An exponent that is one
    /// known number costs no tensor of exponents.
    private static func slope(_ a: Tensor, _ b: Tensor, of v: Tensor, isConstant: Bool) -> Tensor {
      if isConstant, let exponent = b.uniformScalar {
        switch exponent.doubleValue {
        case 0: return Tensor.zerosLike(a)
        case 1: return Tensor.onesLike(a)
        case 2: return a * 2
        case let p where p < 1: return a.divisor(of: v) ** (p - 1) * p
        case let p: return a ** (p - 1) * p
        }
      }
      let isIdle = (a .== 0) .&& ((b .== 0) .|| (v .== 0))
      return b * ApusCore.select(isIdle, 1, a).power(b - 1)
    }

    /// aᵇ·log a, 0 where a is 0 and b is not negative, and where a is ∞ and b is; for a product with `v`. The logarithm
    /// never sees those, so that no NaN comes of 0·∞.
    private static func exponentSlope(_ a: Tensor, _ b: Tensor, _ y: Tensor, of v: Tensor) -> Tensor {
      let vanishes =
        ((a .== 0) .&& ((b .>= 0) .|| (v .== 0))) .|| ((a .== Double.infinity) .&& (b .< 0))
      return ApusCore.select(vanishes, 0, y * ApusCore.select(vanishes, 1, a).log())
    }

    static var samples: [Sample] {
      samples(.power, 0.3...2, -2...2) + [
        Sample(.power, [.values([0, 0, -2, 3], [4]), .values([0, 2, 3, 0], [4])], smooth: false),
        Sample(.power, [.values([2, -3, 0, 1], [4], .int64), .values([3, 2, 0, 5], [4], .int64)]),
      ]
    }
  }
}

/// The larger (or smaller) of two; NaN wins. Where they are equal each gets half of the gradient.
protocol Extremum: BinaryElementwise, Elementary {
  /// Whether operand `b` is the one that counts, strictly.
  func prefersSecond(_ a: Tensor, _ b: Tensor) -> Tensor
}
extension Extremum {
  var residuals: Residuals { [.input0, .input1] }
  func vjp(_ context: VJPContext) -> [Tensor?] {
    let (a, b) = (context.input(0), context.input(1))
    return [
      context.needs(0) ? share(context.gradient, a, b) : nil, context.needs(1) ? share(context.gradient, b, a) : nil,
    ]
  }
  func jvp(_ context: JVPContext) -> [Tensor?] {
    let (a, b) = (context.inputs[0], context.inputs[1])
    return [context.sum(context.tangents[0].map { share($0, a, b) }, context.tangents[1].map { share($0, b, a) })]
  }
  private func share(_ v: Tensor, _ mine: Tensor, _ other: Tensor) -> Tensor {
    select(prefersSecond(mine, other), 0, select(mine .== other, v * 0.5, v))
  }
}

extension Primitive {
  struct Maximum: Extremum {
    var name: String { "maximum" }
    var primitive: Primitive { .maximum }
    func prefersSecond(_ a: Tensor, _ b: Tensor) -> Tensor { a .< b }
    static var samples: [Sample] {
      samples(.maximum) + [Sample(.maximum, [.values([1, 2, 3], [3]), .values([1, 3, 2], [3])], smooth: false)]
    }
  }

  struct Minimum: Extremum {
    var name: String { "minimum" }
    var primitive: Primitive { .minimum }
    func prefersSecond(_ a: Tensor, _ b: Tensor) -> Tensor { a .> b }
    static var samples: [Sample] {
      samples(.minimum) + [Sample(.minimum, [.values([1, 2, 3], [3]), .values([1, 3, 2], [3])], smooth: false)]
    }
  }
}
