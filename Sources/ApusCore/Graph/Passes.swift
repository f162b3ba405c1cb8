/// Drops nodes and constants whose values nothing reads. Inputs and outputs stay, and so do nodes that may fail
/// (``PrimitiveDefinition/canFail``): an index out of range is an error whether or not anybody reads what it names.
public struct DeadCodeElimination: Pass {
  public let name = "dead-code"
  /// The pass has no options.
  public init() {}

  /// The graph without what nothing reads.
  public func run(_ graph: Graph) -> Graph { graph.withoutDeadCode() }
}

/// Merges nodes that compute the same from the same operands. Random primitives thread their state, so two draws are
/// never the same node.
public struct CommonSubexpressionElimination: Pass {
  public let name = "common-subexpressions"
  /// The pass has no options.
  public init() {}

  private struct Key: Hashable {
    var primitive: Primitive
    var inputs: [ValueID]
  }

  /// The graph with each such node once.
  /// - Throws: never for a graph that its verifier accepts.
  public func run(_ graph: Graph) throws -> Graph {
    var seen: [Key: [ValueID]] = [:]
    return try graph.rewritten { node, _ in
      let key = Key(primitive: node.primitive, inputs: node.inputs)
      if let earlier = seen[key] { return .replace(earlier) }
      seen[key] = node.outputs
      return .keep
    }
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
    try graph.rewritten { node, graph in
      let operands = node.inputs.compactMap { graph.constant($0) }
      guard operands.count == node.inputs.count, node.outputs.allSatisfy({ isSmall(graph.type($0)) }) else {
        return .keep
      }
      let values: [Tensor]
      do {
        // Not on the current engine, which may be asking for this in order to run just such a node.
        values = try withEngine(Engines.embedded) {
          try withoutGradients { try Dispatch.tryRun(node.primitive, operands) }
        }
      } catch {
        throw node.naming(error, operands: operands.map(\.type))
      }
      return .replace(values.map { graph.add($0) })
    }
  }

  private func isSmall(_ type: TensorType) -> Bool {
    type.shape.isStatic && ((try? type.byteCount()) ?? Int.max) <= byteLimit
  }
}
