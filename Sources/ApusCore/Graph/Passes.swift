/// A rewriting of a graph into an equivalent one. Engines run a list of them before they plan.
public protocol Pass: Sendable {
  /// A short name, `dead-code`.
  var name: String { get }
  /// - Returns: a graph with the same inputs and outputs.
  /// - Throws: ``ApusError`` when something it computes fails.
  func run(_ graph: Graph) throws -> Graph
}

/// Drops nodes and constants whose values nothing reads. Inputs and outputs stay, and so do nodes that may fail
/// (``PrimitiveDefinition/canFail``): an index out of range is an error whether or not anybody reads what it names.
public struct DeadCodeElimination: Pass {
  public let name = "dead-code"
  /// The pass has no options.
  public init() {}

  /// The graph without what nothing reads.
  public func run(_ graph: Graph) -> Graph {
    var isLive = [Bool](repeating: false, count: graph.values.count)
    for port in graph.outputs { isLive[port.value.index] = true }
    var result = graph
    result.nodes.removeAll()
    for node in graph.nodes.reversed() where node.canFail || node.outputs.contains(where: { isLive[$0.index] }) {
      for id in node.inputs { isLive[id.index] = true }
      result.nodes.append(node)
    }
    result.nodes.reverse()
    result.constants = graph.constants.filter { isLive[$0.key.index] }
    return result
  }
}

extension Graph.Node {
  /// Whether it may fail when the graph runs.
  package var canFail: Bool {
    switch operation {
    case .primitive(let primitive): primitive.canFail
    case .fused(let fusion): fusion.body.nodes.contains { $0.canFail }
    }
  }
}

/// Merges nodes that compute the same from the same operands. Random primitives thread their state, so two draws are
/// never the same node.
public struct CommonSubexpressionElimination: Pass {
  public let name = "common-subexpressions"
  /// The pass has no options.
  public init() {}

  private struct Key: Hashable {
    var operation: Operation
    var inputs: [ValueID]
  }

  /// The graph with each such node once.
  public func run(_ graph: Graph) -> Graph {
    var result = graph
    var replacement: [ValueID: ValueID] = [:]
    var seen: [Key: [ValueID]] = [:]
    result.nodes = graph.nodes.compactMap { node in
      var node = node
      node.inputs = node.inputs.map { replacement[$0] ?? $0 }
      let key = Key(operation: node.operation, inputs: node.inputs)
      if let earlier = seen[key], node.subgraphs.isEmpty {
        for (old, new) in zip(node.outputs, earlier) { replacement[old] = new }
        return nil
      }
      seen[key] = node.outputs
      return node
    }
    result.outputs = graph.outputs.map { Graph.Port(name: $0.name, value: replacement[$0.value] ?? $0.value) }
    return result
  }
}

/// Computes nodes all of whose operands are constants, once, where the result is small.
public struct ConstantFolding: Pass {
  public let name = "constant-folding"
  /// Results above this many bytes stay nodes: a graph must not grow by folding.
  public var byteLimit: Int

  /// Folds results of up to 64 KiB when no limit is given.
  public init(byteLimit: Int = 1 << 16) { self.byteLimit = byteLimit }

  /// The graph with constants in place of such nodes.
  /// - Throws: ``ApusError`` when one of them fails.
  public func run(_ graph: Graph) throws -> Graph {
    var result = graph
    result.nodes.removeAll()
    for node in graph.nodes {
      let operands = node.inputs.compactMap { result.constants[$0] }
      guard operands.count == node.inputs.count, let primitive = node.primitive,
        node.outputs.allSatisfy({ id in
          let type = graph.type(id)
          return type.shape.isStatic && ((try? type.byteCount()) ?? Int.max) <= byteLimit
        })
      else {
        result.nodes.append(node)
        continue
      }
      let values: [Tensor]
      do {
        // Not on the current engine, which may be asking for this in order to run just such a node.
        values = try withEngine(Engines.embedded) {
          try withoutGradients { try Dispatch.tryRun(primitive, operands) }
        }
      } catch {
        throw node.naming(error, operands: operands.map(\.type))
      }
      for (id, value) in zip(node.outputs, values) { result.constants[id] = value }
    }
    return result
  }
}
