import ApusCore

/// The largest element of each window (PyTorch's `MaxPool2d`, Keras' `MaxPooling2D`).
///
/// ```swift
/// let y = MaxPool2D(2)(Tensor.ones([16, 32, 30, 30]))               // float32[16, 32, 15, 15]
/// let z = MaxPool2D(3, stride: 2, padding: 1)(Tensor.ones([16, 32, 30, 30]))   // float32[16, 32, 15, 15]
/// ```
/// - Input: [N, C, H, W]. Output: [N, C, H′, W′] with
///   H′ = ⌊(H + padding − dilation·(kernel − 1) − 1) / stride⌋ + 1, padding being the sum of both sides. The border
///   counts as −∞. The gradient goes to the first of equal elements.
public final class MaxPool2D: Module {
  /// The window's height and width.
  public let kernelSize: Pair
  /// Rows and columns the window moves by.
  public let stride: Pair
  /// Added around the image, as −∞.
  public let padding: ImagePadding
  /// The distance between neighbouring elements of the window; 1: they are adjacent.
  public let dilation: Pair

  /// - Parameters:
  ///   - kernelSize: the window's height and width, at least 1.
  ///   - stride: rows and columns the window moves by. nil: the kernel's size, so that windows don't overlap.
  ///   - padding: around the image; on each side less than the window.
  ///   - dilation: the distance between neighbouring elements of the window, at least 1; 1: they are adjacent.
  public init(
    _ kernelSize: some PairConvertible, stride: (any PairConvertible)? = nil, padding: some PaddingConvertible = 0,
    dilation: some PairConvertible = 1
  ) {
    self.kernelSize = kernelSize.pair
    self.stride = stride?.pair ?? kernelSize.pair
    self.padding = padding.imagePadding
    self.dilation = dilation.pair
    require(
      [self.kernelSize, self.stride, self.dilation].allSatisfy { $0.height > 0 && $0.width > 0 },
      "MaxPool2D(\(self.kernelSize)): kernel, stride \(self.stride) and dilation \(self.dilation) must be positive")
  }

  public func forward(_ x: Tensor) -> Tensor {
    guard x.rank == 4 else { return .failure(.layer(expected: "[N, C, H, W]", got: x), as: x.type) }
    return x.maxPool2D(
      kernelSize: kernelSize.tuple, stride: stride.tuple, padding: padding, dilation: dilation.tuple)
  }
}

/// The mean of each window (PyTorch's `AvgPool2d`, Keras' `AveragePooling2D`).
///
/// ```swift
/// let y = AveragePool2D(2)(Tensor.ones([16, 32, 30, 30]))           // float32[16, 32, 15, 15]
/// ```
/// - Input: [N, C, H, W]. Output: [N, C, H′, W′] with H′ = ⌊(H + padding − kernel) / stride⌋ + 1, padding being
///   the sum of both sides.
public final class AveragePool2D: Module {
  /// The window's height and width.
  public let kernelSize: Pair
  /// Rows and columns the window moves by.
  public let stride: Pair
  /// The zeros around the image.
  public let padding: ImagePadding
  /// Whether the border's zeros count in the divisor (PyTorch's default; Keras' "same" does not count them).
  public let countIncludePadding: Bool

  /// - Parameters:
  ///   - kernelSize: the window's height and width, at least 1.
  ///   - stride: rows and columns the window moves by. nil: the kernel's size, so that windows don't overlap.
  ///   - padding: zeros around the image; on each side less than the window.
  ///   - countIncludePadding: whether the border's zeros count in the divisor.
  public init(
    _ kernelSize: some PairConvertible, stride: (any PairConvertible)? = nil, padding: some PaddingConvertible = 0,
    countIncludePadding: Bool = true
  ) {
    self.kernelSize = kernelSize.pair
    self.stride = stride?.pair ?? kernelSize.pair
    self.padding = padding.imagePadding
    self.countIncludePadding = countIncludePadding
    require(
      [self.kernelSize, self.stride].allSatisfy { $0.height > 0 && $0.width > 0 },
      "AveragePool2D(\(self.kernelSize)): kernel and stride \(self.stride) must be positive")
  }

  public func forward(_ x: Tensor) -> Tensor {
    guard x.rank == 4 else { return .failure(.layer(expected: "[N, C, H, W]", got: x), as: x.type) }
    return x.averagePool2D(
      kernelSize: kernelSize.tuple, stride: stride.tuple, padding: padding, countIncludePadding: countIncludePadding)
  }
}

/// The mean of each channel: [N, C, H, W] → [N, C] (Keras' `GlobalAveragePooling2D`; in PyTorch `AdaptiveAvgPool2d(1)`
/// and then `Flatten`).
///
/// ```swift
/// let y = GlobalAveragePool2D()(Tensor.ones([16, 32, 7, 7]))        // float32[16, 32]
/// ```
public final class GlobalAveragePool2D: Module {
  /// A layer without parameters.
  public init() {}

  public func forward(_ x: Tensor) -> Tensor {
    guard x.rank == 4 else { return .failure(.layer(expected: "[N, C, H, W]", got: x), as: x.type) }
    return x.mean(2, 3)
  }
}
