/// What the three members of the convolution family share. Each is linear in both operands, and the derivatives of
/// each are the other two.
public protocol ConvolutionFamily: PrimitiveDefinition {
  /// Rows and columns the window moves by.
  var strides: Pair { get }
  /// Zeros around the image.
  var padding: Padding2D { get }
  /// Distance, in rows and columns, of the window's neighbouring elements.
  var dilation: Pair { get }
  /// Channels are dealt into so many independent convolutions.
  var groups: Int { get }
}
extension ConvolutionFamily {
  func forward(groups: Int? = nil) -> Primitive.Convolution {
    Primitive.Convolution(strides: strides, padding: padding, dilation: dilation, groups: groups ?? self.groups)
  }
  func inputGradient(_ inputShape: Shape, groups: Int? = nil) -> Primitive.ConvolutionInputGradient {
    Primitive.ConvolutionInputGradient(
      strides: strides, padding: padding, dilation: dilation, groups: groups ?? self.groups, inputShape: inputShape)
  }
  func weightGradient(_ weightShape: Shape, groups: Int? = nil) -> Primitive.ConvolutionWeightGradient {
    Primitive.ConvolutionWeightGradient(
      strides: strides, padding: padding, dilation: dilation, groups: groups ?? self.groups, weightShape: weightShape)
  }

  func convolve(_ x: Tensor, _ w: Tensor) -> Tensor { Dispatch.one(.convolution(forward()), x, w) }
  func pullToInput(_ g: Tensor, _ w: Tensor, _ shape: Shape) -> Tensor {
    Dispatch.one(.convolutionInputGradient(inputGradient(shape)), g, w)
  }
  func pullToWeight(_ x: Tensor, _ g: Tensor, _ shape: Shape) -> Tensor {
    Dispatch.one(.convolutionWeightGradient(weightGradient(shape)), x, g)
  }

  /// The window of a kernel of this weight's size.
  func window(_ weight: Shape) throws -> Window {
    guard let height = weight.dim(2).value, let width = weight.dim(3).value else {
      throw ApusError(.shape, "the kernel's size \(weight.dim(2)) × \(weight.dim(3)) must be known")
    }
    return Window(kernel: Pair(height, width), strides: strides, padding: padding, dilation: dilation)
  }

  /// The result's shape for an image and a weight of these shapes.
  func outputShape(_ x: Shape, _ w: Shape) throws -> Shape {
    let window = try window(w)
    try window.check()
    guard groups >= 1 else { throw ApusError(.argument, "groups must be at least 1, not \(groups)") }
    guard w.dim(0).value.map({ $0 % groups == 0 }) ?? true else {
      throw ApusError(.shape, "the weight's \(w.dim(0)) output channels do not divide into \(groups) groups")
    }
    let expected = w.dim(1) * groups
    guard x.dim(1) == expected else {
      throw ApusError(
        .shape,
        "the weight \(w)\(groups == 1 ? "" : " in \(groups) groups") takes \(expected) input channels, and the image \(x) has \(x.dim(1))"
      )
    }
    let out = try window.positions(x.dim(2), x.dim(3))
    return [x.dim(0), w.dim(0), out.height, out.width]
  }

  func checkOperands(_ operands: [TensorType], _ first: String, _ second: String) throws {
    try Rules.count(operands, 2)
    try Rules.sameDType(operands[0], operands[1])
    try Rules.floating(operands[0])
    try Rules.rank(operands[0], 4, first)
    try Rules.rank(operands[1], 4, second)
  }

  /// The batch's size where it multiplies the number of groups, which an attribute holds.
  func groupCount(_ context: BatchContext) throws -> Int {
    guard let size = context.size.value else {
      throw ApusError(.shape, "a batch of weights must have a known size; \(context.size) is symbolic")
    }
    return groups.saturatingTimes(size)
  }

  /// Runs a batch rule that may fail; the error names the primitive.
  func reporting(_ primitive: Primitive, _ context: BatchContext, _ body: () throws -> Tensor) -> [Tensor] {
    do {
      return [try body()]
    } catch {
      return Dispatch.fail(error, primitive, context.inputs)
    }
  }

  /// The batch axis moved into the channels of an image: [B, N, C, …] → [N, B·C, …].
  func channelsWithBatch(_ x: Tensor) -> Tensor {
    let moved = x.movingAxis(0, to: 1)
    return moved.reshape(moved.shape.merging(1))
  }
  /// Back: [N, B·C, …] → [B, N, C, …].
  func batchFromChannels(_ x: Tensor, _ size: Dim) -> Tensor {
    x.reshape(x.shape.splitting(1, size)).movingAxis(1, to: 0)
  }

  /// Image columns by group, [N, groups, C/groups · kernel, OH · OW].
  func columns(_ x: Tensor, _ w: Shape) throws -> Tensor {
    let unfolded = try window(w).unfolded(x)
    let s = unfolded.shape
    return unfolded.reshape([s.dim(0), Dim(groups), s.dim(1) / groups * s.dim(2), s.dim(3) * s.dim(4)])
  }
  /// A weight by group, [groups, O/groups, C/groups · kernel].
  func rows(_ w: Tensor) -> Tensor {
    let s = w.shape
    return w.reshape([Dim(groups), s.dim(0) / groups, s.dim(1) * s.dim(2) * s.dim(3)])
  }
  /// A result by group, [N, groups, O/groups, OH · OW].
  func byGroup(_ g: Tensor) -> Tensor {
    let s = g.shape
    return g.reshape([s.dim(0), Dim(groups), s.dim(1) / groups, s.dim(2) * s.dim(3)])
  }

  static func geometries() -> [(Primitive.Convolution, x: Shape, w: Shape)] {
    [
      (Primitive.Convolution(), [1, 1, 3, 3], [1, 1, 2, 2]),
      (Primitive.Convolution(padding: Padding2D(1, 1)), [2, 2, 4, 3], [3, 2, 3, 3]),
      (
        Primitive.Convolution(strides: Pair(2, 1), padding: Padding2D(top: 0, left: 1, bottom: 1, right: 0)),
        [1, 2, 5, 4],
        [2, 2, 2, 3]
      ),
      (Primitive.Convolution(dilation: Pair(2, 1)), [2, 1, 5, 3], [2, 1, 2, 2]),
      (Primitive.Convolution(strides: Pair(2, 2), padding: Padding2D(1, 1), groups: 2), [2, 4, 4, 4], [4, 2, 3, 3]),
      (Primitive.Convolution(padding: Padding2D(1, 1), groups: 3), [1, 3, 3, 3], [3, 1, 3, 3]),
      (Primitive.Convolution(), [0, 2, 3, 3], [1, 2, 2, 2]),
    ]
  }
}

extension Primitive {
  /// Two-dimensional cross-correlation of float32 or float64: x [N, C, H, W], w [O, C/groups, KH, KW] → [N, O, OH, OW],
  /// y[n, o, i, j] = Σ x[n, c, i·stride + p·dilation − padding, …]·w[o, c, p, q] over the channels of o's group,
  /// OH = ⌊(H + padding − dilation·(KH − 1) − 1) / stride⌋ + 1.
  public struct Convolution: ConvolutionFamily {
    /// Rows and columns the window moves by.
    public var strides: Pair
    /// Zeros around the image.
    public var padding: Padding2D
    /// Distance, in rows and columns, of the window's neighbouring elements.
    public var dilation: Pair
    /// Channels are dealt into so many independent convolutions; C and O divide by it.
    public var groups: Int

    /// Stride 1, no border, neighbouring elements and one group unless given.
    public init(strides: Pair = 1, padding: Padding2D = .zero, dilation: Pair = 1, groups: Int = 1) {
      self.strides = strides
      self.padding = padding
      self.dilation = dilation
      self.groups = groups
    }

    public var name: String { "convolution" }
    public var residuals: Residuals { [.input0, .input1] }
    public func infer(_ operands: [TensorType]) throws -> [TensorType] {
      try checkOperands(operands, "the image (NCHW)", "the weight (OIHW)")
      return [operands[0].with(shape: try outputShape(operands[0].shape, operands[1].shape))]
    }
    public func vjp(_ context: VJPContext) -> [Tensor?] {
      let (x, w, g) = (context.input(0), context.input(1), context.gradient)
      return [
        context.needs(0) ? pullToInput(g, w, x.shape) : nil, context.needs(1) ? pullToWeight(x, g, w.shape) : nil,
      ]
    }
    public func jvp(_ context: JVPContext) -> [Tensor?] {
      let (x, w) = (context.inputs[0], context.inputs[1])
      return [context.sum(context.tangents[0].map { convolve($0, w) }, context.tangents[1].map { convolve(x, $0) })]
    }
    public func batch(_ context: BatchContext) -> [Tensor] {
      reporting(.convolution(self), context) {
        let (x, w) = (context.inputs[0], context.inputs[1])
        if !context.isBatched[1] {
          let y = convolve(x.reshape(x.shape.mergingFirstTwo), w)
          return y.reshape(y.shape.splitting(0, context.size))
        }
        let grouped = forward(groups: try groupCount(context))
        let y = Dispatch.one(
          .convolution(grouped), channelsWithBatch(context.batched(0)), w.reshape(w.shape.mergingFirstTwo))
        return batchFromChannels(y, context.size)
      }
    }
    public func decomposition(_ operands: [Tensor]) -> [Tensor]? {
      let (x, w) = (operands[0], operands[1])
      guard let shape = try? outputShape(x.shape, w.shape), let columns = try? columns(x, w.shape) else { return nil }
      return [rows(w).matmul(columns).reshape(shape)]
    }
    public static var samples: [Sample] {
      geometries().map { Sample(.convolution($0), [.real($1), .real($2)]) }
    }
  }

  /// The gradient of ``Convolution`` for its image (a transposed convolution): g [N, O, OH, OW], w → `inputShape`.
  public struct ConvolutionInputGradient: ConvolutionFamily {
    /// Rows and columns the window moves by.
    public var strides: Pair
    /// Zeros around the image.
    public var padding: Padding2D
    /// Distance, in rows and columns, of the window's neighbouring elements.
    public var dilation: Pair
    /// Channels are dealt into so many independent convolutions; C and O divide by it.
    public var groups: Int
    /// The image's shape, [N, C, H, W].
    public var inputShape: Shape

    /// The gradient of such a convolution for images of a shape.
    public init(strides: Pair, padding: Padding2D, dilation: Pair, groups: Int, inputShape: Shape) {
      self.strides = strides
      self.padding = padding
      self.dilation = dilation
      self.groups = groups
      self.inputShape = inputShape
    }

    public var name: String { "convolutionInputGradient" }
    public var residuals: Residuals { [.input0, .input1] }
    public func infer(_ operands: [TensorType]) throws -> [TensorType] {
      try checkOperands(operands, "the gradient (NCHW)", "the weight (OIHW)")
      guard inputShape.rank == 4 else { throw ApusError(.shape, "the image's shape \(inputShape) must have rank 4") }
      try Rules.shape(operands[0], try outputShape(inputShape, operands[1].shape), "the gradient")
      return [operands[0].with(shape: inputShape)]
    }
    public func vjp(_ context: VJPContext) -> [Tensor?] {
      let (g, w, v) = (context.input(0), context.input(1), context.gradient)
      return [context.needs(0) ? convolve(v, w) : nil, context.needs(1) ? pullToWeight(v, g, w.shape) : nil]
    }
    public func jvp(_ context: JVPContext) -> [Tensor?] {
      let (g, w) = (context.inputs[0], context.inputs[1])
      return [
        context.sum(
          context.tangents[0].map { pullToInput($0, w, inputShape) },
          context.tangents[1].map { pullToInput(g, $0, inputShape) })
      ]
    }
    public func batch(_ context: BatchContext) -> [Tensor] {
      reporting(.convolutionInputGradient(self), context) {
        let (g, w) = (context.inputs[0], context.inputs[1])
        if !context.isBatched[1] {
          let shape = inputShape.replacing(0, with: inputShape.dim(0) * context.size)
          let x = pullToInput(g.reshape(g.shape.mergingFirstTwo), w, shape)
          return x.reshape(x.shape.splitting(0, context.size))
        }
        let shape = inputShape.replacing(1, with: inputShape.dim(1) * context.size)
        let x = Dispatch.one(
          .convolutionInputGradient(inputGradient(shape, groups: try groupCount(context))),
          channelsWithBatch(context.batched(0)), w.reshape(w.shape.mergingFirstTwo))
        return batchFromChannels(x, context.size)
      }
    }
    public func decomposition(_ operands: [Tensor]) -> [Tensor]? {
      let (g, w) = (operands[0], operands[1])
      guard let window = try? window(w.shape), let out = try? window.positions(inputShape.dim(2), inputShape.dim(3))
      else {
        return nil
      }
      let columns = rows(w).transposed(-1, -2).matmul(byGroup(g))
      let kernel = Dim(window.kernel.height * window.kernel.width)
      let unfolded = columns.reshape([inputShape.dim(0), inputShape.dim(1), kernel, out.height, out.width])
      return (try? window.folded(unfolded, into: inputShape)).map { [$0] }
    }
    public static var samples: [Sample] {
      geometries().compactMap { convolution, x, w in
        guard let y = try? convolution.outputShape(x, w) else { return nil }
        return Sample(.convolutionInputGradient(convolution.inputGradient(x)), [.real(y), .real(w)])
      }
    }
  }

  /// The gradient of ``Convolution`` for its weight: x [N, C, H, W], g [N, O, OH, OW] → `weightShape`.
  public struct ConvolutionWeightGradient: ConvolutionFamily {
    /// Rows and columns the window moves by.
    public var strides: Pair
    /// Zeros around the image.
    public var padding: Padding2D
    /// Distance, in rows and columns, of the window's neighbouring elements.
    public var dilation: Pair
    /// Channels are dealt into so many independent convolutions; C and O divide by it.
    public var groups: Int
    /// The weight's shape, [O, C/groups, KH, KW].
    public var weightShape: Shape

    /// The gradient of such a convolution for weights of a shape.
    public init(strides: Pair, padding: Padding2D, dilation: Pair, groups: Int, weightShape: Shape) {
      self.strides = strides
      self.padding = padding
      self.dilation = dilation
      self.groups = groups
      self.weightShape = weightShape
    }

    public var name: String { "convolutionWeightGradient" }
    public var residuals: Residuals { [.input0, .input1] }
    public func infer(_ operands: [TensorType]) throws -> [TensorType] {
      try checkOperands(operands, "the image (NCHW)", "the gradient (NCHW)")
      guard weightShape.rank == 4 else { throw ApusError(.shape, "the weight's shape \(weightShape) must have rank 4") }
      try Rules.shape(operands[1], try outputShape(operands[0].shape, weightShape), "the gradient")
      return [operands[0].with(shape: weightShape)]
    }
    public func vjp(_ context: VJPContext) -> [Tensor?] {
      let (x, g, v) = (context.input(0), context.input(1), context.gradient)
      return [context.needs(0) ? pullToInput(g, v, x.shape) : nil, context.needs(1) ? convolve(x, v) : nil]
    }
    public func jvp(_ context: JVPContext) -> [Tensor?] {
      let (x, g) = (context.inputs[0], context.inputs[1])
      return [
        context.sum(
          context.tangents[0].map { pullToWeight($0, g, weightShape) },
          context.tangents[1].map { pullToWeight(x, $0, weightShape) })
      ]
    }
    public func batch(_ context: BatchContext) -> [Tensor] {
      reporting(.convolutionWeightGradient(self), context) {
        let shape = weightShape.replacing(0, with: weightShape.dim(0) * context.size)
        let w = Dispatch.one(
          .convolutionWeightGradient(weightGradient(shape, groups: try groupCount(context))),
          channelsWithBatch(context.batched(0)), channelsWithBatch(context.batched(1)))
        return w.reshape(w.shape.splitting(0, context.size))
      }
    }
    public func decomposition(_ operands: [Tensor]) -> [Tensor]? {
      let (x, g) = (operands[0], operands[1])
      guard let columns = try? columns(x, weightShape) else { return nil }
      return [byGroup(g).matmul(columns.transposed(-1, -2)).sum(axes: [0], keepDims: false).reshape(weightShape)]
    }
    public static var samples: [Sample] {
      geometries().compactMap { convolution, x, w in
        guard let y = try? convolution.outputShape(x, w) else { return nil }
        return Sample(.convolutionWeightGradient(convolution.weightGradient(w)), [.real(x), .real(y)])
      }
    }
  }
}
