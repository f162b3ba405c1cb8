extension Graph {
  /// Checks that the graph is well formed: every value defined once and before its use, types as the primitives' rules
  /// give them, port names unique.
  /// - Throws: ``ApusError`` naming the node and what is wrong with it.
  public func verify() throws {
    var defined = [Bool](repeating: false, count: types.count)
    func define(_ id: ValueID, by what: String) throws {
      guard id.index >= 0, id.index < types.count else {
        throw ApusError(.argument, "\(what) defines \(id), which is no value of it")
      }
      guard !defined[id.index] else { throw ApusError(.argument, "\(what) defines \(id) a second time") }
      defined[id.index] = true
    }
    func use(_ id: ValueID, by what: String) throws {
      guard id.index >= 0, id.index < types.count, defined[id.index] else {
        throw ApusError(.argument, "\(what) uses \(id) before it is defined")
      }
    }
    for port in inputs { try define(port.value, by: "input \(port.name)") }
    for (id, tensor) in constants {
      try define(id, by: "constant")
      guard self[id] == .tensor(tensor.type) else {
        throw ApusError(.dtype, "constant \(id) is declared \(self[id]) and holds \(tensor.type)")
      }
    }
    for (i, node) in nodes.enumerated() {
      let what = "node \(i) (\(node.primitive.name))"
      for id in node.inputs { try use(id, by: what) }
      // Today's operations take and give tensors only.
      func tensorType(_ id: ValueID) throws -> TensorType {
        guard let type = self[id].tensor else {
          throw ApusError(.dtype, "\(what): \(id) is \(self[id]), where a tensor fits")
        }
        return type
      }
      for id in node.outputs { try define(id, by: what) }
      let expected = try node.primitive.definition.infer(node.inputs.map(tensorType))
      let actual = try node.outputs.map(tensorType)
      guard expected == actual else { throw ApusError(.shape, "\(what) gives \(expected) and is declared \(actual)") }
    }
    for port in outputs { try use(port.value, by: "output \(port.name)") }
    for ports in [inputs, outputs] {
      let names = ports.map(\.name)
      guard Set(names).count == names.count else { throw ApusError(.argument, "port names repeat: \(names)") }
    }
  }
}
