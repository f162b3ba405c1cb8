import ApusCore
import Synchronization

/// A compiled graph: one plan for each set of donated inputs that occurs (nearly always one).
final class CPUExecutable: Executable {
  /// After the passes.
  let graph: Graph
  private let plans = Mutex<[Set<Int>: Plan]>([:])

  /// What runs before a graph is planned.
  static let passes = PassPipeline.standard.appending(TransposedProducts())

  init(_ graph: Graph) throws { self.graph = try Self.passes.run(graph) }

  private func plan(donated: Set<Int>) throws -> Plan {
    if let plan = plans.withLock({ $0[donated] }) { return plan }
    let plan = try Planner.plan(graph, donated: donated)
    plans.withLock { $0[donated] = plan }
    return plan
  }

  func run(_ inputs: inout [Storage], donated: Set<Int>) throws -> [Storage] {
    try run(&inputs, donated: donated, observer: nil)
  }

  /// - Parameter observer: called after each step with its name and duration, on the thread that runs it.
  func run(
    _ inputs: inout [Storage], donated: Set<Int>, observer: ((String, Duration) -> Void)?
  ) throws -> [Storage] {
    let plan = try plan(donated: donated)
    for i in inputs.indices where !inputs[i].isContiguous { inputs[i] = try inputs[i].copied() }
    return try plan.run(&inputs, observer: observer)
  }
}
