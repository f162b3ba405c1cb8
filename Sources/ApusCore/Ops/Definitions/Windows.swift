/// A number for the vertical and one for the horizontal direction of an image.
public struct Pair: Hashable, Codable, Sendable, BitwiseCopyable, ExpressibleByIntegerLiteral, CustomStringConvertible {
  /// Vertically, along H.
  public var height: Int
  /// Horizontally, along W.
  public var width: Int

  /// The vertical number and the horizontal one.
  public init(_ height: Int, _ width: Int) {
    self.height = height
    self.width = width
  }
  /// The same both ways.
  public init(integerLiteral value: Int) { self.init(value, value) }

  /// 1 both ways.
  public static let one = Pair(1, 1)
  public var description: String { "(\(height), \(width))" }
}

/// Elements added around an image.
public struct Padding2D: Hashable, Codable, Sendable, BitwiseCopyable, CustomStringConvertible {
  /// Rows above.
  public var top: Int
  /// Columns on the left.
  public var left: Int
  /// Rows below.
  public var bottom: Int
  /// Columns on the right.
  public var right: Int

  /// Each side on its own.
  public init(top: Int, left: Int, bottom: Int, right: Int) {
    self.top = top
    self.left = left
    self.bottom = bottom
    self.right = right
  }
  /// The same above and below, and the same on both sides.
  public init(_ height: Int, _ width: Int) { self.init(top: height, left: width, bottom: height, right: width) }

  /// Nothing.
  public static let zero = Padding2D(0, 0)
  public var description: String { "(\(top), \(left), \(bottom), \(right))" }
}

/// How a window moves over the last two axes of an NCHW tensor.
struct Window {
  var kernel: Pair
  var strides: Pair
  var padding: Padding2D
  var dilation: Pair

  func check() throws {
    let attributes = [
      kernel.height, kernel.width, strides.height, strides.width, dilation.height, dilation.width, padding.top,
      padding.left, padding.bottom, padding.right,
    ]
    guard attributes.allSatisfy({ $0 <= Int(Int32.max) }) else {
      throw ApusError(.argument, "kernel, strides, dilation and padding must be at most \(Int32.max)")
    }
    guard kernel.height >= 1, kernel.width >= 1 else {
      throw ApusError(.shape, "the kernel must have at least one element in each direction, not \(kernel)")
    }
    guard strides.height >= 1, strides.width >= 1, dilation.height >= 1, dilation.width >= 1 else {
      throw ApusError(.argument, "strides \(strides) and dilation \(dilation) must be at least 1")
    }
    guard padding.top >= 0, padding.left >= 0, padding.bottom >= 0, padding.right >= 0 else {
      throw ApusError(.argument, "padding \(padding) must not be negative")
    }
  }

  /// Sizes of the result for an image of height × width: ⌊(size + padding − dilation·(kernel − 1) − 1) / stride⌋ + 1.
  func positions(_ height: Dim, _ width: Dim) throws -> (height: Dim, width: Dim) {
    (
      try Self.positions(
        height, padding.top + padding.bottom, dilation.height * (kernel.height - 1) + 1, strides.height, "height"),
      try Self.positions(
        width, padding.left + padding.right, dilation.width * (kernel.width - 1) + 1, strides.width, "width")
    )
  }

  private static func positions(
    _ size: Dim, _ padding: Int, _ extent: Int, _ stride: Int, _ what: String
  ) throws -> Dim {
    if let room = size.value?.saturatingPlus(padding), room < extent {
      throw ApusError(
        .shape,
        "a window of \(what) \(extent) does not fit into \(room) (with padding); \(what) ≥ \(extent - padding) would")
    }
    let room = size + (padding - extent)
    return (stride == 1 ? room : room / stride) + 1
  }

  /// Refuses windows that would hold none of the image's elements, only padding. Sizes that are not known yet are checked
  /// when they are.
  func checkElements(_ height: Dim, _ width: Dim, _ out: (height: Dim, width: Dim)) throws {
    func check(
      _ size: Dim, _ out: Dim, _ kernel: Int, _ stride: Int, _ dilation: Int, _ low: Int, _ high: Int
    ) throws {
      let extent = dilation * (kernel - 1)
      var fits = low <= extent && high <= extent
      // Without dilation a window has no gaps that the image could hide in, nor can an image as large as the gaps. Windows
      // that begin in the image have an element there; the others' first one that is not before it must be in it.
      if fits, dilation > 1, let size = size.value, size < dilation, let count = out.value {
        let before = Swift.min(count, (low + stride - 1) / stride)
        fits =
          size > 0
          && (0..<before).allSatisfy { i in
            let distance = (low - i * stride) % dilation
            return distance == 0 || dilation - distance < size
          }
      }
      guard fits else {
        throw ApusError(
          .argument,
          "padding \(padding) leaves windows of kernel \(kernel) and dilation \(dilation) without an element; less fits"
        )
      }
    }
    try check(height, out.height, kernel.height, strides.height, dilation.height, padding.top, padding.bottom)
    try check(width, out.width, kernel.width, strides.width, dilation.width, padding.left, padding.right)
  }

  /// For the window's element (i, j): the slice of the padded image that holds it at every position.
  func slice(_ i: Int, _ j: Int, _ shape: Shape, _ out: (height: Dim, width: Dim)) -> Primitive.Slice {
    var (starts, stops, steps) = (Shape.zeros(shape.rank), shape, Shape.ones(shape.rank))
    func set(_ axis: Int, _ start: Int, _ stride: Int, _ count: Dim) {
      starts.setDim(axis, Dim(start))
      stops.setDim(axis, count.value == 0 ? Dim(start) : count * stride + (start + 1 - stride))
      steps.setDim(axis, Dim(stride))
    }
    set(shape.rank - 2, i * dilation.height, strides.height, out.height)
    set(shape.rank - 1, j * dilation.width, strides.width, out.width)
    return Primitive.Slice(starts: starts, stops: stops, steps: steps)
  }

  /// `x` [N, C, H, W] → [N, C, kernel elements, OH, OW], row by row; the border is `value`.
  func unfolded(_ x: Tensor, border value: Scalar = .double(0)) throws -> Tensor {
    let out = try positions(x.shape.dim(2), x.shape.dim(3))
    let padded = Dispatch.one(
      .pad(
        .init(
          low: [0, 0, Dim(padding.top), Dim(padding.left)], high: [0, 0, Dim(padding.bottom), Dim(padding.right)],
          value: value)), x)
    var parts: [Tensor] = []
    for i in 0..<kernel.height {
      for j in 0..<kernel.width { parts.append(Dispatch.one(.slice(slice(i, j, padded.shape, out)), padded)) }
    }
    return stack(parts, axis: 2)
  }

  /// The transpose of ``unfolded(_:border:)``: adds every window's elements back to the places of an image [N, C, H,
  /// W].
  func folded(_ columns: Tensor, into shape: Shape) throws -> Tensor {
    let out = try positions(shape.dim(2), shape.dim(3))
    var padded = shape
    padded.setDim(2, shape.dim(2) + (padding.top + padding.bottom))
    padded.setDim(3, shape.dim(3) + (padding.left + padding.right))
    let zeros = Tensor.filled(.double(0), columns, shape: padded)
    var total = zeros
    for i in 0..<kernel.height {
      for j in 0..<kernel.width {
        let k = i * kernel.width + j
        let part = columns.sliced(axis: 2, Dim(k), Dim(k + 1)).reshape([
          shape.dim(0), shape.dim(1), out.height, out.width,
        ])
        let place = slice(i, j, padded, out)
        total =
          total
          + Dispatch.one(.sliceUpdate(.init(starts: place.starts, steps: place.steps)), zeros, part)
      }
    }
    return total.sliced(axis: 2, Dim(padding.top), shape.dim(2) + padding.top)
      .sliced(axis: 3, Dim(padding.left), shape.dim(3) + padding.left)
  }
}
