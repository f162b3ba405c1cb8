extension Graph {
  /// Runs the graph on tensors through the public operations: eagerly, under a trace, or on the gradient tape.
  ///
  /// `rule` computes each primitive's results from what stands for its operands; transformations give other rules. For
  /// a detached node it is called without recording gradients.
  func evaluate<Stand>(
    _ inputs: [Stand], constant: (Tensor) -> Stand, _ rule: (Primitive, [Stand], Node) throws -> [Stand]
  ) throws -> [Stand] {
    var values = [Stand?](repeating: nil, count: types.count)
    for (port, value) in zip(self.inputs, inputs) { values[port.value.index] = value }
    for (id, tensor) in constants { values[id.index] = constant(tensor) }
    for node in nodes {
      let operands = node.inputs.compactMap { values[$0.index] }
      let results =
        try node.isDetached
        ? withoutGradients { try rule(node.primitive, operands, node) } : rule(node.primitive, operands, node)
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
