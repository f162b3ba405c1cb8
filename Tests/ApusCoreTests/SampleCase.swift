import ApusConformance
import Testing

@testable import ApusCore

/// One sample of one primitive, as the argument of a generated test.
struct SampleCase: Sendable, CustomTestStringConvertible {
  let kind: PrimitiveKind
  let index: Int
  let sample: Sample

  static let all: [SampleCase] = PrimitiveKind.allCases.flatMap { kind in
    kind.samples.enumerated().map { SampleCase(kind: kind, index: $0, sample: $1) }
  }
  /// Those through which gradients flow.
  static let differentiable: [SampleCase] = all.filter { !($0.definition is any NotDifferentiable) }
  /// Those of the others.
  static let notDifferentiable: [SampleCase] = all.filter { $0.definition is any NotDifferentiable }

  var testDescription: String { "\(kind.rawValue) \(index)" }
  var definition: any PrimitiveDefinition { sample.primitive.definition }

  func operands(seed: UInt64 = 1) throws -> [Tensor] { try sample.tensors(seed: seed) }

  func run(_ operands: [Tensor]) throws -> [Tensor] { try Dispatch.tryRun(sample.primitive, operands) }
}

/// A sample at a point: the floating-point operands are the variables, the rest is fixed.
struct Point {
  let sampleCase: SampleCase
  let operands: [Tensor]
  /// Positions of the floating-point operands.
  let variables: [Int]
  /// A random weight for each element of each floating-point result.
  let cotangents: [Tensor?]
  /// Steps of finite differences, and how well they can do: float32 results are coarse.
  let step: Double
  let tolerance: Double

  init(_ sampleCase: SampleCase) throws {
    self.sampleCase = sampleCase
    operands = try sampleCase.operands()
    variables = operands.indices.filter { [operands] in operands[$0].dtype.isFloatingPoint }
    let types = try sampleCase.definition.infer(operands.map(\.type))
    cotangents = try types.enumerated().map { i, type in
      type.dtype.isFloatingPoint ? try random(type, seed: 1000 + UInt64(i)) : nil
    }
    let isCoarse = types.contains { $0.dtype == .float32 }
    step = isCoarse ? 0.125 : 1e-5
    tolerance = isCoarse ? 1e-4 : 1e-6
  }

  var values: [Tensor] { variables.map { operands[$0] } }

  /// The operands with other variables.
  func with(_ values: [Tensor]) -> [Tensor] {
    var result = operands
    for (i, value) in zip(variables, values) { result[i] = value }
    return result
  }

  /// L = Σ cotangent · result, of the given variables.
  func loss(_ values: [Tensor]) throws -> Tensor {
    let outputs = try sampleCase.run(with(values))
    return zip(outputs, cotangents).reduce(Tensor(0.0, dtype: .float64)) { total, pair in
      guard let cotangent = pair.1 else { return total }
      return total + (pair.0 * cotangent).sum().cast(to: .float64)
    }
  }

  /// ∂L/∂variables by the vjp rule.
  func gradients(_ values: [Tensor]) throws -> [Tensor] {
    try valueAndGradients(at: values) { try loss($0) }.gradients
  }
}

/// Uniform in −1…1.
func random(_ type: TensorType, seed: UInt64) throws -> Tensor {
  let sample = Sample(.negate, [.real(type.shape, -1...1)])
  return try sample.tensors(seed: seed, reals: type.dtype)[0]
}

func doubles(_ x: Tensor) -> [Double] { x.detached().toArray(of: Double.self) }

/// x + step · direction, for each.
func moved(_ x: [Tensor], _ direction: [Tensor], _ step: Double) -> [Tensor] {
  zip(x, direction).map { x, d in
    Tensor(zip(doubles(x), doubles(d)).map { $0 + step * $1 }, shape: x.shape, dtype: x.dtype)
  }
}

func dot(_ a: [Tensor], _ b: [Tensor]) -> Double {
  zip(a, b).reduce(0) { $0 + zip(doubles($1.0), doubles($1.1)).reduce(0) { $0 + $1.0 * $1.1 } }
}

/// Equal types, and elements that differ by no more than tolerance · (1 + |expected|); NaN equals NaN.
func expectClose(
  _ actual: Tensor, _ expected: Tensor, _ tolerance: Double, _ what: String = "",
  _ location: SourceLocation = #_sourceLocation
) {
  guard actual.type == expected.type else {
    Issue.record("\(what): \(actual.type), not \(expected.type)", sourceLocation: location)
    return
  }
  expectClose(doubles(actual), doubles(expected), tolerance, what, location)
}

func expectClose(
  _ actual: [Double], _ expected: [Double], _ tolerance: Double, _ what: String = "",
  _ location: SourceLocation = #_sourceLocation
) {
  guard actual.count == expected.count else {
    Issue.record("\(what): \(actual.count) elements, not \(expected.count)", sourceLocation: location)
    return
  }
  let wrong = actual.indices.filter { i in
    let (a, b) = (actual[i], expected[i])
    return !(a == b || a.isNaN && b.isNaN || (a - b).magnitude <= tolerance * (1 + b.magnitude))
  }
  guard let i = wrong.first else { return }
  Issue.record(
    "\(what): element \(i) is \(actual[i]), not \(expected[i]); \(wrong.count) differ", sourceLocation: location)
}
