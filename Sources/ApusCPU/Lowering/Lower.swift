import ApusCore
import CKernels

extension Primitive.Compare {
  var kernelCode: ck_op {
    switch comparison {
    case .eq: CK_EQUAL
    case .ne: CK_NOT_EQUAL
    case .lt: CK_LESS
    case .le: CK_LESS_EQUAL
    case .gt: CK_GREATER
    case .ge: CK_GREATER_EQUAL
    }
  }
}

extension PlanBuilder {
  /// Steps for one primitive.
  func lower(_ primitive: Primitive, _ inputs: [Int], _ outputs: [Int]) throws {
    // What memory can't hold is refused before its sizes are multiplied.
    for output in outputs { _ = try type(output).byteCount() }
    // Of what may fail, the operands are still to be looked at.
    let isLookedAt = primitive.canFail && !inputs.allSatisfy { isEmpty($0) }
    if outputs.allSatisfy({ isEmpty($0) }), !isLookedAt {
      for output in outputs { _ = try define(output) }
      return
    }
    if try !lowerByKernel(primitive, inputs, outputs) { try lowerByReference(primitive, inputs, outputs) }
  }

  /// The engine's one switch over the primitives: false where no kernel fits the dtypes.
  private func lowerByKernel(_ primitive: Primitive, _ inputs: [Int], _ outputs: [Int]) throws -> Bool {
    let output = outputs[0]
    switch primitive {
    case .negate, .abs, .sign, .floor, .ceil, .round, .exp, .expm1, .log, .log1p, .sqrt, .rsqrt, .sin, .cos, .tanh,
      .erf,
      .sigmoid, .relu, .silu, .gelu, .tanhGELU, .normalCDF, .normalPDF, .logicalNot, .add, .subtract, .multiply,
      .divide, .remainder, .power, .maximum, .minimum,
      .logicalAnd, .logicalOr, .logicalXor, .compare, .select, .cast:
      guard let kernel = ElementwiseKernel(primitive) else { return false }
      return try lowerElementwise(kernel, inputs, output)

    case .full(let d):
      guard let bits = d.value.bits(as: dtype(output)) else { return false }
      try defineUniform(output, bits: bits)
    case .iota(let d): return try lowerIota(d, output)
    case .dimension(let d): try defineUniform(output, bits: UInt64(shape(inputs[0])[d.axis]))

    case .reshape: try lowerReshape(inputs[0], output)
    case .permute(let d):
      guard hasWholeBytes(output) else { return false }
      try lowerPermute(d.permutation, inputs[0], output)
    case .broadcast:
      guard hasWholeBytes(output) else { return false }
      try lowerBroadcast(inputs[0], output)
    case .slice(let d):
      guard hasWholeBytes(output) else { return false }
      try lowerSlice(d, inputs[0], output)
    case .reverse(let d):
      guard hasWholeBytes(output) else { return false }
      try lowerReverse(d.axes, inputs[0], output)
    case .sliceUpdate(let d):
      guard hasWholeBytes(output) else { return false }
      try lowerSliceUpdate(d, inputs, output)
    case .pad(let d):
      guard dtype(output).kernelCode != nil else { return false }
      try lowerPad(d, inputs[0], output)
    case .concatenate(let d):
      guard hasWholeBytes(output) else { return false }
      try lowerConcatenate(d.axis, inputs, output)

    case .sum(let d): return try lowerReduction(CK_REDUCE_SUM, d.axes, inputs[0], output)
    case .product(let d): return try lowerReduction(CK_REDUCE_PRODUCT, d.axes, inputs[0], output)
    case .norm(let d): return try lowerNorm(d.axes, inputs[0], output)
    case .max(let d): return try lowerReduction(CK_REDUCE_MAX, d.axes, inputs[0], output)
    case .min(let d): return try lowerReduction(CK_REDUCE_MIN, d.axes, inputs[0], output)
    case .argMax(let d): return try lowerArgReduction(CK_REDUCE_ARGMAX, d.axis, inputs[0], output)
    case .argMin(let d): return try lowerArgReduction(CK_REDUCE_ARGMIN, d.axis, inputs[0], output)

    case .gather(let d): return try lowerGather(d.axis, inputs, output)
    case .scatterAdd(let d): return try lowerScatterAdd(d.axis, inputs, output)
    case .gatherAlong(let d): return try lowerGatherAlong(d.axis, inputs, output)
    case .scatterAddAlong(let d): return try lowerScatterAddAlong(d.axis, inputs, output)

    case .matmul: return try lowerMatmul(inputs, output)
    case .convolution(let d): return try lowerConvolution(d, inputs, output)
    case .convolutionInputGradient(let d): return try lowerConvolutionInputGradient(d, inputs, output)
    case .convolutionWeightGradient(let d): return try lowerConvolutionWeightGradient(d, inputs, output)
    case .maxPool(let d): return try lowerMaxPool(d, inputs[0], output)
    case .maxPoolGradient(let d): return try lowerMaxPoolGradient(d, inputs, output)
    case .maxPoolGather(let d): return try lowerMaxPoolGather(d, inputs, output)
    case .averagePool(let d): return try lowerAveragePool(d, inputs[0], output)
    case .averagePoolGradient(let d): return try lowerAveragePoolGradient(d, inputs[0], output)
    case .softmax(let d): return try lowerSoftmax(d.axis, logarithm: false, inputs[0], output)
    case .logSoftmax(let d): return try lowerSoftmax(d.axis, logarithm: true, inputs[0], output)
    case .batchNorm(let d): return try !isEmpty(inputs[0]) && lowerBatchNorm(d, inputs, outputs)
    case .batchNormGradient(let d): return try !isEmpty(inputs[0]) && lowerBatchNormGradient(d, inputs, outputs)

    case .randomUniform: return try lowerRandom(normal: false, inputs[0], outputs)
    case .randomNormal: return try lowerRandom(normal: true, inputs[0], outputs)

    case .custom: return false
    }
    return true
  }

  private func hasWholeBytes(_ value: Int) -> Bool { dtype(value).elementBytes != nil }
}
