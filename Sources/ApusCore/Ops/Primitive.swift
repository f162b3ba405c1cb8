/// The closed set of operations that engines implement. Everything else is plain Swift over these.
///
/// A case's payload is its definition: attributes inline, rules beside them. Large payloads that no hot path
/// makes are boxed (`indirect`) so that a graph's nodes stay small.
public enum Primitive: Hashable, Sendable {
  // Element-wise, one operand.
  /// −x, |x|, −1/0/1, ⌊x⌋, ⌈x⌉, the nearest whole number (halves to even). The first three take integers too.
  case negate, abs, sign, floor, ceil, round
  /// Of reals: eˣ, eˣ − 1, ln x, ln(1 + x), √x, 1/√x, sin, cos, tanh, erf, 1/(1 + e⁻ˣ); and max(x, 0), of integers too.
  case exp, expm1, log, log1p, sqrt, rsqrt, sin, cos, tanh, erf, sigmoid, relu
  /// Of reals: x·sigmoid(x); x·Φ(x), and the same by a hyperbolic tangent; Φ(x) = ½ erfc(−x/√2) and its density
  /// e^(−x²/2)/√(2π), both relatively exact in the tails.
  case silu, gelu, tanhGELU, normalCDF, normalPDF
  /// Bool to bool.
  case logicalNot
  // Element-wise, two operands of equal type.
  /// Of integers and reals. Integers wrap and divide toward zero, by 0 to 0; `remainder` has the divisor's sign; NaN
  /// wins in `maximum` and `minimum`.
  case add, subtract, multiply, divide, remainder, power, maximum, minimum
  /// Bool to bool.
  case logicalAnd, logicalOr, logicalXor
  /// Equal types to bool.
  case compare(Compare)
  /// Three operands: condition, then, else.
  case select
  /// To another dtype.
  case cast(Cast)
  // From nothing.
  /// One value everywhere.
  case full(Full)
  /// 0, 1, 2, … along an axis.
  case iota(Iota)
  /// The size of an axis, an int64 scalar.
  case dimension(Dimension)
  // Movement.
  /// The same elements in order under another shape.
  case reshape(Reshape)
  /// The axes in another order.
  case permute(Permute)
  /// Sizes of 1 and missing leading axes repeated.
  case broadcast(Broadcast)
  /// Every so many elements between two bounds of each axis.
  indirect case slice(Slice)
  /// Two operands: x, and what replaces a slice of it.
  indirect case sliceUpdate(SliceUpdate)
  /// One value around.
  indirect case pad(Pad)
  /// The order along some axes reversed.
  case reverse(Reverse)
  /// Any number of operands joined along an axis.
  case concatenate(Concatenate)
  // Reductions.
  /// Σx along a set of axes.
  case sum(Sum)
  /// Πx along a set of axes.
  case product(Product)
  /// √Σx² along a set of axes.
  case norm(Norm)
  /// The largest along a set of axes.
  case max(Max)
  /// The smallest along a set of axes.
  case min(Min)
  /// The place of the largest along an axis, int64.
  case argMax(ArgMax)
  /// The place of the smallest along an axis, int64.
  case argMin(ArgMin)
  // Indexing.
  /// Two operands: x, indices. Slices of x at indices along an axis.
  case gather(Gather)
  /// Two operands: updates, indices. The transpose of `gather`.
  case scatterAdd(ScatterAdd)
  /// Two operands: x, indices. An element of x for each index.
  case gatherAlong(GatherAlong)
  /// Two operands: updates, indices. The transpose of `gatherAlong`.
  case scatterAddAlong(ScatterAddAlong)
  // Opaque kernels.
  /// […, m, k] · […, k, n] → […, m, n]: equal rank ≥ 2, leading axes and dtype.
  case matmul
  /// Two operands: image, weight.
  indirect case convolution(Convolution)
  /// Two operands: gradient, weight.
  indirect case convolutionInputGradient(ConvolutionInputGradient)
  /// Two operands: image, gradient.
  indirect case convolutionWeightGradient(ConvolutionWeightGradient)
  /// The largest of each window.
  indirect case maxPool(MaxPool)
  /// Two operands: image, gradient.
  indirect case maxPoolGradient(MaxPoolGradient)
  /// Two operands: image, what is taken at its maxima.
  indirect case maxPoolGather(MaxPoolGather)
  /// The mean of each window.
  indirect case averagePool(AveragePool)
  /// One operand: the gradient.
  indirect case averagePoolGradient(AveragePoolGradient)
  /// exp(xᵢ) / Σ exp(xⱼ) along an axis.
  case softmax(Softmax)
  /// Its logarithm.
  case logSoftmax(LogSoftmax)
  /// Three operands: image, scale, shift. Three results: y, mean, variance.
  case batchNorm(BatchNorm)
  /// Five operands: image, scale, mean, variance, gradient. Three results, one for each of `batchNorm`'s operands.
  case batchNormGradient(BatchNormGradient)
  // Random.
  /// The state to values in [0, 1) and the next state.
  case randomUniform(RandomUniform)
  /// The state to standard normal values and the next state.
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
    case .silu: SiLU()
    case .gelu: GELU()
    case .tanhGELU: TanhGELU()
    case .normalCDF: NormalCDF()
    case .normalPDF: NormalPDF()
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
    case .norm(let d): d
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

  /// The definition's name, `matmul`.
  public var name: String { definition.name }

  /// Whether values decide that it fails: see ``PrimitiveDefinition/canFail``.
  public var canFail: Bool { definition.canFail }
}
