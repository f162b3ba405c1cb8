/// The mean of each window of an NCHW tensor, and its transpose.
public protocol AveragePoolFamily: PrimitiveDefinition {
  /// The window's rows and columns.
  var kernel: Pair { get }
  /// Rows and columns the window moves by.
  var strides: Pair { get }
  /// Zeros around the image; on each side less than the window.
  var padding: Padding2D { get }
  /// Whether the border's zeros count in the divisor.
  var countIncludePadding: Bool { get }
}
extension AveragePoolFamily {
  var window: Window { Window(kernel: kernel, strides: strides, padding: padding, dilation: 1) }
  var forward: Primitive.AveragePool {
    Primitive.AveragePool(kernel: kernel, strides: strides, padding: padding, countIncludePadding: countIncludePadding)
  }
  func gradient(_ inputShape: Shape) -> Primitive.AveragePoolGradient {
    Primitive.AveragePoolGradient(
      kernel: kernel, strides: strides, padding: padding, countIncludePadding: countIncludePadding,
      inputShape: inputShape)
  }

  func pooledShape(_ x: TensorType) throws -> Shape {
    try Rules.floating(x)
    try Rules.rank(x, 4, "the image (NCHW)")
    try window.check()
    guard padding.top < kernel.height, padding.bottom < kernel.height, padding.left < kernel.width,
      padding.right < kernel.width
    else { throw ApusError(.argument, "padding \(padding) must be smaller than the kernel \(kernel)") }
    let out = try window.positions(x.shape.dim(2), x.shape.dim(3))
    return [x.shape.dim(0), x.shape.dim(1), out.height, out.width]
  }

  /// Divides sums over windows, [N, C, OH, OW], by the number of elements that count there.
  func divided(_ sums: Tensor, image: Shape) throws -> Tensor {
    if countIncludePadding || padding == .zero { return sums / Double(kernel.height * kernel.width) }
    let ones = Tensor.filled(.double(1), sums, shape: [1, 1, image.dim(2), image.dim(3)])
    return sums / (try window.unfolded(ones).sum(axes: [2], keepDims: false))
  }

  static func geometries() -> [(Primitive.AveragePool, Shape)] {
    let uneven = Padding2D(top: 1, left: 0, bottom: 0, right: 1)
    return [
      (Primitive.AveragePool(kernel: 2, strides: 2), [1, 1, 4, 4]),
      (Primitive.AveragePool(kernel: Pair(3, 2), strides: Pair(2, 1), padding: Padding2D(1, 1)), [2, 2, 5, 4]),
      (Primitive.AveragePool(kernel: 2, strides: 1, padding: uneven, countIncludePadding: false), [1, 2, 3, 4]),
      (Primitive.AveragePool(kernel: 2, strides: 2), [0, 2, 4, 4]),
    ]
  }
}

extension Primitive {
  /// y[n, c, i, j] = mean over the window of x: [N, C, H, W] → [N, C, OH, OW], float32 or float64,
  /// OH = ⌊(H + padding − KH) / stride⌋ + 1.
  public struct AveragePool: AveragePoolFamily {
    /// The window's rows and columns.
    public var kernel: Pair
    /// Rows and columns the window moves by.
    public var strides: Pair
    /// Zeros around the image; on each side less than the window.
    public var padding: Padding2D
    /// Whether the border's zeros count in the divisor.
    public var countIncludePadding: Bool

    /// A window; without padding unless given.
    public init(kernel: Pair, strides: Pair, padding: Padding2D = .zero, countIncludePadding: Bool = true) {
      self.kernel = kernel
      self.strides = strides
      self.padding = padding
      self.countIncludePadding = countIncludePadding
    }

    public var name: String { "averagePool" }
    public var residuals: Residuals { .types }
    public func infer(_ operands: [TensorType]) throws -> [TensorType] {
      try Rules.count(operands, 1)
      return [operands[0].with(shape: try pooledShape(operands[0]))]
    }
    public func vjp(_ context: VJPContext) -> [Tensor?] {
      Dispatch.run(.averagePoolGradient(gradient(context.inputType(0).shape)), [context.gradient])
    }
    public func jvp(_ context: JVPContext) -> [Tensor?] {
      [context.tangents[0].map { Dispatch.one(.averagePool(self), $0) }]
    }
    public func batch(_ context: BatchContext) -> [Tensor] {
      let x = context.inputs[0]
      let y = Dispatch.one(.averagePool(self), x.reshape(x.shape.mergingFirstTwo))
      return [y.reshape(y.shape.splitting(0, context.size))]
    }
    public func decomposition(_ operands: [Tensor]) -> [Tensor]? {
      guard let unfolded = try? window.unfolded(operands[0]) else { return nil }
      return (try? divided(unfolded.sum(axes: [2], keepDims: false), image: operands[0].shape)).map { [$0] }
    }
    public static var samples: [Sample] { geometries().map { Sample(.averagePool($0), [.real($1)]) } }
  }

  /// The transpose of ``AveragePool``: spreads each element of g [N, C, OH, OW] evenly over its window, → `inputShape`.
  public struct AveragePoolGradient: AveragePoolFamily {
    /// The window's rows and columns.
    public var kernel: Pair
    /// Rows and columns the window moves by.
    public var strides: Pair
    /// Zeros around the image; on each side less than the window.
    public var padding: Padding2D
    /// Whether the border's zeros count in the divisor.
    public var countIncludePadding: Bool
    /// The image's shape, [N, C, H, W].
    public var inputShape: Shape

    /// The transpose for images of a shape.
    public init(kernel: Pair, strides: Pair, padding: Padding2D, countIncludePadding: Bool, inputShape: Shape) {
      self.kernel = kernel
      self.strides = strides
      self.padding = padding
      self.countIncludePadding = countIncludePadding
      self.inputShape = inputShape
    }

    public var name: String { "averagePoolGradient" }
    public var residuals: Residuals { [] }
    public func infer(_ operands: [TensorType]) throws -> [TensorType] {
      try Rules.count(operands, 1)
      let image = operands[0].with(shape: inputShape)
      try Rules.shape(operands[0], try pooledShape(image), "the gradient")
      return [image]
    }
    public func vjp(_ context: VJPContext) -> [Tensor?] { Dispatch.run(.averagePool(forward), [context.gradient]) }
    public func jvp(_ context: JVPContext) -> [Tensor?] {
      [context.tangents[0].map { Dispatch.one(.averagePoolGradient(self), $0) }]
    }
    public func batch(_ context: BatchContext) -> [Tensor] {
      let g = context.inputs[0]
      let merged = gradient(inputShape.replacing(0, with: inputShape.dim(0) * context.size))
      let x = Dispatch.one(.averagePoolGradient(merged), g.reshape(g.shape.mergingFirstTwo))
      return [x.reshape(x.shape.splitting(0, context.size))]
    }
    public func decomposition(_ operands: [Tensor]) -> [Tensor]? {
      guard let shares = try? divided(operands[0], image: inputShape) else { return nil }
      var spread = shares.shape.inserting(Dim(kernel.height * kernel.width), at: 2)
      spread.setDim(0, inputShape.dim(0))
      return (try? window.folded(shares.unsqueezed(2).broadcast(to: spread), into: inputShape)).map { [$0] }
    }
    public static var samples: [Sample] {
      geometries().compactMap { pool, x in
        guard let y = try? pool.pooledShape(TensorType(.float64, x)) else { return nil }
        return Sample(.averagePoolGradient(pool.gradient(x)), [.real(y)])
      }
    }
  }
}
