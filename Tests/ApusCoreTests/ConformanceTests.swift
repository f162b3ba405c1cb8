import ApusConformance
import Testing

@testable import ApusCore

@Suite struct ConformanceTests {
  @Test("the reference engine passes its own suite")
  func reference() {
    let report = ConformanceSuite().run(on: ReferenceEngine.shared)
    #expect(report.passed, "\(report)")
    #expect(report.unsupported.isEmpty, "\(report)")
    #expect(report.checks > 10_000)
  }
}
