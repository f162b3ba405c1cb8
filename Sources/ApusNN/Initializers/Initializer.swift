import ApusCore

/// How a parameter's first values are made.
///
/// | here | PyTorch | Keras |
/// | --- | --- | --- |
/// | `kaimingUniform`, `kaimingNormal` | `kaiming_uniform_`, `kaiming_normal_` | |
/// | `glorotUniform` | `xavier_uniform_` | `GlorotUniform` |
/// | `xavierNormal` | `xavier_normal_` | |
/// | `glorotNormal`, `heNormal` (truncated) | | `GlorotNormal`, `HeNormal` |
/// | `heUniform` | `kaiming_uniform_(nonlinearity="relu")` | `HeUniform` |
/// | `orthogonal` | `orthogonal_` | `Orthogonal` |
///
/// ```swift
/// Linear(784, 10, weightInitializer: .glorotUniform, biasInitializer: .zeros)
/// ```
public struct Initializer: Sendable {
  /// What it is called.
  public let name: String
  private let make: @Sendable (Shape, DType, Generator) -> Tensor

  /// An initialiser of one's own.
  ///
  /// ```swift
  /// let halves = Initializer("halves") { shape, dtype, _ in Tensor.full(shape, 0.5, dtype: dtype) }
  /// let layer = Linear(64, 32, weightInitializer: halves)
  /// ```
  /// - Parameters:
  ///   - name: what it is called.
  ///   - make: of a shape, a dtype and the source of random numbers; gives a tensor of that shape and dtype.
  public init(_ name: String, _ make: @escaping @Sendable (Shape, DType, Generator) -> Tensor) {
    self.name = name
    self.make = make
  }

  /// Makes the values, concrete ones even inside a trace.
  /// - Parameters:
  ///   - shape: of the result.
  ///   - dtype: of the result; float32 and float64 fit every initialiser.
  ///   - generator: the stream that random numbers are drawn from.
  /// - Returns: a tensor without a gradient's history.
  public func callAsFunction(_ shape: Shape, dtype: DType = .float32, generator: Generator = .default) -> Tensor {
    outsideTrace { withoutGradients { make(shape, dtype, generator) } }
  }
}

// MARK: Constants and plain distributions

extension Initializer {
  /// All 0.
  public static let zeros = constant(0)
  /// All 1.
  public static let ones = constant(1)

  /// One value everywhere.
  public static func constant(_ value: Double) -> Initializer {
    Initializer("constant(\(value))") { shape, dtype, _ in .full(shape, value, dtype: dtype) }
  }

  /// Uniform on [low, high) (`uniform_`, Keras' `RandomUniform`).
  public static func uniform(_ low: Double, _ high: Double) -> Initializer {
    Initializer("uniform(\(low), \(high))") { shape, dtype, generator in
      .uniform(shape, low: low, high: high, dtype: dtype, generator: generator)
    }
  }

  /// Normal with a mean and a standard deviation (`normal_`, Keras' `RandomNormal`, whose default deviation is 0.05).
  public static func normal(mean: Double = 0, standardDeviation: Double = 1) -> Initializer {
    Initializer("normal(\(mean), \(standardDeviation))") { shape, dtype, generator in
      .normal(shape, mean: mean, standardDeviation: standardDeviation, dtype: dtype, generator: generator)
    }
  }

  /// Normal, restricted to mean ± `bound` standard deviations (`trunc_normal_`, Keras' `TruncatedNormal` with bound 2).
  ///
  /// - Parameters:
  ///   - mean: of the distribution before it is cut.
  ///   - standardDeviation: of the distribution before it is cut; afterwards it is smaller (0.88 of it with bound 2).
  ///   - bound: how many standard deviations from the mean are kept. `trunc_normal_` takes bounds as values instead.
  public static func truncatedNormal(
    mean: Double = 0, standardDeviation: Double = 1, bound: Double = 2
  ) -> Initializer {
    Initializer("truncatedNormal(\(mean), \(standardDeviation))") { shape, dtype, generator in
      TruncatedNormal.sample(
        shape, mean: mean, standardDeviation: standardDeviation, bound: bound, dtype: dtype, generator: generator)
    }
  }
}

// MARK: Scaled by the number of connections

extension Initializer {
  /// Uniform on ±√(6 / ((1 + a²) · fan)) (He et al., 2015, https://arxiv.org/abs/1502.01852).
  ///
  /// With a = √5, the default of PyTorch's layers, the bound is 1/√fan.
  /// - Parameters:
  ///   - a: the slope at negative values of the leaky ReLU that follows; 0 for ReLU.
  ///   - mode: which fan; `.input` keeps the variance in the forward pass, `.output` that of the gradients.
  public static func kaimingUniform(a: Double = 0, mode: Fan.Mode = .input) -> Initializer {
    Initializer("kaimingUniform(a: \(a))") { shape, dtype, generator in
      let bound = (6 / ((1 + a * a) * Fan(shape).count(mode))).squareRoot()
      return .uniform(shape, low: -bound, high: bound, dtype: dtype, generator: generator)
    }
  }

  /// Normal with standard deviation √(2 / ((1 + a²) · fan)) (He et al., 2015), not truncated.
  ///
  /// - Parameters:
  ///   - a: the slope at negative values of the leaky ReLU that follows; 0 for ReLU.
  ///   - mode: which fan; `.input` keeps the variance in the forward pass, `.output` that of the gradients.
  public static func kaimingNormal(a: Double = 0, mode: Fan.Mode = .input) -> Initializer {
    scaledNormal("kaimingNormal(a: \(a))", scale: 2 / (1 + a * a), mode)
  }

  /// The weights of PyTorch's linear and convolution layers: ``kaimingUniform(a:mode:)`` with a = √5, ±1/√fan_in.
  public static let torchDefault = kaimingUniform(a: 5.0.squareRoot())

  /// Uniform on ±√(6 / (fan_in + fan_out)) (Glorot and Bengio, 2010, https://proceedings.mlr.press/v9/glorot10a.html):
  /// the weights of Keras' layers.
  public static let glorotUniform = Initializer("glorotUniform") { shape, dtype, generator in
    let bound = (3 / Fan(shape).count(.average)).squareRoot()
    return .uniform(shape, low: -bound, high: bound, dtype: dtype, generator: generator)
  }

  /// Normal with standard deviation √(2 / (fan_in + fan_out)), not truncated.
  public static let xavierNormal = scaledNormal("xavierNormal", scale: 1, .average)

  /// Truncated normal whose standard deviation after truncation is √(2 / (fan_in + fan_out)) (Glorot and Bengio, 2010).
  public static let glorotNormal = scaledTruncatedNormal("glorotNormal", scale: 1, .average)

  /// Uniform on ±√(6 / fan_in) (He et al., 2015), for layers followed by ReLU.
  public static let heUniform = kaimingUniform()

  /// Truncated normal whose standard deviation after truncation is √(2 / fan_in) (He et al., 2015), for layers followed
  /// by ReLU.
  public static let heNormal = scaledTruncatedNormal("heNormal", scale: 2, .input)

  /// Truncated normal whose standard deviation after truncation is √(1 / fan_in) (LeCun et al., 1998).
  public static let lecunNormal = scaledTruncatedNormal("lecunNormal", scale: 1, .input)

  private static func scaledNormal(_ name: String, scale: Double, _ mode: Fan.Mode) -> Initializer {
    Initializer(name) { shape, dtype, generator in
      let deviation = (scale / Fan(shape).count(mode)).squareRoot()
      return .normal(shape, mean: 0, standardDeviation: deviation, dtype: dtype, generator: generator)
    }
  }

  private static func scaledTruncatedNormal(_ name: String, scale: Double, _ mode: Fan.Mode) -> Initializer {
    Initializer(name) { shape, dtype, generator in
      // Cutting at two deviations leaves this much of the deviation (Keras uses the same constant).
      let deviation = (scale / Fan(shape).count(mode)).squareRoot() / 0.87962566103423978
      return TruncatedNormal.sample(
        shape, mean: 0, standardDeviation: deviation, bound: 2, dtype: dtype, generator: generator)
    }
  }

  /// Rows or columns, whichever are fewer, orthonormal and times `gain` (Saxe et al., 2014,
  /// https://arxiv.org/abs/1312.6120): the first dimension against all others. It takes O(rows · columns · min) on the
  /// host.
  /// - Parameter gain: the rows' or columns' length. Shapes of fewer than two dimensions are an error (shape).
  public static func orthogonal(gain: Double = 1) -> Initializer {
    Initializer("orthogonal(\(gain))") { shape, dtype, generator in
      Orthogonal.sample(shape, gain: gain, dtype: dtype, generator: generator)
    }
  }
}
