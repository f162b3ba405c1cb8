import ApusConformance
import Testing

@testable import ApusCore

@Suite struct ConformanceTests {
<<<<<<< HEAD
  @Test("every engine passes the suite", arguments: PrimitiveKind.allCases)
  func primitive(_ kind: PrimitiveKind) {
    for engine in testedEngines {
      let report = ConformanceSuite(kinds: [kind], includesLarge: runsLong, includesGraphs: false).run(on: engine)
      #expect(report.passed, "\(report)")
      #expect(report.unsupported.isEmpty, "\(report)")
      #expect(report.checks > 0)
    }
=======
  @Test("the reference engine passes its own suite", arguments: PrimitiveKind.allCases)
  func reference(_ kind: PrimitiveKind) {
    let report = ConformanceSuite(kinds: [kind], includesLarge: runsLong, includesGraphs: false).run(
      on: ReferenceEngine.shared)
    #expect(report.passed, "\(report)")
    #expect(report.unsupported.isEmpty, "\(report)")
    #expect(report.checks > 0)
>>>>>>> main
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

/// Whether this build is fast enough for what takes long: unoptimised Swift is some fifty times slower.
let runsLong: Bool = {
  #if DEBUG
    false
  #else
    true
  #endif
}()
