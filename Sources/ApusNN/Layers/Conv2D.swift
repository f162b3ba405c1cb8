import ApusCore

/// Two-dimensional cross-correlation of images with learned kernels: what deep learning calls convolution (PyTorch's
/// `Conv2d`, Keras' `Conv2D`).
///
/// y[n, o, i, j] = bias[o] + Σ weight[o, c, k, l] · x[n, c, i·stride + k·dilation − padding, …],
/// over the channels c of o's group.
/// ```swift
/// let layer = Conv2D(3, 32, kernelSize: 3)                      // explicit channels
/// let y = layer(Tensor.ones([16, 3, 32, 32]))                   // float32[16, 32, 30, 30]
/// Conv2D(32, kernelSize: [3, 5], padding: .same, activation: .relu)   // input channels inferred at the first call
/// ```
/// - Input: [N, inputChannels, H, W] (Keras' default is channels last).
/// - Output: [N, outputChannels, H′, W′] with
///   H′ = ⌊(H + padding − dilation·(kernel − 1) − 1) / stride⌋ + 1, padding being the sum of both sides.
/// - Parameters `weight` [outputChannels, inputChannels / groups, kernel height, kernel width] and `bias`
///   [outputChannels], by default uniform on ±1/√fan_in as in PyTorch. Keras' kernels are [height, width, in, out].
public final class Conv2D: Module, SizeInferring {
  /// [outputChannels, inputChannels / groups, kernel height, kernel width]. Without a value until the first call where
  /// the input channels are inferred.
  public let weight: Parameter
  /// [outputChannels]; nil in a layer made with `bias: false`.
  public let bias: Parameter?
  /// The number of kernels, and so of the output's channels.
  public let outputChannels: Int
  /// The kernel's height and width.
  public let kernelSize: Pair
  /// Rows and columns the kernel moves by.
  public let stride: Pair
  /// The zeros around the image.
  public let padding: ImagePadding
  /// The distance between neighbouring elements of the kernel, in rows and columns; 1: they are adjacent.
  public let dilation: Pair
  /// How many groups the channels are dealt into, each with kernels of its own.
  public let groups: Int
  private let activation: Activation?
  private let initializers: (weight: Initializer, bias: Initializer?)
  let dtype: DType
  private let building = Building()

  /// A layer whose input channels are known.
  /// - Parameters:
  ///   - inputChannels: the size of the input's axis 1, a multiple of `groups`.
  ///   - outputChannels: the number of kernels, a multiple of `groups`.
  ///   - kernelSize: `3`, or height and width `[3, 5]`, at least 1.
  ///   - stride: rows and columns the kernel moves by, at least 1.
  ///   - padding: zeros around the image: `1`, rows and columns `[1, 2]`, `.same`, `.valid` (none) or
  ///     `ImagePadding.explicit`. `.same` with a stride above 1 needs images whose size is known when a graph is
  ///     traced.
  ///   - dilation: the distance between neighbouring elements of the kernel, at least 1.
  ///   - groups: independent convolutions that the channels are dealt into; with `inputChannels` of them a depthwise
  ///     one.
  ///   - bias: whether a bias is added.
  ///   - activation: applied to the result; nil: none.
  ///   - weightInitializer: makes the first weight.
  ///   - biasInitializer: makes the first bias; nil: uniform on ±1/√fan_in.
  ///   - dtype: of weight and bias.
  public convenience init(
    _ inputChannels: Int, _ outputChannels: Int, kernelSize: some PairConvertible, stride: some PairConvertible = 1,
    padding: some PaddingConvertible = 0, dilation: some PairConvertible = 1, groups: Int = 1, bias: Bool = true,
    activation: Activation? = nil, weightInitializer: Initializer = .torchDefault, biasInitializer: Initializer? = nil,
    dtype: DType = .float32
  ) {
    self.init(
      input: inputChannels, output: outputChannels, kernelSize.pair, stride.pair, padding.imagePadding, dilation.pair,
      groups, hasBias: bias, activation, (weightInitializer, biasInitializer), dtype)
  }

  /// A layer that takes its number of input channels from the first input.
  /// - Parameters:
  ///   - outputChannels: the number of kernels, a multiple of `groups`.
  ///   - kernelSize: `3`, or height and width `[3, 5]`, at least 1.
  ///   - stride: rows and columns the kernel moves by, at least 1.
  ///   - padding: zeros around the image: `1`, rows and columns `[1, 2]`, `.same`, `.valid` (none) or
  ///     `ImagePadding.explicit`.
  ///   - dilation: the distance between neighbouring elements of the kernel, at least 1.
  ///   - groups: independent convolutions that the channels are dealt into; the input's channels are a multiple of it.
  ///   - bias: whether a bias is added.
  ///   - activation: applied to the result; nil: none.
  ///   - weightInitializer: makes the first weight.
  ///   - biasInitializer: makes the first bias; nil: uniform on ±1/√fan_in.
  ///   - dtype: of weight and bias.
  public convenience init(
    _ outputChannels: Int, kernelSize: some PairConvertible, stride: some PairConvertible = 1,
    padding: some PaddingConvertible = 0, dilation: some PairConvertible = 1, groups: Int = 1, bias: Bool = true,
    activation: Activation? = nil, weightInitializer: Initializer = .torchDefault, biasInitializer: Initializer? = nil,
    dtype: DType = .float32
  ) {
    self.init(
      input: nil, output: outputChannels, kernelSize.pair, stride.pair, padding.imagePadding, dilation.pair, groups,
      hasBias: bias, activation, (weightInitializer, biasInitializer), dtype)
  }

  private init(
    input: Int?, output: Int, _ kernelSize: Pair, _ stride: Pair, _ padding: ImagePadding, _ dilation: Pair,
    _ groups: Int, hasBias: Bool, _ activation: Activation?, _ initializers: (weight: Initializer, bias: Initializer?),
    _ dtype: DType
  ) {
    let name = "Conv2D(\(input.map { "\($0), " } ?? "")\(output), kernelSize: \(kernelSize))"
    require(output > 0 && (input ?? 1) > 0, "\(name): the numbers of channels must be positive")
    require(
      [kernelSize, stride, dilation].allSatisfy { $0.height > 0 && $0.width > 0 },
      "\(name): kernel, stride \(stride) and dilation \(dilation) must be positive")
    require(
      groups > 0 && output % groups == 0 && (input ?? groups) % groups == 0,
      "\(name): \(groups) groups must divide both numbers of channels")
    outputChannels = output
    self.kernelSize = kernelSize
    self.stride = stride
    self.padding = padding
    self.dilation = dilation
    self.groups = max(groups, 1)
    self.activation = activation
    self.initializers = initializers
    self.dtype = dtype
    let shape: Shape? = input.map { [output, $0 / max(groups, 1), kernelSize.height, kernelSize.width] }
    weight = Parameter(shape, initializers.weight, dtype: dtype)
    let fan = shape.map { Fan($0).input } ?? 1
    bias =
      hasBias ? Parameter(shape.map { _ in [output] }, initializers.bias ?? .torchBias(fan: fan), dtype: dtype) : nil
  }

  public func build(for x: Tensor) {
    building.once {
      guard x.rank == 4, let input = x.dimension(1).value, input > 0, input % groups == 0 else {
        return weight.isInitialized
      }
      let shape: Shape = [outputChannels, input / groups, kernelSize.height, kernelSize.width]
      weight.build(shape, initializers.weight, dtype: dtype)
      bias?.build([outputChannels], initializers.bias ?? .torchBias(fan: Fan(shape).input), dtype: dtype)
      return true
    }
  }

  public func forward(_ x: Tensor) -> Tensor {
    guard x.rank == 4, weight.isInitialized else {
      return mismatch(x, groups == 1 ? "C" : "C (a multiple of \(groups))")
    }
    let weight = weight.tensor
    let channels = weight.dimension(1) * groups
    guard x.dimension(1) == channels else { return mismatch(x, "\(channels)") }
    let y = x.convolution2D(
      weight, bias: bias?.tensor, stride: stride.tuple, padding: padding, dilation: dilation.tuple, groups: groups)
    return activation.apply(y)
  }

  private func mismatch(_ x: Tensor, _ channels: String) -> Tensor {
    .failure(.layer(expected: "[N, \(channels), H, W]", got: x), as: TensorType(dtype, x.shape))
  }
}
