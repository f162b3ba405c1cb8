import ApusCore

/// y = x·Wᵀ + b: every output feature a weighted sum of all input features (PyTorch's `Linear`, Keras' `Dense`).
///
/// ```swift
/// let layer = Linear(784, 10)               // explicit sizes
/// let y = layer(Tensor.ones([32, 784]))     // float32[32, 10]
/// Dense(10, activation: .relu)              // the input's size is inferred at the first call
/// ```
/// - Input: [..., inputFeatures]. Output: [..., outputFeatures]. Another last size is an error (shape).
/// - Parameters `weight` [outputFeatures, inputFeatures] and `bias` [outputFeatures], by default uniform on
///   ±1/√inputFeatures as in PyTorch. Keras keeps the weight transposed, and begins with `.glorotUniform` and zero
///   biases.
public final class Linear: Module, SizeInferring {
  /// W, [outputFeatures, inputFeatures]. Without a value until the first call where the input's size is inferred.
  public let weight: Parameter
  /// b, [outputFeatures]; nil in a layer made with `bias: false`.
  public let bias: Parameter?
  /// The size of the output's last axis.
  public let outputFeatures: Int
  private let activation: Activation?
  private let initializers: (weight: Initializer, bias: Initializer?)
  let dtype: DType
  private let building = Building()

  /// A layer whose input size is known.
  /// - Parameters:
  ///   - inputFeatures: the size of the input's last axis, at least 1.
  ///   - outputFeatures: the size of the output's last axis, at least 1.
  ///   - bias: whether b is added.
  ///   - activation: applied to the result; nil: none.
  ///   - weightInitializer: makes the first weight.
  ///   - biasInitializer: makes the first bias; nil: uniform on ±1/√inputFeatures.
  ///   - dtype: of weight and bias.
  public convenience init(
    _ inputFeatures: Int, _ outputFeatures: Int, bias: Bool = true, activation: Activation? = nil,
    weightInitializer: Initializer = .torchDefault, biasInitializer: Initializer? = nil, dtype: DType = .float32
  ) {
    self.init(
      input: inputFeatures, output: outputFeatures, hasBias: bias, activation: activation,
      initializers: (weightInitializer, biasInitializer), dtype: dtype)
  }

  /// A layer that takes its input size from the first input. Its parameters have no values before;
  /// ``Module/parameters`` lists them all the same, so that an optimizer can be made first.
  /// - Parameters:
  ///   - outputFeatures: the size of the output's last axis, at least 1.
  ///   - bias: whether b is added.
  ///   - activation: applied to the result; nil: none.
  ///   - weightInitializer: makes the first weight.
  ///   - biasInitializer: makes the first bias; nil: uniform on ±1/√inputFeatures.
  ///   - dtype: of weight and bias.
  public convenience init(
    _ outputFeatures: Int, bias: Bool = true, activation: Activation? = nil,
    weightInitializer: Initializer = .torchDefault, biasInitializer: Initializer? = nil, dtype: DType = .float32
  ) {
    self.init(
      input: nil, output: outputFeatures, hasBias: bias, activation: activation,
      initializers: (weightInitializer, biasInitializer), dtype: dtype)
  }

  private init(
    input: Int?, output: Int, hasBias: Bool, activation: Activation?,
    initializers: (weight: Initializer, bias: Initializer?), dtype: DType
  ) {
    require(
      output > 0 && (input ?? 1) > 0, "Linear(\(input.map { "\($0), " } ?? "")\(output)): sizes must be positive")
    outputFeatures = output
    self.activation = activation
    self.initializers = initializers
    self.dtype = dtype
    weight = Parameter(input.map { [Dim(output), Dim($0)] }, initializers.weight, dtype: dtype)
    bias =
      hasBias
      ? Parameter(input.map { _ in [Dim(output)] }, initializers.bias ?? .torchBias(fan: input ?? 1), dtype: dtype)
      : nil
  }

  public func build(for x: Tensor) {
    building.once {
      guard x.rank >= 1, let input = x.dimension(-1).value, input > 0 else { return weight.isInitialized }
      weight.build([Dim(outputFeatures), Dim(input)], initializers.weight, dtype: dtype)
      bias?.build([Dim(outputFeatures)], initializers.bias ?? .torchBias(fan: input), dtype: dtype)
      return true
    }
  }

  public func forward(_ x: Tensor) -> Tensor {
    guard x.rank >= 1, weight.isInitialized else { return mismatch(x, expected: "[..., features]") }
    let weight = weight.tensor
    guard weight.rank == 2, x.dimension(-1) == weight.dimension(1) else {
      return mismatch(x, expected: "[..., \(weight.dimension(-1))]")
    }
    var y = x.matmul(weight.T)
    if let bias { y = y + bias.tensor }
    return activation.apply(y)
  }

  private func mismatch(_ x: Tensor, expected: String) -> Tensor {
    var shape = x.shape.dims.dropLast() + [Dim(outputFeatures)]
    if shape.count > Shape.maximumRank { shape = [] }
    return .failure(.layer(expected: expected, got: x), as: TensorType(dtype, Shape(dims: shape)))
  }
}

/// Keras' name of ``Linear``.
public typealias Dense = Linear

extension Initializer {
  /// The biases of PyTorch's layers: uniform on ±1/√fan_in of their weight.
  static func torchBias(fan: Int) -> Initializer {
    let bound = 1 / Double(max(fan, 1)).squareRoot()
    return .uniform(-bound, bound)
  }
}
