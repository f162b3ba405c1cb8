import ApusCore
import Dispatch
import Synchronization

/// The part of the suite that compiles graphs.
struct GraphChecks {
  let engine: any Engine

  func run(includesLarge: Bool, into report: inout ConformanceReport) {
    var cases: [GraphCase] = []
    report.check("graph cases", "all") {
      cases = try GraphCases.all(includesLarge: includesLarge)
      for graph in cases { try graph.graph.verify() }
      return nil
    }
    for graphCase in cases {
      for sizes in graphCase.sizes { run(graphCase, sizes, into: &report) }
    }
  }

  private func run(_ graphCase: GraphCase, _ sizes: [String: Int], into report: inout ConformanceReport) {
    let subject = "graph “\(graphCase.name)”"
    let detail = sizes.isEmpty ? "" : "\(sizes.sorted { $0.key < $1.key }.map { "\($0.key) = \($0.value)" })"
    var compiled: (graph: Graph, executable: any Executable)?
    report.check(subject, detail) {
      let graph = graphCase.graph.isStatic ? graphCase.graph : try graphCase.graph.resolved(sizes)
      compiled = (graph, try engine.compile(graph))
      return nil
    }
    guard let (graph, executable) = compiled else { return }
    let checks = ExecutableChecks(graphCase: graphCase, graph: graph, executable: executable)
    if graphCase.fails {
      report.check(subject, detail) { try checks.failing() }
      return
    }
    report.check(subject, detail) { try checks.values(seed: 1, layout: .contiguous) }
    report.check(subject, "\(detail) inputs permuted") { try checks.values(seed: 2, layout: .permuted) }
    report.check(subject, "\(detail) inputs in slices") { try checks.values(seed: 3, layout: .sliced) }
    if let device = engine.devices.first, device != .cpu {
      report.check(subject, "\(detail) inputs on \(device)") {
        try checks.values(seed: 9, layout: .contiguous) { try engine.resident($0, on: device) }
      }
    }
    report.check(subject, "\(detail) run again") { try checks.keepsResults() }
    report.check(subject, "\(detail) overlapping runs") { try checks.overlapping() }
    if !graphCase.donated.isEmpty {
      report.check(subject, "\(detail) donated") { try checks.donated() }
      report.check(subject, "\(detail) donated but held") { try checks.donatedButHeld() }
      report.check(subject, "\(detail) donated again and again") { try checks.chained() }
    }
  }
}

/// One compiled graph against its interpretation by the reference engine.
struct ExecutableChecks: Sendable {
  let graphCase: GraphCase
  let graph: Graph
  let executable: any Executable

  private func inputs(_ seed: UInt64) throws -> [Tensor] { try graphCase.inputs(graph.inputTypes, seed: seed) }

  private func expected(_ inputs: [Tensor]) throws -> [Tensor] {
    var storages = inputs.map(\.storage)
    return try InterpretedExecutable(graph, engine: ReferenceEngine.shared).run(&storages, donated: []).map {
      Tensor(storage: $0)
    }
  }

  private func difference(_ actual: [Tensor], _ expected: [Tensor]) throws -> String? {
    guard actual.count == expected.count else { return "gives \(actual.count) results, not \(expected.count)" }
    let terms = graph.types.reduce(1) { Swift.max($0, $1.tensor?.shape.elementCount ?? 1) }
    let comparison = Comparison(accuracy: .accumulated, terms: terms)
    for (i, (a, b)) in zip(actual, expected).enumerated() {
      if let difference = try comparison.difference(a, b) { return "output \(i): \(difference)" }
    }
    return nil
  }

  private func run(_ inputs: [Tensor], donated: Set<Int> = []) throws -> [Tensor] {
    var storages = inputs.map(\.storage)
    return try executable.run(&storages, donated: donated).map { Tensor(storage: $0) }
  }

  /// Copies that nobody else holds.
  private func owned(_ inputs: [Tensor]) throws -> [Storage] { try inputs.map { try HostCopy.contiguous($0.storage) } }

  /// The results, and the inputs left alone.
  /// - Parameter place: brings an input to where it is to be.
  func values(
    seed: UInt64, layout: Layout, place: (Storage) throws -> Storage = { $0 }
  ) throws -> String? {
    let laid = try inputs(seed).map { try layout.lay($0) ?? $0 }
    let before = try laid.map(Values.bytes)
    let expected = try expected(laid)
    let inputs = try laid.map { Tensor(storage: try place($0.storage)) }
    if let difference = try difference(try run(inputs), expected) { return difference }
    return try inputs.map(Values.bytes) == before ? nil : "it changed an input that was not donated"
  }

  /// Results of a run stay what they are when the executable runs on something else.
  func keepsResults() throws -> String? {
    let first = try inputs(4)
    let results = try run(first)
    for seed in UInt64(5)..<8 { _ = try run(try inputs(seed)) }
    return try difference(results, try expected(first)).map { "a later run changed an earlier one's results: \($0)" }
  }

  /// Runs at the same time don't disturb each other.
  func overlapping() throws -> String? {
    let found = Mutex<String?>(nil)
    DispatchQueue.concurrentPerform(iterations: 4) { i in
      do {
        let inputs = try inputs(UInt64(10 + i))
        let expected = try expected(inputs)
        for _ in 0..<3 {
          if let difference = try difference(try run(inputs), expected) { found.withLock { $0 = difference } }
        }
      } catch {
        found.withLock { $0 = "\(error)" }
      }
    }
    return found.withLock { $0 }
  }

  /// Donated inputs that nobody else holds: the results are the same as without donation.
  func donated() throws -> String? {
    let inputs = try inputs(20)
    let expected = try expected(inputs)
    var storages = try owned(inputs)
    let results = try executable.run(&storages, donated: graphCase.donated)
    storages.removeAll()
    if let difference = try difference(results.map { Tensor(storage: $0) }, expected) { return difference }
    _ = try run(try self.inputs(21))
    return try difference(results.map { Tensor(storage: $0) }, expected).map { "after another run: \($0)" }
  }

  /// Donated inputs that somebody else holds are not overwritten.
  func donatedButHeld() throws -> String? {
    let inputs = try inputs(22)
    let held = try owned(inputs).map { Tensor(storage: $0) }
    let before = try held.map(Values.bytes)
    let expected = try expected(inputs)
    if let difference = try difference(try run(held, donated: graphCase.donated), expected) { return difference }
    return try held.map(Values.bytes) == before ? nil : "it overwrote a donated input that was held elsewhere"
  }

  /// Results become the next run's donated inputs, as a training loop's state does.
  func chained() throws -> String? {
    let donated = graphCase.donated.sorted()
    var mine = try owned(try inputs(23))
    var reference = try inputs(23)
    for step in 0..<4 {
      var results = try executable.run(&mine, donated: graphCase.donated)
      let expected = try expected(reference)
      if let difference = try difference(results.map { Tensor(storage: $0) }, expected) {
        return "step \(step): \(difference)"
      }
      // Outputs of a donated input's type take its place, in order.
      for i in donated {
        guard
          let j = expected.indices.first(where: {
            expected[$0].type == reference[i].type && results.indices.contains($0)
          })
        else { continue }
        reference[i] = Tensor(storage: try HostCopy.contiguous(results[j]))
        mine[i] = try HostCopy.contiguous(results[j])
      }
      results.removeAll()
    }
    return nil
  }

  /// A run that fails throws the interpreter's error and leaves its inputs as they were, donated or not.
  func failing() throws -> String? {
    let inputs = try inputs(30)
    let before = try inputs.map(Values.bytes)
    let message: String
    do {
      _ = try expected(inputs)
      return "the reference does not fail"
    } catch {
      message = "\(error)"
    }
    for donated in [[], graphCase.donated] {
      var storages = try owned(inputs)
      do {
        try Values.wait(for: executable.run(&storages, donated: donated))
        return "it does not fail, the reference does: \(message)"
      } catch is ApusError {
        guard storages.count == inputs.count else { return "it took inputs out and failed" }
        let after = try storages.map { try Values.bytes(Tensor(storage: $0)) }
        if after != before { return "it changed an input and failed" }
      }
    }
    return nil
  }
}
