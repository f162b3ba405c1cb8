import ApusCore

/// Normalises each example over its last axes (Ba, Kiros and Hinton, 2016, https://arxiv.org/abs/1607.06450); PyTorch's
/// `LayerNorm`, Keras' `LayerNormalization`.
///
/// y = (x − μ) / √(σ² + ε) · weight + bias, with mean and biased variance over the last `shape.rank` axes.
/// ```swift
/// let y = LayerNorm(768)(Tensor.ones([8, 128, 768]))      // each of the 8·128 rows by itself
/// ```
/// - Input and output: [..., shape]. Parameters `weight` and `bias` of that shape, ones and zeros at first.
public final class LayerNorm: Module {
  /// The factors, of ``shape``; nil without `affine`.
  public let weight: Parameter?
  /// The summands, of ``shape``; nil without `affine` or `bias`.
  public let bias: Parameter?
  /// The input's last sizes, which are normalised together.
  public let shape: Shape
  /// ε, which keeps the divisor from 0.
  public let epsilon: Double

  /// - Parameters:
  ///   - shape: of what is normalised together: `[768]` for the last axis.
  ///   - epsilon: ε, which keeps the divisor from 0 (Keras' default is 1e-3).
  ///   - affine: whether there is a weight, and a bias unless `bias` is false.
  ///   - bias: whether there is a bias; it needs `affine`.
  ///   - dtype: of weight and bias.
  public init(
    _ shape: Shape, epsilon: Double = 1e-5, affine: Bool = true, bias: Bool = true, dtype: DType = .float32
  ) {
    require(shape.rank > 0 && shape.elementCount > 0, "LayerNorm(\(shape)): there is nothing to normalise over")
    self.shape = shape
    self.epsilon = epsilon
    weight = affine ? Parameter(shape, .ones, dtype: dtype) : nil
    self.bias = affine && bias ? Parameter(shape, .zeros, dtype: dtype) : nil
  }

  /// Normalises over the last axis.
  /// - Parameters:
  ///   - size: of the last axis, at least 1.
  ///   - epsilon: ε, which keeps the divisor from 0.
  ///   - affine: whether there is a weight, and a bias unless `bias` is false.
  ///   - bias: whether there is a bias; it needs `affine`.
  ///   - dtype: of weight and bias.
  public convenience init(
    _ size: Int, epsilon: Double = 1e-5, affine: Bool = true, bias: Bool = true, dtype: DType = .float32
  ) {
    self.init([size], epsilon: epsilon, affine: affine, bias: bias, dtype: dtype)
  }

  public func forward(_ x: Tensor) -> Tensor {
    guard x.rank >= shape.rank, zip(x.shape.dims.suffix(shape.rank), shape.dims).allSatisfy(==) else {
      let sizes = shape.dims.map(\.description).joined(separator: ", ")
      return .failure(.layer(expected: "[..., \(sizes)]", got: x), as: x.type)
    }
    let scale = weight?.tensor ?? Tensor.ones(shape, dtype: x.dtype)
    let shift = bias?.tensor ?? Tensor.zeros(shape, dtype: x.dtype)
    if shape.rank == 1 { return x.layerNorm(scale: scale, shift: shift, epsilon: epsilon) }
    let flat = x.flattened(from: x.rank - shape.rank)
    return flat.layerNorm(scale: scale.flattened(from: 0), shift: shift.flattened(from: 0), epsilon: epsilon)
      .reshape(x.shape)
  }
}
