/// How much is added around an image before a window moves over it.
public enum ImagePadding: Hashable, Sendable, ExpressibleByIntegerLiteral {
  /// Nothing.
  case valid
  /// As much as makes the result ⌈size / stride⌉; an odd element goes to the bottom and right (Keras' "same").
  case same
  /// So many elements on each side.
  case explicit(top: Int, left: Int, bottom: Int, right: Int)

  /// The same above and below, and the same on both sides.
  public static func symmetric(_ height: Int, _ width: Int) -> ImagePadding {
    .explicit(top: height, left: width, bottom: height, right: width)
  }
  /// The same on all four sides.
  public init(integerLiteral value: Int) { self = .symmetric(value, value) }
}

extension Window {
  /// Sets the padding for an NCHW image.
  /// - Throws: ``ApusError`` when `.same` depends on a symbolic size.
  mutating func surround(_ amount: ImagePadding, _ image: Shape) throws {
    try check()
    switch amount {
    case .valid: padding = .zero
    case .explicit(let top, let left, let bottom, let right):
      padding = Padding2D(top: top, left: left, bottom: bottom, right: right)
    case .same:
      func total(_ size: Dim, _ kernel: Int, _ stride: Int, _ dilation: Int) throws -> Int {
        let extent = dilation * (kernel - 1) + 1
        if stride == 1 { return extent - 1 }
        guard let size = size.value else {
          throw ApusError(.shape, "padding .same with a stride needs a known image size, and \(size) is symbolic")
        }
        // The last window begins at the last multiple of the stride.
        let rest = size % stride
        return Swift.max(extent - (rest == 0 ? stride : rest), 0)
      }
      let rows = try total(image.dim(2), kernel.height, strides.height, dilation.height)
      let columns = try total(image.dim(3), kernel.width, strides.width, dilation.width)
      padding = Padding2D(top: rows / 2, left: columns / 2, bottom: rows - rows / 2, right: columns - columns / 2)
    }
  }
}

/// Windows over images: NCHW, float32 or float64; maxima of integers too. Means of integers are taken as float32.
extension Tensor {
  /// Two-dimensional convolution (cross-correlation, as everywhere in deep learning) of [N, C, H, W] with a weight
  /// [O, C/groups, KH, KW] → [N, O, OH, OW]:
  /// y[n, o, i, j] = bias[o] + Σ weight[o, c, p, q]·x[n, c, i·stride + p·dilation − padding, …],
  /// OH = ⌊(H + padding − dilation·(KH − 1) − 1) / stride⌋ + 1 with the padding of both sides.
  ///
  /// ```swift
  /// let y = images.convolution2D(weight, bias: bias, stride: (2, 2), padding: 1)
  /// ```
  /// Dtypes are promoted, as ``matmul(_:)``'s. Channels that don't fit or a window larger than the image: error (shape);
  /// dtypes that are not real: error (dtype).
  /// - Parameters:
  ///   - weight: [O, C/groups, KH, KW]; KH and KW must be known.
  ///   - bias: [O], added to every pixel.
  ///   - stride: rows and columns the window moves by.
  ///   - padding: zeros around the image.
  ///   - dilation: distance, in rows and columns, of the window's neighbouring elements.
  ///   - groups: channels are dealt into so many independent convolutions; C and O must divide by it.
  public func convolution2D(
    _ weight: Tensor, bias: Tensor? = nil, stride: (Int, Int) = (1, 1), padding: ImagePadding = .valid,
    dilation: (Int, Int) = (1, 1), groups: Int = 1
  ) -> Tensor {
    Tensor.attempt("convolution2D", self, weight) {
      try Rules.rank(type, 4, "the image (NCHW)")
      try Rules.rank(weight.type, 4, "the weight (OIHW)")
      guard let height = weight.shape.dim(2).value, let width = weight.shape.dim(3).value else {
        throw ApusError(.shape, "the kernel's size must be known")
      }
      let (strides, dilation) = (Pair(stride.0, stride.1), Pair(dilation.0, dilation.1))
      var window = Window(kernel: Pair(height, width), strides: strides, padding: .zero, dilation: dilation)
      try window.surround(padding, shape)
      let convolution = Primitive.Convolution(
        strides: strides, padding: window.padding, dilation: dilation, groups: groups)
      let y = Dispatch.run(.convolution(convolution), Promotion.unified([self, weight]))[0]
      guard let bias else { return y }
      try Rules.shape(bias.type, Shape(dims: [weight.shape.dim(0)]), "the bias")
      return y + bias.reshape(Shape(dims: [1, weight.shape.dim(0), 1, 1]))
    }
  }

  /// The largest element of each window: [N, C, H, W] → [N, C, OH, OW] of the same dtype,
  /// OH = ⌊(H + padding − dilation·(KH − 1) − 1) / stride⌋ + 1. The border counts as −∞, and NaN wins. The gradient
  /// goes to the first of equal ones.
  ///
  /// ```swift
  /// images.maxPool2D(kernelSize: (2, 2))      // [N, C, 28, 28] → [N, C, 14, 14]
  /// ```
  /// - Parameters:
  ///   - kernelSize: the window's rows and columns.
  ///   - stride: rows and columns the window moves by; the window's size when left out.
  ///   - padding: on each side less than the window.
  ///   - dilation: distance, in rows and columns, of the window's neighbouring elements.
  public func maxPool2D(
    kernelSize: (Int, Int), stride: (Int, Int)? = nil, padding: ImagePadding = .valid, dilation: (Int, Int) = (1, 1)
  ) -> Tensor {
    Tensor.attempt("maxPool2D", self) {
      let window = try pooling(kernelSize, stride, padding, Pair(dilation.0, dilation.1))
      let pool = Primitive.MaxPool(
        kernel: window.kernel, strides: window.strides, padding: window.padding, dilation: window.dilation)
      return Dispatch.one(.maxPool(pool), self)
    }
  }
  /// The same with a square window.
  public func maxPool2D(kernelSize: Int, stride: Int? = nil, padding: ImagePadding = .valid) -> Tensor {
    maxPool2D(kernelSize: (kernelSize, kernelSize), stride: stride.map { ($0, $0) }, padding: padding)
  }

  /// The mean of each window: [N, C, H, W] → [N, C, OH, OW], OH = ⌊(H + padding − KH) / stride⌋ + 1; float32 or
  /// float64.
  ///
  /// - Parameters:
  ///   - kernelSize: the window's rows and columns.
  ///   - stride: rows and columns the window moves by; the window's size when left out.
  ///   - padding: zeros around the image; on each side less than the window.
  ///   - countIncludePadding: whether the border's zeros count in the divisor.
  public func averagePool2D(
    kernelSize: (Int, Int), stride: (Int, Int)? = nil, padding: ImagePadding = .valid, countIncludePadding: Bool = true
  ) -> Tensor {
    Tensor.attempt("averagePool2D", self) {
      let window = try pooling(kernelSize, stride, padding, 1)
      let pool = Primitive.AveragePool(
        kernel: window.kernel, strides: window.strides, padding: window.padding,
        countIncludePadding: countIncludePadding)
      return Dispatch.one(.averagePool(pool), asReal())
    }
  }
  /// The same with a square window.
  public func averagePool2D(
    kernelSize: Int, stride: Int? = nil, padding: ImagePadding = .valid, countIncludePadding: Bool = true
  ) -> Tensor {
    averagePool2D(
      kernelSize: (kernelSize, kernelSize), stride: stride.map { ($0, $0) }, padding: padding,
      countIncludePadding: countIncludePadding)
  }

  private func pooling(
    _ kernel: (Int, Int), _ stride: (Int, Int)?, _ padding: ImagePadding, _ dilation: Pair
  ) throws -> Window {
    try Rules.rank(type, 4, "the image (NCHW)")
    let size = Pair(kernel.0, kernel.1)
    var window = Window(
      kernel: size, strides: stride.map { Pair($0.0, $0.1) } ?? size, padding: .zero, dilation: dilation)
    try window.surround(padding, shape)
    return window
  }
}
