import ApusConformance
import Testing

@testable import ApusCPU
@testable import ApusCore

@Suite struct ConformanceTests {
  /// Every primitive on every dtype and layout, and compiled graphs, against the reference engine.
  @Test func agreesWithReference() {
    let report = ConformanceSuite().run(on: CPUEngine.shared)
    #expect(report.passed, "\(report)")
    #expect(report.checks > 1000)
  }

  @Test func fastPathAgrees() throws {
    let unary: [Primitive] = [
      .negate, .abs, .sign, .floor, .ceil, .round, .exp, .expm1, .sqrt, .sin, .cos, .tanh, .erf, .sigmoid, .relu,
      .silu, .gelu, .tanhGELU, .normalCDF, .normalPDF,
    ]
    let binary: [Primitive] = [.add, .subtract, .multiply, .divide, .power, .maximum, .minimum]
    for count in [1, 7, 100_000] {
      let type = TensorType(.float32, [Dim(count)])
      let (a, b) = (try random(type, seed: 3, 0.1...2), try random(type, seed: 4, 0.1...2))
      for primitive in unary {
        let expected = try ReferenceEngine.shared.execute(primitive, [a], outputs: [type])
        let found = try #require(try CPUEngine.shared.executeUnary(primitive, a, output: type, reuse: false))
        expectEqual([found], expected, tolerance: 1e-6, primitive.name)
        let copy = try a.copied()
        let reused = try #require(try CPUEngine.shared.executeUnary(primitive, copy, output: type, reuse: true))
        #expect(reused === copy)
        expectEqual([reused], expected, tolerance: 1e-6, primitive.name)
      }
      for primitive in binary {
        let expected = try ReferenceEngine.shared.execute(primitive, [a, b], outputs: [type])
        for reuse in [ReusableOperand.none, .first, .second] {
          let (x, y) = (try a.copied(), try b.copied())
          let found = try #require(try CPUEngine.shared.executeBinary(primitive, x, y, output: type, reuse: reuse))
          expectEqual([found], expected, tolerance: 2e-6, "\(primitive.name) \(reuse)")
        }
        // A scalar seen over the whole shape.
        let uniform = Storage(
          view: b, dtype: .float32, shape: type.shape, strides: InlineArray(repeating: 0), offset: 0)
        let scalar = try ReferenceEngine.shared.execute(primitive, [a, uniform], outputs: [type])
        let found = try #require(try CPUEngine.shared.executeBinary(primitive, a, uniform, output: type, reuse: .none))
        expectEqual([found], scalar, tolerance: 2e-6, "\(primitive.name) scalar")
      }
    }
  }
}
