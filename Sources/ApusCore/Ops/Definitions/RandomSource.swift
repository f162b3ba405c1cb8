/// Draws from Philox4x32-10: state (int64[2]: key, offset) → values, the state after them.
/// Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", 2011.
public protocol RandomSource: NotDifferentiable, Elementary {
  /// The values' type: float32 or float64.
  var type: TensorType { get }
  /// A draw of values of a type.
  init(type: TensorType)
  /// The case that holds it.
  var primitive: Primitive { get }
}
extension RandomSource {
  /// The state is integers.
  public static var notDifferentiableBecause: String { "its values come from an integer state" }
  public func infer(_ operands: [TensorType]) throws -> [TensorType] {
    try Rules.count(operands, 1)
    guard operands[0] == TensorType(.int64, [2]) else {
      throw ApusError(.shape, "the state must be int64[2] (key, offset), not \(operands[0])")
    }
    try Rules.floating(type)
    if type.shape.isStatic { _ = try type.byteCount() }
    return [type, operands[0]]
  }
  /// Each state of the batch draws for itself, as it would alone.
  public func batch(_ context: BatchContext) -> [Tensor] {
    guard let size = context.size.value, size > 0 else {
      let error = ApusError(.shape, "a batch of random states must have a known size ≥ 1, not \(context.size)")
      return Dispatch.fail(error, primitive, context.inputs)
    }
    if let error = HostMemory.refusal(size, ofBytes: 512, "the number of random states") {
      return Dispatch.fail(error, primitive, context.inputs)
    }
    let draws = (0..<size).map { i in
      let state = context.inputs[0].sliced(axis: 0, Dim(i), Dim(i + 1)).reshape([2])
      return Dispatch.run(primitive, [state])
    }
    return [0, 1].map { output in stack(draws.map { $0[output] }, axis: 0) }
  }
  public static var samples: [Sample] {
    let state = Sample.Operand.values([42, 7], [2], .int64)
    let shapes: [Shape] = [[], [3], [0, 2], [2, 3, 4]]
    return shapes.flatMap { shape in
      [DType.float32, .float64].map { Sample(Self(type: TensorType($0, shape)).primitive, [state]) }
    }
  }
}

extension Primitive {
  /// Uniform in [0, 1): state int64[2] → values of `type`, the next state.
  public struct RandomUniform: RandomSource {
    /// The values' type: float32 or float64.
    public var type: TensorType
    /// A draw of values of a type.
    public init(type: TensorType) { self.type = type }
    public var name: String { "randomUniform" }
    /// The case that holds it.
    public var primitive: Primitive { .randomUniform(self) }
  }

  /// Normal with mean 0 and standard deviation 1, by Box and Muller's transform of pairs: state int64[2] → values of
  /// `type`, the next state.
  public struct RandomNormal: RandomSource {
    /// The values' type: float32 or float64.
    public var type: TensorType
    /// A draw of values of a type.
    public init(type: TensorType) { self.type = type }
    public var name: String { "randomNormal" }
    /// The case that holds it.
    public var primitive: Primitive { .randomNormal(self) }
  }
}
