import ApusConformance
import Testing

@testable import ApusCore

/// The conformance suite against engines that are wrong on purpose: each fault must be found, where it is.
@Suite struct MutantTests {
  struct Mutant: Sendable, CustomTestStringConvertible {
    let engine: MutantEngine
    let kind: PrimitiveKind
    var testDescription: String { engine.name }

    init(_ name: String, _ kind: PrimitiveKind, after: @escaping MutantEngine.Rule) {
      engine = MutantEngine(name, after: { PrimitiveKind($0) == kind ? try after($0, $1, $2) : $2 })
      self.kind = kind
    }
    init(_ engine: MutantEngine, _ kind: PrimitiveKind) {
      self.engine = engine
      self.kind = kind
    }
  }

  static let mutants: [Mutant] = [
    Mutant("adds a thousandth", .add) { [$2[0].mapped { $1 + 1e-3 }] },
    Mutant("subtracts with one unit in the last place too much", .subtract) { [$2[0].mapped { $1 * (1 + 0x1p-23) }] },
    Mutant("exp to four digits", .exp) { [$2[0].mapped { $1 * 1.0001 }] },
    Mutant("leaves the tail after groups of eight", .tanh) {
      let count = $2[0].shape.elementCount
      return [$2[0].mapped { i, value in count > 8 && i >= count / 8 * 8 ? 0 : value }]
    },
    Mutant("maximum that loses NaN", .maximum) { [$2[0].mapped { $1.isNaN ? 0 : $1 }] },
    Mutant("remainder with the dividend's sign", .remainder) {
      let a = Values64($1[0])
      return [$2[0].mapped { i, value in a[i] < 0 && value > 0 ? -value : value }]
    },
    Mutant("a remainder whose zero changes its sign beside infinity", .remainder) {
      let a = Values64($1[0])
      let isNear = (0..<a.count).contains { a[$0].isInfinite }
      return [$2[0].mapped { isNear && $1 == 0 ? -$1 : $1 }]
    },
    Mutant("a sine that is rounded otherwise in a vector", .sin) {
      let count = $2[0].shape.elementCount
      return [$2[0].mapped { i, value in count > 8 && i < count / 8 * 8 ? value * (1 + 0x1p-22) : value }]
    },
    Mutant("a sigmoid that stops falling", .sigmoid) { [$2[0].mapped { Swift.max($1, 1e-30) }] },
    Mutant("a sign that is negative for -0", .sign) {
      let x = Values64($1[0])
      return [$2[0].mapped { i, value in value == 0 ? x[i] : value }]
    },
    Mutant("a sum that forgets its last term", .sum) { _, inputs, results in
      let x = Values64(inputs[0])
      return [
        results[0].shape.elementCount == 1 && x.count > 1 ? results[0].mapped { $1 - x[x.count - 1] } : results[0]
      ]
    },
    Mutant("a convolution shifted by one", .convolution) { _, _, results in
      let y = Values64(results[0])
      return [results[0].mapped { i, value in i > 0 ? y[i - 1] : value }]
    },
    Mutant("variance divided by n − 1", .batchNorm) { _, inputs, results in
      let n = Double(inputs[0].shape.elementCount / Swift.max(inputs[1].shape.elementCount, 1))
      return [results[0], results[1], results[2].mapped { $1 * n / (n - 1) }]
    },
    Mutant("a random state that does not move", .randomUniform) { [$2[0], $1[0]] },
    Mutant("an operand used as scratch memory", .multiply) { _, inputs, results in
      inputs[0].overwrite(with: results[0])
      return results
    },
    Mutant("the wrong dtype", .argMax) { _, _, results in
      [
        try ReferenceEngine.shared.execute(
          .cast(.init(dtype: .int32)), results, outputs: [TensorType(.int32, results[0].shape)])[0]
      ]
    },
    Mutant(
      MutantEngine(
        "takes every operand for contiguous",
        before: { primitive, inputs in
          PrimitiveKind(primitive) == .divide ? try inputs.map { try $0.readAsContiguous() } : inputs
        }), .divide),
    Mutant(
      MutantEngine(
        "clamps indices instead of refusing them",
        before: { primitive, inputs in
          guard case .gather(let gather) = primitive else { return inputs }
          let size = inputs[0].shape[gather.axis]
          let clamped = Tensor(inputs[1]).cast(to: .int64).toArray(of: Int64.self).map {
            Swift.min(Swift.max($0, 0), Int64(size - 1))
          }
          return [inputs[0], Tensor(clamped, shape: inputs[1].shape).storage]
        }), .gather),
    Mutant("a cast that truncates to float16's neighbour", .cast) { primitive, _, results in
      guard results[0].dtype == .float16 else { return results }
      for i in 0..<results[0].shape.elementCount { results[0].pointer(as: UInt16.self)[i] &= 0xFFFE }
      return results
    },
  ]

  @Test("a wrong primitive is found", arguments: mutants)
  func primitives(_ mutant: Mutant) {
    let suite = ConformanceSuite(kinds: [mutant.kind], includesLarge: false, includesGraphs: false)
    let report = suite.run(on: mutant.engine)
    #expect(!report.passed, "\(mutant.engine.name) was not noticed")
    #expect(report.failures.allSatisfy { $0.subject == mutant.kind.rawValue }, "\(report)")
  }

  @Test("a primitive wrong only when called the short way is found")
  func shortWay() {
    let report = ConformanceSuite(kinds: [.add, .exp], includesLarge: false, includesGraphs: false).run(
      on: HastyEngine())
    #expect(report.failures.contains { $0.subject == "add" } && report.failures.contains { $0.subject == "exp" })
    #expect(report.failures.allSatisfy { $0.operands.contains("short way") }, "\(report)")
  }

  @Test("a compiled graph that mistreats memory is found", arguments: MutantExecutable.Fault.allCases)
  func executables(_ fault: MutantExecutable.Fault) {
    let engine = MutantEngine(fault.rawValue, executable: { MutantExecutable($0, fault) })
    let report = ConformanceSuite(kinds: [], includesLarge: false).run(on: engine)
    #expect(!report.passed, "\(fault) was not noticed")
  }
}

/// Correct, but for its short ways: they overwrite operands they were not given.
private final class HastyEngine: Engine {
  let name = "hasty"
  let devices = [Device.cpu]

  func execute(_ primitive: Primitive, _ inputs: [Storage], outputs: [TensorType]) throws -> [Storage] {
    try ReferenceEngine.shared.execute(primitive, inputs, outputs: outputs)
  }
  func executeUnary(_ primitive: Primitive, _ x: Storage, output: TensorType, reuse: Bool) throws -> Storage? {
    let result = try ReferenceEngine.shared.execute(primitive, [x], outputs: [output])[0]
    x.overwrite(with: result)
    return result
  }
  func executeBinary(
    _ primitive: Primitive, _ a: Storage, _ b: Storage, output: TensorType, reuse: ReusableOperand
  ) throws -> Storage? {
    let result = try ReferenceEngine.shared.execute(primitive, [a, b], outputs: [output])[0]
    a.overwrite(with: result)
    return result
  }
}

/// A storage's elements, as doubles.
private struct Values64 {
  private let values: [Double]
  init(_ storage: Storage) { values = Tensor(storage).toArray(of: Double.self) }
  var count: Int { values.count }
  subscript(i: Int) -> Double { i < values.count ? values[i] : 0 }
}
