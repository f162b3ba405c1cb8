import ApusCore

/// The largest element of each window.
///
/// - Input: [N, C, H, W]. Output: [N, C, H′, W′] with
///   H′ = ⌊(H + padding − dilation·(kernel − 1) − 1) / stride⌋ + 1. The border counts as −∞.
public final class MaxPool2D: Module {
  public let kernelSize: Pair
  public let stride: Pair
  public let padding: ImagePadding
  public let dilation: Pair

  /// - Parameters:
  ///   - kernelSize: the window's height and width, at least 1.
  ///   - stride: rows and columns the window moves by. nil: the kernel's size, so that windows don't overlap.
  ///   - padding: around the image; on each side less than the window.
  ///   - dilation: rows and columns between the window's elements, at least 1.
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

/// The mean of each window.
///
/// - Input: [N, C, H, W]. Output: [N, C, H′, W′] with H′ = ⌊(H + padding − kernel) / stride⌋ + 1.
public final class AveragePool2D: Module {
  public let kernelSize: Pair
  public let stride: Pair
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

/// The mean of each channel: [N, C, H, W] → [N, C].
public final class GlobalAveragePool2D: Module {
  public init() {}

  public func forward(_ x: Tensor) -> Tensor {
    guard x.rank == 4 else { return .failure(.layer(expected: "[N, C, H, W]", got: x), as: x.type) }
    return x.mean(2, 3)
  }
}
