extension CapturedGraph {
  /// The tensors its inputs stand for: arguments, then variables, gradients and captures as they are now.
  func operands(_ arguments: [Tensor]) -> [Tensor] {
    arguments
      + variables.map { ($0 as? Parameter)?.tensor ?? $0.value }
      + readGradients.compactMap(\.gradient)
      + captures
  }

  /// The same for one call of the compiled function, over the storages it ran with.
  func trackedOperands(_ arguments: [Tensor], _ storages: [Storage]) -> [Tensor] {
    storages.enumerated().map { i, storage in
      if i < inputCount { return arguments[i] }
      if i < inputCount + variables.count {
        return Tensor(storage, node: (variables[i - inputCount] as? Parameter)?.trackedLeaf)
      }
      let rest = i - inputCount - variables.count - readGradients.count
      return rest < 0 ? Tensor(storage) : captures[rest]
    }
  }

  /// Puts the state that a run of the graph gave back into its variables.
  func writeState(_ results: ArraySlice<Tensor>) {
    var rest = results
    for variable in written { variable.value = rest.removeFirst() }
    for slot in writtenGradients { slot.gradient = rest.removeFirst() }
    for slot in clearedGradients { slot.gradient = nil }
  }
}

extension Graph {
  /// Runs the graph on tensors through the public operations: eagerly, under a trace, or on the gradient tape.
  ///
  /// `rule` computes each primitive's results from what stands for its operands; transformations give other rules. For
  /// a detached node it is called without recording gradients.
  func evaluate<Value>(
    _ inputs: [Value], constant: (Tensor) -> Value, _ rule: (Primitive, [Value], Node) throws -> [Value]
  ) throws -> [Value] {
    var values = [Value?](repeating: nil, count: self.values.count)
    for (port, value) in zip(self.inputs, inputs) { values[port.value.index] = value }
    for (id, tensor) in constants { values[id.index] = constant(tensor) }
    for node in nodes {
      let operands = node.inputs.compactMap { values[$0.index] }
      let results: [Value]
      switch node.operation {
      case .primitive(let primitive):
        results =
          try node.isDetached
          ? withoutGradients { try rule(primitive, operands, node) } : rule(primitive, operands, node)
      case .fused(let fusion): results = try fusion.body.evaluate(operands, constant: constant, rule)
      }
      for (id, value) in zip(node.outputs, results) { values[id.index] = value }
    }
    return outputs.compactMap { values[$0.value.index] }
  }

  /// Runs the graph on tensors, operation by operation: eagerly, inside a trace, and on the gradient tape.
  ///
  /// A graph with symbolic sizes is resolved first: ``resolved(_:)``.
  /// - Parameter inputs: one for each input of the graph, in order.
  /// - Returns: one tensor for each output, in order.
  /// - Throws: ``ApusError`` when an operation fails or the number of inputs is another.
  public func callAsFunction(_ inputs: [Tensor]) throws -> [Tensor] {
    guard inputs.count == self.inputs.count else {
      throw ApusError(
        .argument, "\(name) takes \(self.inputs.count) inputs, not \(inputs.count)", operands: inputs.map(\.type))
    }
    return try evaluate(inputs, constant: { $0 }) { primitive, operands, node in
      try node.running { try Dispatch.tryRun(primitive, operands) }
    }
  }
}
