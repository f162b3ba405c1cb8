import ApusConformance
import Testing

@testable import ApusCore

@Suite struct ConformanceTests {
  @Test("every engine passes the suite", arguments: PrimitiveKind.allCases)
  func primitive(_ kind: PrimitiveKind) {
    for engine in testedEngines {
      let report = ConformanceSuite(kinds: [kind], includesLarge: runsLong, includesGraphs: false).run(on: engine)
      #expect(report.passed, "\(report)")
      #expect(report.unsupported.isEmpty, "\(report)")
      #expect(report.checks > 0)
    }
  }

  @Test("every engine runs the suite's graphs")
  func graphs() {
    for engine in testedEngines {
      let report = ConformanceSuite(kinds: [], includesLarge: runsLong).run(on: engine)
      #expect(report.passed, "\(report)")
      #expect(report.checks > 100)
    }
  }
}

/// An engine with nothing but `compile`.
private final class GraphEngine: CompilingEngine {
  let name = "graphs"
  let devices = [Device.cpu]
  let singleOperations = SingleOperations()
  func compile(_ graph: Graph, options: CompileOptions) throws -> any Executable {
    try Engines.embedded.compile(graph, options: options)
  }
}

extension ConformanceTests {
  @Test("an engine that only compiles graphs runs every primitive", arguments: PrimitiveKind.allCases)
  func compiling(_ kind: PrimitiveKind) {
    let engine = GraphEngine()
    let report = ConformanceSuite(kinds: [kind], includesLarge: false, includesGraphs: false).run(on: engine)
    #expect(report.passed, "\(report)")
    #expect(report.checks > 0)
    #expect(kind == .custom || engine.singleOperations.count > 0)
  }

  @Test("one operation is compiled once for its types")
  func compiledOnce() throws {
    let engine = GraphEngine()
    let (two, three) = (Tensor([1.0, 2]), Tensor([1.0, 2, 3]))
    try withEngine(engine) {
      for _ in 0..<3 { #expect(try checked { two.exp() }.toArray()[0] > 2.7) }
      #expect(engine.singleOperations.count == 1)
      _ = try checked { three.exp() }
      #expect(engine.singleOperations.count == 2)
    }
  }

  @Test("NaN is not equal to itself, but the same attribute")
  func notANumberIsCompiledOnce() {
    let engine = GraphEngine()
    for _ in 0..<3 { _ = withEngine(engine) { Tensor.full([2], Double.nan) } }
    #expect(engine.singleOperations.count == 1)
  }
}

/// Whether this build is fast enough for what takes long: unoptimised Swift is some fifty times slower.
let runsLong: Bool = {
  #if DEBUG
    false
  #else
    true
  #endif
}()
