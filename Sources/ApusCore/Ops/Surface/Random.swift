import Synchronization

/// A stream of random numbers: Philox4x32-10, whose state (key, offset) is a variable. A compiled function reads and
/// writes it as any other state, so it draws anew on each call.
///
/// ```swift
/// let generator = Generator(seed: 7)
/// let a = Tensor.uniform([3], generator: generator)
/// ```
public final class Generator: Sendable {
  /// int64[2]: the key, which is the seed, and how many blocks of four numbers were drawn.
  public let state: Variable
  /// Draws of two threads must not see the same state.
  private let lock = Mutex(())

  /// A stream of its own, at its beginning.
  public init(seed: UInt64) { state = Variable(Generator.state(seed)) }

  /// The stream that is used where none is given; seeded with 0 until ``manualSeed(_:)``.
  public static let `default` = Generator(seed: 0)

  /// Begins the stream of a seed: the next draw is its first.
  public func seed(_ seed: UInt64) { state.value = Generator.state(seed) }

  private static func state(_ seed: UInt64) -> Tensor {
    outsideTrace { Tensor([Int64(bitPattern: seed), 0], shape: [2], dtype: .int64) }
  }

  func draw(_ primitive: Primitive) -> Tensor {
    lock.withLock { _ in
      let results = Dispatch.run(primitive, [state.value])
      if results.count == 2, !results[1].isPoisoned { state.value = results[1] }
      return results[0]
    }
  }
}

/// Seeds ``Generator/default`` (`torch.manual_seed`).
public func manualSeed(_ seed: UInt64) { Generator.default.seed(seed) }

/// Random tensors. The same seed gives the same numbers on every engine.
extension Tensor {
  /// Uniform in [low, high). Where the bounds are large against their distance, rounding may give `high` itself. Bounds
  /// that are not finite, that the dtype can't hold or that are the wrong way round: error (argument).
  ///
  /// - Parameters:
  ///   - shape: of the result.
  ///   - low: the lower bound.
  ///   - high: the upper bound.
  ///   - dtype: float32 or float64.
  ///   - generator: the stream that the numbers are drawn from.
  public static func uniform(
    _ shape: Shape, low: Double = 0, high: Double = 1, dtype: DType = .float32, generator: Generator = .default
  ) -> Tensor {
    Tensor.attempt("uniform") {
      guard low <= high, low.isFinite, high.isFinite else {
        throw ApusError(
          .argument, "[\(low), \(high)) is no range to draw from: its ends are finite, the lower one first")
      }
      for bound in [low, high] { try Scalar.double(bound).checkFits(dtype) }
      let unit = generator.draw(.randomUniform(.init(type: TensorType(dtype, shape))))
      if low == 0, high == 1 { return unit }
      let width = high - low
      if width.isFinite, Scalar.double(width).fits(dtype) { return unit * width + low }
      // Their distance is more than the dtype holds, but no number between them.
      return unit * high + (1 - unit) * low
    }
  }

  /// Normal with a mean and a standard deviation. Those whose draws the dtype can't hold, and a negative deviation: error
  /// (argument).
  ///
  /// - Parameters:
  ///   - shape: of the result.
  ///   - mean: the distribution's mean.
  ///   - standardDeviation: the distribution's standard deviation.
  ///   - dtype: float32 or float64.
  ///   - generator: the stream that the numbers are drawn from.
  public static func normal(
    _ shape: Shape, mean: Double = 0, standardDeviation: Double = 1, dtype: DType = .float32,
    generator: Generator = .default
  ) -> Tensor {
    Tensor.attempt("normal") {
      // Box and Muller's transform of uniform numbers that are at least 2⁻²⁴ or 2⁻⁵³ goes no further.
      let reach = mean.magnitude + standardDeviation * (dtype == .float64 ? 8.6 : 5.8)
      guard standardDeviation >= 0 else {
        throw ApusError(.argument, "a standard deviation is not negative, and \(standardDeviation) is none")
      }
      guard reach.isFinite, Scalar.double(reach).fits(dtype) else {
        throw ApusError(
          .argument,
          "draws with mean \(mean) and standard deviation \(standardDeviation) would leave \(dtype): ±\(dtype.largest) fit"
        )
      }
      let unit = generator.draw(.randomNormal(.init(type: TensorType(dtype, shape))))
      return mean == 0 && standardDeviation == 1 ? unit : unit * standardDeviation + mean
    }
  }

  /// 1 with a probability, 0 otherwise.
  ///
  /// - Parameters:
  ///   - shape: of the result.
  ///   - probability: of a 1, in 0...1; otherwise error (argument).
  ///   - dtype: of the result, any.
  ///   - generator: the stream that the numbers are drawn from.
  public static func bernoulli(
    _ shape: Shape, probability: Double = 0.5, dtype: DType = .float32, generator: Generator = .default
  ) -> Tensor {
    guard (0...1).contains(probability) else {
      let error = ApusError(
        .argument, "a probability is between 0 and 1, and \(probability) is not", operation: "bernoulli")
      return Dispatch.fail(error, type: TensorType(dtype, shape))
    }
    return (uniform(shape, generator: generator) .< probability).cast(to: dtype)
  }

  /// Whole numbers from a range, each equally likely (to within 2⁻⁵³ of the range's length). A range without numbers, and
  /// one with numbers that the dtype does not tell apart: error (argument).
  public static func randomIntegers(
    _ shape: Shape, in range: Range<Int>, dtype: DType = .int64, generator: Generator = .default
  ) -> Tensor {
    let (count, overflow) = range.upperBound.subtractingReportingOverflow(range.lowerBound)
    guard count > 0, !overflow else {
      let error = ApusError(.argument, "there is no number in \(range), or more than 2^63", operation: "randomIntegers")
      return Dispatch.fail(error, type: TensorType(dtype, shape))
    }
    let held = dtype.wholeNumbers
    guard held.contains(Int64(range.lowerBound)), held.contains(Int64(range.upperBound - 1)) else {
      let error = ApusError(
        .argument,
        "\(range) is more than \(dtype) holds: \(held.lowerBound) to \(held.upperBound) fit, each a number of its own",
        operation: "randomIntegers")
      return Dispatch.fail(error, type: TensorType(dtype, shape))
    }
    let unit = uniform(shape, dtype: .float64, generator: generator)
    let offset = (unit * Double(count)).floor().cast(to: .int64)
    // A product that rounds up to the range's length would fall outside.
    return (minimum(offset, count - 1) + range.lowerBound).cast(to: dtype)
  }

  /// The numbers 0..<n in random order, int64[n]. Drawn on the host: inside a trace it would be one fixed order, so
  /// there it is an error (trace).
  public static func randomPermutation(_ n: Int, generator: Generator = .default) -> Tensor {
    guard ExecutionContext.current?.trace == nil, n >= 0 else {
      let error =
        n < 0
        ? ApusError(.argument, "can't order \(n) numbers", operation: "randomPermutation")
        : ApusError(
          .trace, "an order is drawn on the host: make it outside the traced function", operation: "randomPermutation")
      return Dispatch.fail(error, type: TensorType(.int64, [Swift.max(n, 0)]))
    }
    let keys = uniform([n], dtype: .float64, generator: generator).toArray(of: Double.self)
    // Equal keys keep their order; among 2⁵³ values they are rare.
    let order = keys.indices.sorted { (keys[$0], $0) < (keys[$1], $1) }
    return Tensor(order, shape: [n], dtype: .int64)
  }
}
