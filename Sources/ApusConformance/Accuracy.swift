import ApusCore

/// How close to the reference a primitive's results have to be.
enum Accuracy {
  /// Equal: what moves elements, works on integers, or is correctly rounded by IEEE 754.
  case exact
  /// A function evaluated once an element: a few units in the last place. `floor` is the size below which the error
  /// is measured absolutely: 1 for functions that cross zero away from it, 0 for those that must hold their
  /// relative accuracy everywhere.
  case rounded(floor: Double)
  /// A sum or product of many terms, in whatever order.
  case accumulated
}

extension PrimitiveKind {
  var accuracy: Accuracy {
    switch self {
    case .negate, .abs, .sign, .floor, .ceil, .round, .relu, .logicalNot, .sqrt: .exact
    case .add, .subtract, .multiply, .divide, .maximum, .minimum, .logicalAnd, .logicalOr, .logicalXor: .exact
    case .compare, .select, .cast, .full, .iota, .dimension: .exact
    case .reshape, .permute, .broadcast, .slice, .sliceUpdate, .pad, .reverse, .concatenate: .exact
    case .max, .min, .argMax, .argMin, .gather, .gatherAlong, .maxPool, .maxPoolGather, .randomUniform: .exact
    case .exp, .expm1, .log1p, .rsqrt, .tanh, .erf, .sigmoid, .power, .normalCDF, .normalPDF: .rounded(floor: 0)
    // Far out their condition grows with x².
    case .silu, .gelu, .tanhGELU: .rounded(floor: 1)
    case .log, .sin, .cos, .remainder, .softmax, .logSoftmax, .randomNormal: .rounded(floor: 1)
    case .sum, .product, .norm, .scatterAdd, .scatterAddAlong, .matmul: .accumulated
    case .convolution, .convolutionInputGradient, .convolutionWeightGradient: .accumulated
    case .maxPoolGradient, .averagePool, .averagePoolGradient, .batchNorm, .batchNormGradient, .custom: .accumulated
    }
  }
}

/// Compares an engine's result with the reference's.
struct Comparison {
  var accuracy: Accuracy
  /// How many terms an accumulated element has, at most.
  var terms: Int
  /// Whether −0 and 0 differ.
  var tellsZerosApart = false

  /// What is wrong with `actual`; nil: nothing.
  func difference(_ actual: Tensor, _ expected: Tensor) throws -> String? {
    guard actual.type == expected.type else { return "is \(actual.type), not \(expected.type)" }
    let (a, b) = (try Values.bytes(actual), try Values.bytes(expected))
    if a == b { return nil }
    if actual.dtype.isFloatingPoint { return floats(actual, expected) }
    if actual.dtype.isComplex { return "its bytes differ" }
    let (x, y) = (Values.integers(actual), Values.integers(expected))
    guard let i = x.indices.first(where: { x[$0] != y[$0] }) else {
      return actual.dtype == .bool ? "a bool is stored as neither 0 nor 1" : nil
    }
    return report(i, "\(x[i])", "\(y[i])", expected.shape, count: zip(x, y).count { $0 != $1 })
  }

  private func floats(_ actual: Tensor, _ expected: Tensor) -> String? {
    let (x, y) = (Values.doubles(actual), Values.doubles(expected))
    let largest = y.reduce(1) { $1.isFinite ? Swift.max($0, $1.magnitude) : $0 }
    func agree(_ i: Int) -> Bool {
      if tellsZerosApart, x[i] == 0, y[i] == 0 { return x[i].sign == y[i].sign }
      if x[i] == y[i] || x[i].isNaN && y[i].isNaN { return true }
      return (x[i] - y[i]).magnitude <= tolerance(expected.dtype, y[i], largest: largest)
    }
    guard let i = x.indices.first(where: { !agree($0) }) else { return nil }
    return report(i, "\(x[i])", "\(y[i])", expected.shape, count: x.indices.count { !agree($0) })
  }

  private func tolerance(_ dtype: DType, _ value: Double, largest: Double) -> Double {
    let (epsilon, least) = Self.precision(dtype)
    switch accuracy {
    case .exact: return 0
    // Results below the smallest normal number may be flushed, to zero or to a number near it.
    case .rounded(let floor): return 16 * epsilon * Swift.max(value.magnitude, floor) + 2 * least
    case .accumulated:
      return epsilon * (8 + 2 * Double(terms).squareRoot()) * (value.magnitude + Swift.max(largest, 1)) / 2
    }
  }

  /// The distance from 1 to the next number, and the smallest normal one.
  private static func precision(_ dtype: DType) -> (Double, Double) {
    switch dtype {
    case .float64: (0x1p-52, 0x1p-1022)
    case .float32: (0x1p-23, 0x1p-126)
    case .float16: (0x1p-10, 0x1p-14)
    case .bfloat16: (0x1p-7, 0x1p-126)
    case .float8e4m3fn: (0x1p-3, 0x1p-6)
    default: (0x1p-2, 0x1p-14)
    }
  }

  private func report(_ i: Int, _ actual: String, _ expected: String, _ shape: Shape, count: Int) -> String {
    var index: [Int] = []
    var rest = i
    for size in shape.reversed() {
      index.insert(rest % size, at: 0)
      rest /= size
    }
    return "at \(index) it is \(actual), the reference \(expected); \(count) of \(shape.elementCount) differ"
  }
}
