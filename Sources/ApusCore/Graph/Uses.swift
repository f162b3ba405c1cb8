extension Graph {
  /// Who reads a value: a node's operand, or an output of the graph.
  public enum Use: Hashable, Sendable {
    /// Operand `operand` of the node at place `node` of ``Graph/nodes``.
    case operand(node: Int, operand: Int)
    /// An output, by its place in ``Graph/outputs``.
    case output(Int)
  }

  /// The uses of each value, by its place in ``types``: nodes in order, then outputs.
  public var uses: [[Use]] {
    var uses = [[Use]](repeating: [], count: types.count)
    for (i, node) in nodes.enumerated() {
      for (k, id) in node.inputs.enumerated() { uses[id.index].append(.operand(node: i, operand: k)) }
    }
    for (i, port) in outputs.enumerated() { uses[port.value.index].append(.output(i)) }
    return uses
  }

  /// How often each value is read, outputs of the graph included.
  public var useCounts: [Int] {
    var counts = [Int](repeating: 0, count: types.count)
    for node in nodes { for id in node.inputs { counts[id.index] += 1 } }
    for port in outputs { counts[port.value.index] += 1 }
    return counts
  }

  /// For each value, the place in ``nodes`` of the node that computes it; nil for inputs and constants.
  public var definitions: [Int?] {
    var definitions = [Int?](repeating: nil, count: types.count)
    for (i, node) in nodes.enumerated() { for id in node.outputs { definitions[id.index] = i } }
    return definitions
  }

  /// Lets everything that reads a value read another one of the same type, which must be defined before. What defined
  /// the old one stays until dead code goes.
  /// - Throws: ``ApusError`` (argument) when their types differ.
  public mutating func replaceUses(of old: ValueID, with new: ValueID) throws {
    guard self[old] == self[new] else {
      throw ApusError(.argument, "\(new) of type \(self[new]) can't take the place of \(old) of type \(self[old])")
    }
    for i in nodes.indices {
      for k in nodes[i].inputs.indices where nodes[i].inputs[k] == old { nodes[i].inputs[k] = new }
    }
    for i in outputs.indices where outputs[i].value == old { outputs[i].value = new }
  }
}
