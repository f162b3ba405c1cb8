#if canImport(Glibc)
  import Glibc
#endif

/// The oracle: every primitive straight from its definition, slowly, in `Double` and `Int64`.
///
/// It takes any strided storage of any dtype, rounds to the result's dtype once, at the end, and shares no code with
/// the fast engines. It is what runs where no embedded engine is linked in, and what conformance is measured against.
///
/// ```swift
/// let slowly = withEngine(ReferenceEngine.shared) { x.matmul(y) }
/// ```
public final class ReferenceEngine: Engine {
  /// The only one: it has no state.
  public static let shared = ReferenceEngine()

  /// `reference`.
  public let name = "reference"
  /// The host alone.
  public let devices = [Device.cpu]

  private init() {}

  /// Computes one primitive in `Double` and `Int64`. A user's primitive runs its own closure.
  /// - Throws: ``ApusError`` for an index out of range, a dtype that a kernel is not defined on, or memory.
  public func execute(_ primitive: Primitive, _ inputs: [Storage], outputs: [TensorType]) throws -> [Storage] {
    if case .custom(let custom) = primitive {
      return try withEngine(self) { try custom.evaluate(inputs.map { Tensor($0) }) }.map(\.storage)
    }
    // What memory can't hold is refused before anything is read.
    let empty = try outputs.map { try Storage($0) }
    for input in inputs {
      _ = try input.plain()
      // A view may have more elements than memory.
      if let error = HostMemory.refusal(input.shape.elementCount, ofBytes: 16, "an operand's number of elements") {
        throw error
      }
    }
    // Of what may fail, the operands are still to be looked at.
    let isLookedAt = primitive.canFail && !inputs.allSatisfy { $0.shape.elementCount == 0 }
    if !isLookedAt, outputs.allSatisfy({ $0.shape.elementCount == 0 }) { return empty }
    let results = try evaluate(primitive, inputs.map { ReferenceArray($0) }, outputs)
    precondition(results.count == outputs.count, "\(primitive.name) gave \(results.count) results")
    return try zip(results, outputs).map { try ReferenceArray($1, $0.elements).stored() }
  }

  // One case a primitive, so as long as the enum is.
  private func evaluate(
    _ primitive: Primitive, _ x: [ReferenceArray], _ outputs: [TensorType]
  ) throws -> [ReferenceArray] {
    typealias Wise = ReferenceElementwise
    typealias Structure = ReferenceStructure
    typealias Reduction = ReferenceReduction
    typealias Linear = ReferenceLinear
    typealias Pooling = ReferencePooling
    let output = outputs[0]
    switch primitive {
    // Element-wise, one operand.
    case .negate: return [try Wise.map(x[0], { -$0 }, integer: { 0 &- $0 })]
    case .abs: return [try Wise.map(x[0], { $0.magnitude }, integer: { $0 < 0 ? 0 &- $0 : $0 })]
    case .sign: return [try Wise.map(x[0], Wise.sign, integer: { $0.signum() })]
    case .floor: return [try Wise.map(x[0], { $0.rounded(.down) }, integer: { $0 })]
    case .ceil: return [try Wise.map(x[0], { $0.rounded(.up) }, integer: { $0 })]
    case .round: return [try Wise.map(x[0], { $0.rounded(.toNearestOrEven) }, integer: { $0 })]
    case .exp: return [try Wise.map(x[0], Glibc.exp)]
    case .expm1: return [try Wise.map(x[0], Glibc.expm1)]
    case .log: return [try Wise.map(x[0], Glibc.log)]
    case .log1p: return [try Wise.map(x[0], Glibc.log1p)]
    case .sqrt: return [try Wise.map(x[0]) { $0.squareRoot() }]
    case .rsqrt: return [try Wise.map(x[0]) { 1 / $0.squareRoot() }]
    case .sin: return [try Wise.map(x[0], Glibc.sin)]
    case .cos: return [try Wise.map(x[0], Glibc.cos)]
    case .tanh: return [try Wise.map(x[0], Glibc.tanh)]
    case .erf: return [try Wise.map(x[0], Glibc.erf)]
    case .sigmoid: return [try Wise.map(x[0], Wise.sigmoid)]
    case .relu: return [try Wise.map(x[0], { Wise.maximum($0, 0) }, integer: { Swift.max($0, 0) })]
    case .silu: return [try Wise.map(x[0]) { Wise.gated($0, Wise.sigmoid($0)) }]
    case .gelu: return [try Wise.map(x[0]) { Wise.gated($0, Wise.normalCDF($0)) }]
    case .tanhGELU: return [try Wise.map(x[0]) { Wise.gated($0, Wise.sigmoid(Wise.tanhGELUGate($0))) }]
    case .normalCDF: return [try Wise.map(x[0], Wise.normalCDF)]
    case .normalPDF: return [try Wise.map(x[0], Wise.normalPDF)]
    case .logicalNot: return [ReferenceArray(output, integers: x[0].truths.map { $0 ? 0 : 1 })]

    // Element-wise, two operands.
    case .add: return [try Wise.zip(x[0], x[1], +, integer: &+)]
    case .subtract: return [try Wise.zip(x[0], x[1], -, integer: &-)]
    case .multiply: return [try Wise.zip(x[0], x[1], *, integer: &*)]
    case .divide: return [try Wise.zip(x[0], x[1], /, integer: Wise.quotient)]
    case .remainder: return [try Wise.zip(x[0], x[1], Wise.remainder, integer: Wise.remainder)]
    case .power: return [try Wise.zip(x[0], x[1], Glibc.pow, integer: Wise.power)]
    case .maximum: return [try Wise.zip(x[0], x[1], Wise.maximum, integer: Swift.max)]
    case .minimum: return [try Wise.zip(x[0], x[1], Wise.minimum, integer: Swift.min)]
    case .logicalAnd: return [Wise.logical(x[0], x[1], output) { $0 && $1 }]
    case .logicalOr: return [Wise.logical(x[0], x[1], output) { $0 || $1 }]
    case .logicalXor: return [Wise.logical(x[0], x[1], output) { $0 != $1 }]
    case .compare(let d): return [try Wise.compare(d.comparison, x[0], x[1], output)]
    case .select: return [Wise.select(x[0], x[1], x[2])]
    case .cast(let d): return [x[0].cast(to: d.dtype)]

    // From nothing.
    case .full(let d): return [ReferenceArray(filling: output, with: d.value)]
    case .iota(let d):
      var numbers: [Int64] = []
      output.shape.forEachIndex { numbers.append(Int64($0[d.axis])) }
      return [ReferenceArray(output.with(dtype: .int64), integers: numbers).cast(to: output.dtype)]
    case .dimension(let d): return [ReferenceArray(output, integers: [Int64(x[0].shape[d.axis])])]

    // Movement.
    case .reshape: return [ReferenceArray(output, x[0].elements)]
    case .permute(let d): return [Structure.permute(x[0], d.permutation, output)]
    case .broadcast: return [Structure.broadcast(x[0], output)]
    case .slice(let d): return [Structure.slice(x[0], Array(d.starts), Array(d.steps), output)]
    case .sliceUpdate(let d): return [Structure.sliceUpdate(x[0], x[1], Array(d.starts), Array(d.steps), output)]
    case .pad(let d): return [Structure.pad(x[0], low: Array(d.low), value: d.value, output)]
    case .reverse(let d): return [Structure.reverse(x[0], d.axes)]
    case .concatenate(let d): return [Structure.concatenate(x, d.axis, output)]

    // Reductions.
    case .sum(let d): return [try Reduction.sum(x[0], d.axes, output)]
    case .product(let d): return [try Reduction.product(x[0], d.axes, output)]
    case .norm(let d): return [try Reduction.norm(x[0], d.axes, output)]
    case .max(let d): return [try Reduction.extreme(x[0], d.axes, output) { x[0].isLarger($0, than: $1) }]
    case .min(let d): return [try Reduction.extreme(x[0], d.axes, output) { x[0].isSmaller($0, than: $1) }]
    case .argMax(let d): return [try Reduction.place(x[0], d.axis, output) { x[0].isLarger($0, than: $1) }]
    case .argMin(let d): return [try Reduction.place(x[0], d.axis, output) { x[0].isSmaller($0, than: $1) }]

    // Indexing.
    case .gather(let d): return [try Structure.gather(x[0], x[1], d.axis, output)]
    case .scatterAdd(let d): return [try Structure.scatterAdd(x[0], x[1], d.axis, output)]
    case .gatherAlong(let d): return [try Structure.gatherAlong(x[0], x[1], d.axis, output)]
    case .scatterAddAlong(let d): return [try Structure.scatterAddAlong(x[0], x[1], d.axis, output)]

    // Opaque kernels.
    case .matmul: return [try Linear.matmul(x[0], x[1], output)]
    case .convolution(let d):
      return [try Linear.convolution(x[0], x[1], try d.window(x[1].shape), groups: d.groups, output)]
    case .convolutionInputGradient(let d):
      return [try Linear.convolutionInputGradient(x[0], x[1], try d.window(x[1].shape), groups: d.groups, output)]
    case .convolutionWeightGradient(let d):
      return [try Linear.convolutionWeightGradient(x[0], x[1], try d.window(output.shape), groups: d.groups, output)]
    case .maxPool(let d): return [Pooling.maxPool(x[0], d.window, output)]
    case .maxPoolGradient(let d): return [try Pooling.maxPoolGradient(x[0], x[1], d.window, output)]
    case .maxPoolGather(let d): return [Pooling.maxPoolGather(x[0], x[1], d.window, output)]
    case .averagePool(let d):
      return [try Pooling.averagePool(x[0], d.window, countsPadding: d.countIncludePadding, output)]
    case .averagePoolGradient(let d):
      return [try Pooling.averagePoolGradient(x[0], d.window, countsPadding: d.countIncludePadding, output)]
    case .softmax(let d): return [try Reduction.softmax(x[0], d.axis, logarithm: false)]
    case .logSoftmax(let d): return [try Reduction.softmax(x[0], d.axis, logarithm: true)]
    case .batchNorm(let d):
      return try ReferenceNormalization.batchNorm(x[0], scale: x[1], shift: x[2], epsilon: d.epsilon, outputs)
    case .batchNormGradient(let d):
      return try ReferenceNormalization.batchNormGradient(
        x[0], scale: x[1], mean: x[2], variance: x[3], gradient: x[4], epsilon: d.epsilon, outputs)

    // Random.
    case .randomUniform: return try ReferenceRandom.uniform(x[0], outputs)
    case .randomNormal: return try ReferenceRandom.normal(x[0], outputs)

    case .custom: preconditionFailure("user-defined primitives have been evaluated before")
    }
  }
}

extension ReferenceArray {
  fileprivate init(filling type: TensorType, with value: Scalar) {
    let count = type.shape.elementCount
    if type.dtype.isComplex {
      self.init(type, .complex(Array(repeating: Complex(real: value.doubleValue, imaginary: 0), count: count)))
    } else if type.dtype.isFloatingPoint {
      self.init(type, Array(repeating: value.doubleValue, count: count))
    } else {
      self.init(type, integers: Array(repeating: value.integer(in: type.dtype), count: count))
    }
  }
}
