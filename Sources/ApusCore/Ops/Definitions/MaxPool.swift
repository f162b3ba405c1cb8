/// The largest element of each window of an NCHW tensor, and the two that its derivatives are made of.
public protocol MaxPoolFamily: PrimitiveDefinition {
  /// The window's rows and columns.
  var kernel: Pair { get }
  /// Rows and columns the window moves by.
  var strides: Pair { get }
  /// A border that counts as −∞; on each side less than the window.
  var padding: Padding2D { get }
  /// Distance, in rows and columns, of the window's neighbouring elements.
  var dilation: Pair { get }
  /// A member of the family with this window.
  init(kernel: Pair, strides: Pair, padding: Padding2D, dilation: Pair)
  /// The case that holds it.
  var primitive: Primitive { get }
}
extension MaxPoolFamily {
  var window: Window { Window(kernel: kernel, strides: strides, padding: padding, dilation: dilation) }

  func sibling<P: MaxPoolFamily>(_ type: P.Type) -> P {
    P(kernel: kernel, strides: strides, padding: padding, dilation: dilation)
  }
  func scatter(_ x: Tensor, _ g: Tensor) -> Tensor {
    Dispatch.one(sibling(Primitive.MaxPoolGradient.self).primitive, x, g)
  }
  func gather(_ x: Tensor, _ v: Tensor) -> Tensor {
    Dispatch.one(sibling(Primitive.MaxPoolGather.self).primitive, x, v)
  }

  func pooledShape(_ x: TensorType) throws -> Shape {
    try Rules.numeric(x)
    try Rules.rank(x, 4, "the image (NCHW)")
    try window.check()
    let out = try window.positions(x.shape.dim(2), x.shape.dim(3))
    try window.checkElements(x.shape.dim(2), x.shape.dim(3), out)
    return [x.shape.dim(0), x.shape.dim(1), out.height, out.width]
  }

  /// The batch joins N.
  public func batch(_ context: BatchContext) -> [Tensor] {
    let merged = context.allBatched.map { $0.reshape($0.shape.mergingFirstTwo) }
    return Dispatch.run(primitive, merged).map { $0.reshape($0.shape.splitting(0, context.size)) }
  }

  /// [N, C, kernel elements, OH, OW]: whether an element is its window's first largest.
  func chosen(_ x: Tensor) throws -> Tensor {
    let unfolded = try window.unfolded(x, border: Scalar.double(-.infinity).saturated(x.dtype))
    let best = unfolded.argMax(axis: 2, keepDims: true)
    let places = Dispatch.one(.iota(.init(type: TensorType(.int64, unfolded.shape), axis: 2)))
    return places .== best.broadcast(to: unfolded.shape)
  }

  static func geometries() -> [(Self, Shape)] {
    func make(_ kernel: Pair, _ strides: Pair, _ padding: Padding2D = .zero, _ dilation: Pair = 1) -> Self {
      Self(kernel: kernel, strides: strides, padding: padding, dilation: dilation)
    }
    return [
      (make(2, 2), [1, 1, 4, 4]), (make(Pair(3, 2), Pair(2, 1), Padding2D(1, 1)), [2, 2, 5, 4]),
      (make(2, 1, .zero, Pair(2, 1)), [1, 2, 4, 3]),
      (make(2, 2, Padding2D(top: 0, left: 0, bottom: 1, right: 1)), [1, 1, 3, 3]), (make(2, 2), [0, 2, 4, 4]),
      (make(3, 1, Padding2D(2, 2), 2), [1, 1, 4, 3]),
    ]
  }
}

extension Primitive {
  /// y[n, c, i, j] = max over the window of x: [N, C, H, W] → [N, C, OH, OW], integers or reals,
  /// OH = ⌊(H + padding − dilation·(KH − 1) − 1) / stride⌋ + 1. The border counts as −∞, NaN wins.
  public struct MaxPool: MaxPoolFamily {
    /// The window's rows and columns.
    public var kernel: Pair
    /// Rows and columns the window moves by.
    public var strides: Pair
    /// A border that counts as −∞; on each side less than the window.
    public var padding: Padding2D
    /// Distance, in rows and columns, of the window's neighbouring elements.
    public var dilation: Pair

    /// A window; no border and neighbouring elements unless given.
    public init(kernel: Pair, strides: Pair, padding: Padding2D = .zero, dilation: Pair = 1) {
      self.kernel = kernel
      self.strides = strides
      self.padding = padding
      self.dilation = dilation
    }

    public var name: String { "maxPool" }
    /// The case that holds it.
    public var primitive: Primitive { .maxPool(self) }
    public var residuals: Residuals { .input0 }
    public func infer(_ operands: [TensorType]) throws -> [TensorType] {
      try Rules.count(operands, 1)
      return [operands[0].with(shape: try pooledShape(operands[0]))]
    }
    public func vjp(_ context: VJPContext) -> [Tensor?] { [scatter(context.input(0), context.gradient)] }
    public func jvp(_ context: JVPContext) -> [Tensor?] { [context.tangents[0].map { gather(context.inputs[0], $0) }] }
    public func decomposition(_ operands: [Tensor]) -> [Tensor]? {
      guard
        let unfolded = try? window.unfolded(operands[0], border: Scalar.double(-.infinity).saturated(operands[0].dtype))
      else { return nil }
      return [unfolded.max(axes: [2], keepDims: false)]
    }
    public static var samples: [Sample] { geometries().map { Sample(.maxPool($0), [.real($1)]) } }
  }

  /// Adds each element of g to the place of its window's first largest element of x, row by row:
  /// x [N, C, H, W], g [N, C, OH, OW] → [N, C, H, W], 0 elsewhere.
  public struct MaxPoolGradient: MaxPoolFamily {
    /// The window's rows and columns.
    public var kernel: Pair
    /// Rows and columns the window moves by.
    public var strides: Pair
    /// A border that counts as −∞; on each side less than the window.
    public var padding: Padding2D
    /// Distance, in rows and columns, of the window's neighbouring elements.
    public var dilation: Pair

    /// A window; no border and neighbouring elements unless given.
    public init(kernel: Pair, strides: Pair, padding: Padding2D = .zero, dilation: Pair = 1) {
      self.kernel = kernel
      self.strides = strides
      self.padding = padding
      self.dilation = dilation
    }

    public var name: String { "maxPoolGradient" }
    /// The case that holds it.
    public var primitive: Primitive { .maxPoolGradient(self) }
    public var residuals: Residuals { .input0 }
    public func infer(_ operands: [TensorType]) throws -> [TensorType] {
      try Rules.count(operands, 2)
      try Rules.sameDType(operands[0], operands[1])
      try Rules.shape(operands[1], try pooledShape(operands[0]), "the gradient")
      return [operands[0]]
    }
    /// The places don't move under small changes of x, so it gets no gradient.
    public func vjp(_ context: VJPContext) -> [Tensor?] {
      [nil, context.needs(1) ? gather(context.input(0), context.gradient) : nil]
    }
    public func jvp(_ context: JVPContext) -> [Tensor?] { [context.tangents[1].map { scatter(context.inputs[0], $0) }] }
    public func decomposition(_ operands: [Tensor]) -> [Tensor]? {
      let (x, g) = (operands[0], operands[1])
      guard let chosen = try? chosen(x) else { return nil }
      let spread = ApusCore.select(chosen, g.unsqueezed(2).broadcast(to: chosen.shape), 0)
      return (try? window.folded(spread, into: x.shape)).map { [$0] }
    }
    public static var samples: [Sample] {
      geometries().compactMap { pool, x in
        guard let y = try? pool.pooledShape(TensorType(.float64, x)) else { return nil }
        return Sample(.maxPoolGradient(pool), [.real(x), .real(y)])
      }
    }
  }

  /// Takes from v what stands at the place of each window's first largest element of x:
  /// x, v [N, C, H, W] → [N, C, OH, OW].
  public struct MaxPoolGather: MaxPoolFamily {
    /// The window's rows and columns.
    public var kernel: Pair
    /// Rows and columns the window moves by.
    public var strides: Pair
    /// A border that counts as −∞; on each side less than the window.
    public var padding: Padding2D
    /// Distance, in rows and columns, of the window's neighbouring elements.
    public var dilation: Pair

    /// A window; no border and neighbouring elements unless given.
    public init(kernel: Pair, strides: Pair, padding: Padding2D = .zero, dilation: Pair = 1) {
      self.kernel = kernel
      self.strides = strides
      self.padding = padding
      self.dilation = dilation
    }

    public var name: String { "maxPoolGather" }
    /// The case that holds it.
    public var primitive: Primitive { .maxPoolGather(self) }
    public var residuals: Residuals { .input0 }
    public func infer(_ operands: [TensorType]) throws -> [TensorType] {
      try Rules.count(operands, 2)
      try Rules.same(operands[0], operands[1])
      return [operands[0].with(shape: try pooledShape(operands[0]))]
    }
    public func vjp(_ context: VJPContext) -> [Tensor?] {
      [nil, context.needs(1) ? scatter(context.input(0), context.gradient) : nil]
    }
    public func jvp(_ context: JVPContext) -> [Tensor?] { [context.tangents[1].map { gather(context.inputs[0], $0) }] }
    public func decomposition(_ operands: [Tensor]) -> [Tensor]? {
      guard let chosen = try? chosen(operands[0]), let values = try? window.unfolded(operands[1]) else { return nil }
      return [ApusCore.select(chosen, values, 0).sum(axes: [2], keepDims: false)]
    }
    public static var samples: [Sample] {
      geometries().map { Sample(.maxPoolGather($0), [.real($1), .real($1)]) }
    }
  }
}
