import ApusCore

/// A height and a width for a layer's argument: `3` for both, `[3, 5]`, or `Pair(3, 5)`.
public protocol PairConvertible: Sendable {
  var pair: Pair { get }
}
extension Pair: PairConvertible { public var pair: Pair { self } }
extension Int: PairConvertible { public var pair: Pair { Pair(self, self) } }
extension [Int]: PairConvertible {
  /// Height and width; traps unless there are two numbers.
  public var pair: Pair {
    precondition(count == 2, "a height and a width are two numbers, not \(self)")
    return Pair(self[0], self[1])
  }
}

/// Zeros around an image before a window slides over it.
public enum WindowPadding: Hashable, Sendable {
  case explicit(Padding2D)
  /// As many as make the result ⌈size / stride⌉ large, an odd one below and right (TensorFlow's "SAME"; PyTorch's
  /// `padding="same"` where the stride is 1).
  case same

  /// Zeros on each side of the image `x` [N, C, H, W].
  func amounts(on x: Tensor, kernel: Pair, strides: Pair, dilation: Pair) -> Padding2D {
    switch self {
    case .explicit(let padding): return padding
    case .same:
      let rows = total(x.dimension(2), kernel.height, strides.height, dilation.height)
      let columns = total(x.dimension(3), kernel.width, strides.width, dilation.width)
      return Padding2D(
        top: rows / 2, left: columns / 2, bottom: rows - rows / 2, right: columns - columns / 2)
    }
  }

  private func total(_ size: Dim, _ kernel: Int, _ stride: Int, _ dilation: Int) -> Int {
    // With stride 1 the image's size does not matter, which may be symbolic.
    if stride == 1 { return dilation * (kernel - 1) }
    let size = Shape(dims: [size])[0]
    return max(0, ((size + stride - 1) / stride - 1) * stride + dilation * (kernel - 1) + 1 - size)
  }
}

/// What may stand for a ``WindowPadding``: `1`, `[1, 2]` (rows, columns), `.same`, `.valid`, `Padding2D(…)`.
public protocol PaddingConvertible: Sendable {
  var windowPadding: WindowPadding { get }
}
extension WindowPadding: PaddingConvertible { public var windowPadding: WindowPadding { self } }
extension Padding2D: PaddingConvertible { public var windowPadding: WindowPadding { .explicit(self) } }
extension Pair: PaddingConvertible {
  /// Rows above and below, columns left and right.
  public var windowPadding: WindowPadding { .explicit(Padding2D(height, width)) }
}
extension Int: PaddingConvertible { public var windowPadding: WindowPadding { pair.windowPadding } }
extension [Int]: PaddingConvertible { public var windowPadding: WindowPadding { pair.windowPadding } }
extension PaddingConvertible where Self == WindowPadding {
  public static var same: WindowPadding { .same }
  /// No zeros.
  public static var valid: WindowPadding { .explicit(.zero) }
}
