import ApusCore
import Synchronization

/// A compiled graph: passes run once over names and numbers alike, a plan is made for each assignment of sizes and each
/// set of donated inputs that occurs. Constants that kernels want in another layout are converted once for all plans.
final class CPUExecutable: Executable {
  /// After the passes.
  let graph: Graph
  private let options: CompileOptions
  private let constants = PackedConstants()
  private let plans: PerSizes<Plans>
  /// What the passes left out, of which sizes may still show that it is impossible; nil: nothing.
  private let leftOut: Graph?

  /// The plans of one assignment of sizes.
  private final class Plans: Sendable {
    let graph: Graph
    private let byDonation = Mutex<[Set<Int>: Plan]>([:])

    init(_ graph: Graph) { self.graph = graph }

    func plan(donated: Set<Int>, _ make: (Graph) throws -> Plan) throws -> Plan {
      if let plan = byDonation.withLock({ $0[donated] }) { return plan }
      let plan = try make(graph)
      byDonation.withLock { $0[donated] = plan }
      return plan
    }
  }

  /// What runs before a graph is planned.
  static let passes = PassPipeline.standard.appending(TransposedProducts())

  init(_ graph: Graph, options: CompileOptions) throws {
    self.graph = try Self.passes.run(graph)
    self.options = options
    plans = PerSizes(self.graph)
    leftOut = graph.isStatic ? nil : graph.leavingOut(self.graph)
  }

  func run(_ inputs: inout [Storage], context: RunContext) throws -> [Storage] {
    let sized = try plans.value(for: inputs, context) { graph, sizes in
      _ = try leftOut?.resolved(sizes)
      return Plans(graph)
    }
    let plan = try sized.plan(donated: context.donated) {
      try Planner.plan($0, donated: context.donated, options: options, constants: constants)
    }
    for i in inputs.indices where !inputs[i].isContiguous { inputs[i] = try inputs[i].copied() }
    return try plan.run(&inputs, context: context)
  }
}
