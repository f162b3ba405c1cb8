/// The closed set of operations that engines implement. Everything else is plain Swift over these.
///
/// A case's payload is its definition: attributes inline, rules beside them. Large payloads that no hot path
/// makes are boxed (`indirect`) so that a graph's nodes stay small.
public enum Primitive: Hashable, Sendable {
  // Element-wise, one operand.
  case negate, abs, sign, floor, ceil, round
  case exp, expm1, log, log1p, sqrt, rsqrt, sin, cos, tanh, erf, sigmoid, relu
  case logicalNot
  // Element-wise, two operands of equal type.
  case add, subtract, multiply, divide, remainder, power, maximum, minimum
  case logicalAnd, logicalOr, logicalXor
  case compare(Compare)
  /// Three operands: condition, then, else.
  case select
  case cast(Cast)
  // From nothing.
  case full(Full)
  case iota(Iota)
  case dimension(Dimension)
  // Movement.
  case reshape(Reshape)
  case permute(Permute)
  case broadcast(Broadcast)
  indirect case slice(Slice)
  indirect case sliceUpdate(SliceUpdate)
  indirect case pad(Pad)
  case reverse(Reverse)
  case concatenate(Concatenate)
  // Reductions.
  case sum(Sum)
  case product(Product)
  case max(Max)
  case min(Min)
  case argMax(ArgMax)
  case argMin(ArgMin)
  // Indexing.
  case gather(Gather)
  case scatterAdd(ScatterAdd)
  case gatherAlong(GatherAlong)
  case scatterAddAlong(ScatterAddAlong)
  // Opaque kernels.
  case matmul
  indirect case convolution(Convolution)
  indirect case convolutionInputGradient(ConvolutionInputGradient)
  indirect case convolutionWeightGradient(ConvolutionWeightGradient)
  indirect case maxPool(MaxPool)
  indirect case maxPoolGradient(MaxPoolGradient)
  indirect case maxPoolGather(MaxPoolGather)
  indirect case averagePool(AveragePool)
  indirect case averagePoolGradient(AveragePoolGradient)
  case softmax(Softmax)
  case logSoftmax(LogSoftmax)
  case batchNorm(BatchNorm)
  case batchNormGradient(BatchNormGradient)
  // Random.
  case randomUniform(RandomUniform)
  case randomNormal(RandomNormal)
  /// User-defined.
  case custom(CustomPrimitive)

  /// The rules of the operation. A case without them does not compile.
  public var definition: any PrimitiveDefinition {
    switch self {
    case .negate: Negate()
    case .abs: Abs()
    case .sign: Sign()
    case .floor: Floor()
    case .ceil: Ceil()
    case .round: Round()
    case .exp: Exp()
    case .expm1: Expm1()
    case .log: Log()
    case .log1p: Log1p()
    case .sqrt: Sqrt()
    case .rsqrt: Rsqrt()
    case .sin: Sin()
    case .cos: Cos()
    case .tanh: Tanh()
    case .erf: Erf()
    case .sigmoid: Sigmoid()
    case .relu: Relu()
    case .logicalNot: LogicalNot()
    case .add: Add()
    case .subtract: Subtract()
    case .multiply: Multiply()
    case .divide: Divide()
    case .remainder: Remainder()
    case .power: Power()
    case .maximum: Maximum()
    case .minimum: Minimum()
    case .logicalAnd: LogicalAnd()
    case .logicalOr: LogicalOr()
    case .logicalXor: LogicalXor()
    case .compare(let d): d
    case .select: Select()
    case .cast(let d): d
    case .full(let d): d
    case .iota(let d): d
    case .dimension(let d): d
    case .reshape(let d): d
    case .permute(let d): d
    case .broadcast(let d): d
    case .slice(let d): d
    case .sliceUpdate(let d): d
    case .pad(let d): d
    case .reverse(let d): d
    case .concatenate(let d): d
    case .sum(let d): d
    case .product(let d): d
    case .max(let d): d
    case .min(let d): d
    case .argMax(let d): d
    case .argMin(let d): d
    case .gather(let d): d
    case .scatterAdd(let d): d
    case .gatherAlong(let d): d
    case .scatterAddAlong(let d): d
    case .matmul: Matmul()
    case .convolution(let d): d
    case .convolutionInputGradient(let d): d
    case .convolutionWeightGradient(let d): d
    case .maxPool(let d): d
    case .maxPoolGradient(let d): d
    case .maxPoolGather(let d): d
    case .averagePool(let d): d
    case .averagePoolGradient(let d): d
    case .softmax(let d): d
    case .logSoftmax(let d): d
    case .batchNorm(let d): d
    case .batchNormGradient(let d): d
    case .randomUniform(let d): d
    case .randomNormal(let d): d
    case .custom(let d): d
    }
  }

  public var name: String { definition.name }
}
