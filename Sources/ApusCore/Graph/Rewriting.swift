/// What a rewriting rule makes of a node.
public enum Rewrite: Hashable, Sendable {
  /// It stays as it is.
  case keep
  /// These values take the place of its results: one each, of the same type.
  case replace([ValueID])
  /// It goes. Nothing may read its results but nodes that go too.
  case drop
}

extension Graph {
  /// Copies the graph node by node, as a rule decides; what nothing reads any more is left out.
  ///
  /// The rule sees each node with its operands renamed to what has taken their place, so one walk follows chains of
  /// replacements. Values that stay keep their names.
  ///
  /// ```swift
  /// // x + x as 2 · x
  /// let cheaper = try graph.rewritten { node, graph in
  ///   guard case .add = node.primitive, node.inputs[0] == node.inputs[1] else { return .keep }
  ///   let two = try graph.add(.full(Full(value: 2, type: graph.type(node.outputs[0]))), [])
  ///   return .replace(try graph.add(.multiply, [two[0], node.inputs[0]]))
  /// }
  /// ```
  /// - Parameter rule: what becomes of a node; it may add nodes and constants, which come before it.
  /// - Returns: a graph of the same inputs and outputs.
  /// - Throws: what the rule throws; ``ApusError`` (argument) for a replacement of another type, or a dropped value that
  ///   something reads.
  public func rewritten(_ rule: (Node, inout Rewriter) throws -> Rewrite) throws -> Graph {
    var rewriter = Rewriter(self)
    for node in nodes { try rewriter.visit(node, rule) }
    return try rewriter.finish().withoutDeadCode()
  }

  /// The graph without nodes and constants that nothing reads. Inputs and outputs stay, and so do nodes that may fail
  /// (``PrimitiveDefinition/canFail``): an index out of range is an error whether or not anybody reads what it names.
  public func withoutDeadCode() -> Graph {
    var isLive = [Bool](repeating: false, count: types.count)
    for port in outputs { isLive[port.value.index] = true }
    var result = self
    result.nodes.removeAll(keepingCapacity: true)
    for node in nodes.reversed() where node.primitive.canFail || node.outputs.contains(where: { isLive[$0.index] }) {
      for id in node.inputs { isLive[id.index] = true }
      result.nodes.append(node)
    }
    result.nodes.reverse()
    result.constants = constants.filter { isLive[$0.key.index] }
    return result
  }

  /// A graph in the making: what a rule of ``Graph/rewritten(_:)`` may ask and add.
  public struct Rewriter {
    private var graph: Graph
    private let useCounts: [Int]
    /// For each value, the node of the new graph that computes it.
    private var definitions: [Int?]
    private var replacements: [ValueID: ValueID] = [:]
    private var dropped: Set<ValueID> = []
    private var scope = ""
    private var isDetached = false
    private var origin = Graph.Node.Origin()

    fileprivate init(_ source: Graph) {
      graph = source
      graph.nodes.removeAll(keepingCapacity: true)
      useCounts = source.useCounts
      definitions = Array(repeating: nil, count: source.types.count)
    }

    /// A tensor value's type. Traps when it is another kind of value.
    public func type(_ id: ValueID) -> TensorType { graph.type(id) }
    /// The node that computes a value; nil for inputs and constants.
    public func definition(_ id: ValueID) -> Node? { definitions[id.index].map { graph.nodes[$0] } }
    /// The tensor that a value always is; nil for others.
    public func constant(_ id: ValueID) -> Tensor? { graph.constants[id] }
    /// How often the graph that is being rewritten reads a value, its outputs included; 0 for what a rule has added.
    public func useCount(_ id: ValueID) -> Int { id.index < useCounts.count ? useCounts[id.index] : 0 }

    /// Adds a node, in the scope of the one that is being rewritten.
    /// - Returns: its results, of the types that the primitive's rule infers.
    /// - Throws: ``ApusError`` when the operands don't fit the primitive.
    public mutating func add(_ primitive: Primitive, _ operands: [ValueID]) throws -> [ValueID] {
      let outputs = try graph.add(primitive, operands, scope: scope)
      graph.nodes[graph.nodes.count - 1].isDetached = isDetached
      graph.nodes[graph.nodes.count - 1].origin = origin
      for id in outputs { define(id, graph.nodes.count - 1) }
      return outputs
    }

    /// Adds a constant.
    public mutating func add(_ constant: Tensor) -> ValueID { graph.addConstant(constant) }

    private mutating func define(_ id: ValueID, _ node: Int) {
      while definitions.count <= id.index { definitions.append(nil) }
      definitions[id.index] = node
    }

    fileprivate mutating func visit(_ original: Node, _ rule: (Node, inout Rewriter) throws -> Rewrite) throws {
      var node = original
      for i in node.inputs.indices { node.inputs[i] = try current(node.inputs[i], readBy: node.primitive.name) }
      (scope, isDetached, origin) = (node.scope, node.isDetached, node.origin)
      switch try rule(node, &self) {
      case .keep:
        graph.nodes.append(node)
        for id in node.outputs { define(id, graph.nodes.count - 1) }
      case .replace(let values):
        guard values.allSatisfy({ graph.types.indices.contains($0.index) }) else {
          throw ApusError(
            .argument, "\(node.primitive.name) can't be replaced by \(values): not all are values of the graph")
        }
        guard values.map({ graph[$0] }) == node.outputs.map({ graph[$0] }) else {
          throw ApusError(
            .argument,
            "\(node.primitive.name) gives \(node.outputs.map { graph[$0] }) and can't be replaced by \(values.map { graph[$0] })"
          )
        }
        for (old, new) in zip(node.outputs, values) { replacements[old] = new }
      case .drop: dropped.formUnion(node.outputs)
      }
    }

    private func current(_ id: ValueID, readBy reader: String) throws -> ValueID {
      guard !dropped.contains(id) else {
        throw ApusError(.argument, "\(id) was dropped and is read by \(reader)")
      }
      // A replacement is a value of the new graph: one step leads to it.
      return replacements[id] ?? id
    }

    fileprivate mutating func finish() throws -> Graph {
      for i in graph.outputs.indices {
        graph.outputs[i].value = try current(graph.outputs[i].value, readBy: "output \(graph.outputs[i].name)")
      }
      return graph
    }
  }
}
