/// A rewriting of a graph into an equivalent one. Engines run a list of them before they plan.
public protocol Pass: Sendable {
  /// A short name, `dead-code`.
  var name: String { get }
  /// - Returns: a graph with the same inputs and outputs.
  /// - Throws: ``ApusError`` when something it computes fails.
  func run(_ graph: Graph) throws -> Graph
}

/// Passes in the order in which they run, each by its name.
///
/// ```swift
/// let passes = PassPipeline.standard.appending(MyPass())
/// let smaller = try passes.run(graph)
/// ```
/// With `APUS_VERIFY=1` in the environment, and always in debug builds, the graph is verified after each pass; with
/// `APUS_LOG=passes` standard error tells what each changed.
public struct PassPipeline: Sendable, CustomStringConvertible {
  /// The passes, the first first.
  public var passes: [any Pass]

  /// Passes in the order in which they will run.
  public init(_ passes: [any Pass]) { self.passes = passes }

  /// What every engine can do: merge equal nodes, compute what is constant, drop what nothing reads.
  public static let standard = PassPipeline([
    CommonSubexpressionElimination(), ConstantFolding(), DeadCodeElimination(),
  ])

  /// These passes and one more behind them.
  public func appending(_ pass: any Pass) -> PassPipeline { PassPipeline(passes + [pass]) }

  /// `common-subexpressions, constant-folding, dead-code`
  public var description: String { passes.map(\.name).joined(separator: ", ") }

  /// Runs the passes one after the other.
  /// - Parameters:
  ///   - graph: what to rewrite.
  ///   - verifies: whether to verify the graph after each pass; by default as the environment says.
  /// - Returns: a graph with the same inputs and outputs.
  /// - Throws: what a pass throws; ``ApusError`` naming the pass whose graph is not well formed.
  public func run(_ graph: Graph, verifies: Bool = PassPipeline.verifiesByDefault) throws -> Graph {
    try passes.reduce(graph) { graph, pass in
      let result = try pass.run(graph)
      if verifies { try Self.check(result, after: pass, on: graph) }
      if Diagnostics.showsPasses {
        Diagnostics.write(
          "\(graph.name): \(pass.name): \(graph.nodes.count) nodes and \(graph.constants.count) constants, then "
            + "\(result.nodes.count) and \(result.constants.count)" + (result == graph ? "" : "\n\(result)"))
      }
      return result
    }
  }

  private static func check(_ result: Graph, after pass: any Pass, on graph: Graph) throws {
    do {
      try result.verify()
    } catch {
      throw ApusError(.argument, "\(graph.name): after the pass \(pass.name): \(error)")
    }
    guard result.inputs == graph.inputs, result.outputs.map(\.name) == graph.outputs.map(\.name),
      zip(result.outputs, graph.outputs).allSatisfy({ result[$0.value] == graph[$1.value] })
    else {
      throw ApusError(.argument, "\(graph.name): the pass \(pass.name) changed the graph's inputs or outputs")
    }
  }

  /// Whether ``run(_:verifies:)`` verifies when it is not told.
  public static let verifiesByDefault: Bool = {
    #if DEBUG
      return true
    #else
      return Diagnostics.environment("APUS_VERIFY") == "1"
    #endif
  }()
}
