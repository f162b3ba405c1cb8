/// Normalises along one axis; the result has the operand's type.
public protocol SoftmaxFamily: PrimitiveDefinition {
  /// The axis that is normalised along, in 0..<rank.
  var axis: Int { get }
  /// Along an axis, in 0..<rank.
  init(axis: Int)
  /// The case that holds it.
  var primitive: Primitive { get }
}
extension SoftmaxFamily {
  public var residuals: Residuals { .outputs }
  public func infer(_ operands: [TensorType]) throws -> [TensorType] {
    try Rules.count(operands, 1)
    try Rules.floating(operands[0])
    try Rules.axis(axis, operands[0])
    return operands
  }
  public func batch(_ context: BatchContext) -> [Tensor] {
    Dispatch.run(Self(axis: axis + 1).primitive, context.inputs)
  }

  func total(_ x: Tensor) -> Tensor { x.sum(axes: [axis], keepDims: true) }
  /// `x` less its largest element, so that exp does not overflow.
  func centred(_ x: Tensor) -> Tensor { x - x.max(axes: [axis], keepDims: true) }

  public static var samples: [Sample] {
    [
      Sample(Self(axis: 0).primitive, [.real([3])]), Sample(Self(axis: 1).primitive, [.real([0, 2])]),
      Sample(Self(axis: 1).primitive, [.real([2, 3, 4])]), Sample(Self(axis: 2).primitive, [.real([2, 3, 4])]),
      Sample(Self(axis: 0).primitive, [.values([1000, 1001, 999], [3])]),
    ]
  }
}

extension Primitive {
  /// exp(xᵢ) / Σ exp(xⱼ) along `axis`, of float32 or float64.
  public struct Softmax: SoftmaxFamily {
    /// The axis that is normalised along, in 0..<rank.
    public var axis: Int
    /// Along an axis, in 0..<rank.
    public init(axis: Int) { self.axis = axis }

    public var name: String { "softmax" }
    /// The case that holds it.
    public var primitive: Primitive { .softmax(self) }
    public func vjp(_ context: VJPContext) -> [Tensor?] { [product(context.gradient, context.output(0))] }
    public func jvp(_ context: JVPContext) -> [Tensor?] { [context.tangents[0].map { product($0, context.output) }] }
    /// The Jacobian, diag(y) − y·yᵀ, is symmetric.
    private func product(_ v: Tensor, _ y: Tensor) -> Tensor {
      let vy = v * y
      return vy - y * total(vy)
    }
    public func decomposition(_ operands: [Tensor]) -> [Tensor]? {
      let e = centred(operands[0]).exp()
      return [e / total(e)]
    }
  }

  /// xᵢ − log Σ exp(xⱼ) along `axis`, of float32 or float64.
  public struct LogSoftmax: SoftmaxFamily {
    /// The axis that is normalised along, in 0..<rank.
    public var axis: Int
    /// Along an axis, in 0..<rank.
    public init(axis: Int) { self.axis = axis }

    public var name: String { "logSoftmax" }
    /// The case that holds it.
    public var primitive: Primitive { .logSoftmax(self) }
    public func vjp(_ context: VJPContext) -> [Tensor?] {
      let (g, y) = (context.gradient, context.output(0))
      let sum = total(g)
      // Where p is nearly 1, 1 − p from its logarithm: g − p·Σg as (g − Σg) + (1 − p)·Σg.
      return [ApusCore.select(y .> -0.5, (g - sum) - y.expm1() * sum, g - y.exp() * sum)]
    }
    public func jvp(_ context: JVPContext) -> [Tensor?] {
      [context.tangents[0].map { $0 - total(context.output.exp() * $0) }]
    }
    public func decomposition(_ operands: [Tensor]) -> [Tensor]? {
      let x = centred(operands[0])
      return [x - total(x.exp()).log()]
    }
  }
}
