import ApusCore

/// How many inputs and outputs a weight connects: what the scale of its initial values depends on.
///
/// For [out, in, k…] (linear [out, in], convolution [out, in/groups, h, w]): in = shape[1]·∏k, out = shape[0]·∏k, as
/// `torch.nn.init._calculate_fan_in_and_fan_out` counts. Keras' kernels [k…, in, out] give the same two numbers.
/// ```swift
/// let fan = Fan([32, 16, 3, 3])           // input 144, output 288
/// ```
public struct Fan: Hashable, Sendable {
  /// Inputs of one output: fan_in.
  public var input: Int
  /// Outputs of one input: fan_out.
  public var output: Int

  /// - Parameter shape: of the weight. A vector's size counts for both numbers, a scalar counts 1.
  public init(_ shape: Shape) {
    switch shape.rank {
    case 0: (input, output) = (1, 1)
    case 1: (input, output) = (shape[0], shape[0])
    default:
      let field = Sizes.product(shape.dropFirst(2))
      (input, output) = (Sizes.product([shape[1], field]), Sizes.product([shape[0], field]))
    }
  }

  /// Which of the two numbers a scale is derived from: fan_in, fan_out or their mean (Keras' fan_avg).
  public enum Mode: Hashable, Sendable { case input, output, average }

  /// At least 1, so that empty weights have a scale.
  func count(_ mode: Mode) -> Double {
    let count =
      switch mode {
      case .input: Double(input)
      case .output: Double(output)
      case .average: (Double(input) + Double(output)) / 2
      }
    return max(count, 1)
  }
}
