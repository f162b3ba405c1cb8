/// The gradient tape's entry for a whole call of a compiled function, where a gradient taken outside flows through it.
///
/// Its pullback is the reverse sweep of the function's own graph, run again from the operands the call had: it too is
/// compiled, unless derivatives of derivatives are being recorded. A function that differentiates inside needs none.
final class DifferentiableCall: Sendable {
  private let primitive: Primitive

  /// - Parameter outputs: which of the function's results depend on something that requires a gradient.
  init(_ graph: Graph, name: String, outputs: [Bool]) {
    let indices = outputs.indices.filter { outputs[$0] }
    /// The graph for the sizes of a call: nothing in it may have a name beside operands that have numbers.
    @Sendable func sized(_ operands: [TensorType]) throws -> Graph {
      graph.isStatic ? graph : try graph.resolved(graph.sizes(of: operands))
    }
    @Sendable func pullback(_ operands: [Tensor], _ seeds: [Tensor]) throws -> [Tensor] {
      let leaves = operands.map { $0.dtype.isFloatingPoint ? Autograd.watched($0) : $0 }
      let recorded = ExecutionContext.recordsGradients
      return try ExecutionContext.with({ $0.gradientEnabled = true }) {
        let results = try sized(leaves.map(\.type))(leaves)
        var sweep = ReverseSweep(retainGraph: recorded)
        for (seed, i) in zip(seeds, indices) { sweep.add(seed, to: results[i]) }
        let found = try ExecutionContext.with({ $0.gradientEnabled = recorded }) { try sweep.run(to: leaves) }
        return zip(found, leaves).map { $0 ?? Tensor.zerosLike($1) }
      }
    }
    let fast = compiled(name: "\(name).pullback") { (operands: [Tensor], seeds: [Tensor]) in
      try withoutGradients { try pullback(operands, seeds) }
    }
    primitive = .custom(
      CustomPrimitive(
        name,
        infer: { types in
          let outputs = try sized(types).outputTypes
          return indices.map { outputs[$0] }
        },
        evaluate: { operands in
          let results = try sized(operands.map(\.type))(operands)
          return indices.map { results[$0] }
        },
        derivative: .vjp { context in
          let operands = (0..<context.operandCount).map(context.input)
          let seeds = indices.indices.map { context.outputGradient($0) ?? Tensor.zerosLike(context.output($0)) }
          do {
            return ExecutionContext.recordsGradients
              ? try pullback(operands, seeds)
              : try fast(operands.map(\.untracked), seeds.map(\.untracked))
          } catch {
            return operands.map { Dispatch.fail(error, type: $0.type) }
          }
        }))
  }

  /// Connects a call's results to the leaves among its operands.
  /// - Parameters:
  ///   - results: all results of the call; those that depend on no leaf stay as they are.
  ///   - operands: the graph's inputs as they were at the call, with their nodes.
  func attach(_ results: [Tensor], outputs: [Bool], operands: [Tensor]) -> [Tensor] {
    guard operands.contains(where: { $0.node != nil }) else { return results }
    var saved = TapeNode.Saved()
    for (i, operand) in operands.enumerated() { saved.setInput(i, operand.storage) }
    let indices = outputs.indices.filter { outputs[$0] }
    saved.outputs = indices.map { results[$0].storage }
    saved.types = operands.map(\.type)
    func edge(_ i: Int) -> TapeNode.Edge {
      i < operands.count ? TapeNode.Edge(operands[i]) : TapeNode.Edge()
    }
    let node = TapeNode(
      primitive, edges: (edge(0), edge(1), edge(2)), more: operands.count > 3 ? (3..<operands.count).map(edge) : [],
      count: operands.count, saved: saved)
    var attached = results
    for (position, i) in indices.enumerated() {
      attached[i] = Tensor(results[i].storage, node: node, outputIndex: Int32(position))
    }
    return attached
  }
}
