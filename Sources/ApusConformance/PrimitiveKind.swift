import ApusCore

/// The cases of `Primitive` without their payloads, so that they can be listed.
///
/// ``init(_:)`` switches over every case: a new primitive does not compile here until it has a kind, and with it the
/// samples that all generated tests run on.
public enum PrimitiveKind: String, CaseIterable, Hashable, Sendable {
  case negate, abs, sign, floor, ceil, round
  case exp, expm1, log, log1p, sqrt, rsqrt, sin, cos, tanh, erf, sigmoid, relu
  case silu, gelu, tanhGELU, normalCDF, normalPDF
  case logicalNot
  case add, subtract, multiply, divide, remainder, power, maximum, minimum
  case logicalAnd, logicalOr, logicalXor
  case compare, select, cast
  case full, iota, dimension
  case reshape, permute, broadcast, slice, sliceUpdate, pad, reverse, concatenate
  case sum, product, norm, max, min, argMax, argMin
  case gather, scatterAdd, gatherAlong, scatterAddAlong
  case matmul, convolution, convolutionInputGradient, convolutionWeightGradient
  case maxPool, maxPoolGradient, maxPoolGather, averagePool, averagePoolGradient
  case softmax, logSoftmax, batchNorm, batchNormGradient
  case randomUniform, randomNormal
  case custom

  /// The case of a primitive.
  public init(_ primitive: Primitive) {
    switch primitive {
    case .negate: self = .negate
    case .abs: self = .abs
    case .sign: self = .sign
    case .floor: self = .floor
    case .ceil: self = .ceil
    case .round: self = .round
    case .exp: self = .exp
    case .expm1: self = .expm1
    case .log: self = .log
    case .log1p: self = .log1p
    case .sqrt: self = .sqrt
    case .rsqrt: self = .rsqrt
    case .sin: self = .sin
    case .cos: self = .cos
    case .tanh: self = .tanh
    case .erf: self = .erf
    case .sigmoid: self = .sigmoid
    case .relu: self = .relu
    case .silu: self = .silu
    case .gelu: self = .gelu
    case .tanhGELU: self = .tanhGELU
    case .normalCDF: self = .normalCDF
    case .normalPDF: self = .normalPDF
    case .logicalNot: self = .logicalNot
    case .add: self = .add
    case .subtract: self = .subtract
    case .multiply: self = .multiply
    case .divide: self = .divide
    case .remainder: self = .remainder
    case .power: self = .power
    case .maximum: self = .maximum
    case .minimum: self = .minimum
    case .logicalAnd: self = .logicalAnd
    case .logicalOr: self = .logicalOr
    case .logicalXor: self = .logicalXor
    case .compare: self = .compare
    case .select: self = .select
    case .cast: self = .cast
    case .full: self = .full
    case .iota: self = .iota
    case .dimension: self = .dimension
    case .reshape: self = .reshape
    case .permute: self = .permute
    case .broadcast: self = .broadcast
    case .slice: self = .slice
    case .sliceUpdate: self = .sliceUpdate
    case .pad: self = .pad
    case .reverse: self = .reverse
    case .concatenate: self = .concatenate
    case .sum: self = .sum
    case .product: self = .product
    case .norm: self = .norm
    case .max: self = .max
    case .min: self = .min
    case .argMax: self = .argMax
    case .argMin: self = .argMin
    case .gather: self = .gather
    case .scatterAdd: self = .scatterAdd
    case .gatherAlong: self = .gatherAlong
    case .scatterAddAlong: self = .scatterAddAlong
    case .matmul: self = .matmul
    case .convolution: self = .convolution
    case .convolutionInputGradient: self = .convolutionInputGradient
    case .convolutionWeightGradient: self = .convolutionWeightGradient
    case .maxPool: self = .maxPool
    case .maxPoolGradient: self = .maxPoolGradient
    case .maxPoolGather: self = .maxPoolGather
    case .averagePool: self = .averagePool
    case .averagePoolGradient: self = .averagePoolGradient
    case .softmax: self = .softmax
    case .logSoftmax: self = .logSoftmax
    case .batchNorm: self = .batchNorm
    case .batchNormGradient: self = .batchNormGradient
    case .randomUniform: self = .randomUniform
    case .randomNormal: self = .randomNormal
    case .custom: self = .custom
    }
  }

  /// The samples of its definition.
  public var samples: [Sample] {
    func of(_ primitive: Primitive) -> [Sample] { type(of: primitive.definition).samples }
    return switch self {
    case .negate: of(.negate)
    case .abs: of(.abs)
    case .sign: of(.sign)
    case .floor: of(.floor)
    case .ceil: of(.ceil)
    case .round: of(.round)
    case .exp: of(.exp)
    case .expm1: of(.expm1)
    case .log: of(.log)
    case .log1p: of(.log1p)
    case .sqrt: of(.sqrt)
    case .rsqrt: of(.rsqrt)
    case .sin: of(.sin)
    case .cos: of(.cos)
    case .tanh: of(.tanh)
    case .erf: of(.erf)
    case .sigmoid: of(.sigmoid)
    case .relu: of(.relu)
    case .silu: of(.silu)
    case .gelu: of(.gelu)
    case .tanhGELU: of(.tanhGELU)
    case .normalCDF: of(.normalCDF)
    case .normalPDF: of(.normalPDF)
    case .logicalNot: of(.logicalNot)
    case .add: of(.add)
    case .subtract: of(.subtract)
    case .multiply: of(.multiply)
    case .divide: of(.divide)
    case .remainder: of(.remainder)
    case .power: of(.power)
    case .maximum: of(.maximum)
    case .minimum: of(.minimum)
    case .logicalAnd: of(.logicalAnd)
    case .logicalOr: of(.logicalOr)
    case .logicalXor: of(.logicalXor)
    case .compare: Primitive.Compare.samples
    case .select: of(.select)
    case .cast: Primitive.Cast.samples
    case .full: Primitive.Full.samples
    case .iota: Primitive.Iota.samples
    case .dimension: Primitive.Dimension.samples
    case .reshape: Primitive.Reshape.samples
    case .permute: Primitive.Permute.samples
    case .broadcast: Primitive.Broadcast.samples
    case .slice: Primitive.Slice.samples
    case .sliceUpdate: Primitive.SliceUpdate.samples
    case .pad: Primitive.Pad.samples
    case .reverse: Primitive.Reverse.samples
    case .concatenate: Primitive.Concatenate.samples
    case .sum: Primitive.Sum.samples
    case .product: Primitive.Product.samples
    case .norm: Primitive.Norm.samples
    case .max: Primitive.Max.samples
    case .min: Primitive.Min.samples
    case .argMax: Primitive.ArgMax.samples
    case .argMin: Primitive.ArgMin.samples
    case .gather: Primitive.Gather.samples
    case .scatterAdd: Primitive.ScatterAdd.samples
    case .gatherAlong: Primitive.GatherAlong.samples
    case .scatterAddAlong: Primitive.ScatterAddAlong.samples
    case .matmul: of(.matmul)
    case .convolution: Primitive.Convolution.samples
    case .convolutionInputGradient: Primitive.ConvolutionInputGradient.samples
    case .convolutionWeightGradient: Primitive.ConvolutionWeightGradient.samples
    case .maxPool: Primitive.MaxPool.samples
    case .maxPoolGradient: Primitive.MaxPoolGradient.samples
    case .maxPoolGather: Primitive.MaxPoolGather.samples
    case .averagePool: Primitive.AveragePool.samples
    case .averagePoolGradient: Primitive.AveragePoolGradient.samples
    case .softmax: Primitive.Softmax.samples
    case .logSoftmax: Primitive.LogSoftmax.samples
    case .batchNorm: Primitive.BatchNorm.samples
    case .batchNormGradient: Primitive.BatchNormGradient.samples
    case .randomUniform: Primitive.RandomUniform.samples
    case .randomNormal: Primitive.RandomNormal.samples
    case .custom: CustomPrimitive.samples
    }
  }
}
