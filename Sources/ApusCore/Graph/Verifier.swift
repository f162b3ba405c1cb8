extension Graph {
  /// Checks that the graph is well formed: every value defined once and before its use, types as the primitives' rules
  /// give them, port names unique.
  /// - Throws: ``ApusError`` naming the node and what is wrong with it.
  public func verify() throws {
    var defined = [Bool](repeating: false, count: values.count)
    func define(_ id: ValueID, by what: String) throws {
      guard id.index >= 0, id.index < values.count else {
        throw ApusError(.argument, "\(what) defines \(id), which is no value of it")
      }
      guard !defined[id.index] else { throw ApusError(.argument, "\(what) defines \(id) a second time") }
      defined[id.index] = true
    }
    func use(_ id: ValueID, by what: String) throws {
      guard id.index >= 0, id.index < values.count, defined[id.index] else {
        throw ApusError(.argument, "\(what) uses \(id) before it is defined")
      }
    }
    for port in inputs { try define(port.value, by: "input \(port.name)") }
    for (id, tensor) in constants {
      try define(id, by: "constant")
      guard self[id].type == .tensor(tensor.type) else {
        throw ApusError(.dtype, "constant \(id) is declared \(self[id].type) and holds \(tensor.type)")
      }
    }
    for (i, node) in nodes.enumerated() {
      let what = "node \(i) (\(node.operation.name))"
      for id in node.inputs { try use(id, by: what) }
      for body in node.subgraphs { try body.verify() }
      // Today's operations take and give tensors only.
      func tensorType(_ id: ValueID) throws -> TensorType {
        guard let type = self[id].type.tensor else {
          throw ApusError(.dtype, "\(what): \(id) is \(self[id].type), where a tensor fits")
        }
        return type
      }
      for id in node.outputs { try define(id, by: what) }
      let expected: [TensorType]
      switch node.operation {
      case .primitive(let primitive): expected = try primitive.definition.infer(node.inputs.map(tensorType))
      case .fused(let fusion):
        try fusion.check(node.inputs.map(tensorType))
        expected = fusion.body.outputTypes
      }
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

extension Fusion {
  /// Checks the body, and that it takes operands of these types.
  /// - Throws: ``ApusError`` naming what does not fit.
  func check(_ operands: [TensorType]) throws {
    try body.verify()
    guard body.inputTypes == operands else {
      throw ApusError(.shape, "\(name) takes \(body.inputTypes) and is given \(operands)")
    }
    // So that the body's nodes can stand in the fused node's place.
    let made = body.nodes.flatMap(\.outputs)
    let results = body.outputs.map(\.value)
    guard results.allSatisfy(made.contains), Set(results).count == results.count else {
      throw ApusError(.argument, "\(name): each output must be the result of a node, and another one")
    }
  }
}
