import ApusCore

/// How many inputs and outputs a weight connects: what the scale of its initial values depends on.
///
/// For [out, in, k…] (linear [out, in], convolution [out, in/groups, h, w]): in = shape[1]·∏k, out = shape[0]·∏k, as
/// `torch.nn.init._calculate_fan_in_and_fan_out` counts. Keras' kernels [k…, in, out] give the same two numbers.
public struct Fan: Hashable, Sendable {
  public var input: Int
  public var output: Int

  public init(_ shape: Shape) {
    switch shape.rank {
    case 0: (input, output) = (1, 1)
    case 1: (input, output) = (shape[0], shape[0])
    default:
      let field = shape.dropFirst(2).reduce(1, *)
      (input, output) = (shape[1] * field, shape[0] * field)
    }
  }

  /// Which of the two numbers a scale is derived from.
  public enum Mode: Hashable, Sendable { case input, output, average }

  /// At least 1, so that empty weights have a scale.
  func count(_ mode: Mode) -> Double {
    let count =
      switch mode {
      case .input: Double(input)
      case .output: Double(output)
      case .average: Double(input + output) / 2
      }
    return max(count, 1)
  }
}
