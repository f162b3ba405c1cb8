/// Runs a graph node by node: the default of engines that compile nothing, and the oracle of those that do.
public final class InterpretedExecutable: Executable {
  private let graph: Graph
  private let engine: any Engine
  private let sized: PerSizes<Graph>
  /// Values whose last use is at each node.
  private let releases: [[ValueID]]

  /// Runs a graph on an engine's ``Engine/execute(_:_:outputs:)``.
  public init(_ graph: Graph, engine: any Engine) {
    self.graph = graph
    self.engine = engine
    sized = PerSizes(graph)
    var lastUse: [ValueID: Int] = [:]
    for (i, node) in graph.nodes.enumerated() { for id in node.inputs + node.outputs { lastUse[id] = i } }
    let kept = Set(graph.outputs.map(\.value))
    var releases = [[ValueID]](repeating: [], count: graph.nodes.count)
    for (id, i) in lastUse where !kept.contains(id) { releases[i].append(id) }
    self.releases = releases
  }

  /// Runs the graph; donated inputs are left as they are.
  public func run(_ inputs: inout [Storage], context: RunContext) throws -> [Storage] {
    let graph = try sized.value(for: inputs, context) { graph, _ in graph }
    let clock = ContinuousClock()
    var values = [Storage?](repeating: nil, count: graph.types.count)
    for (port, storage) in zip(graph.inputs, inputs) { values[port.value.index] = storage }
    for (id, tensor) in graph.constants { values[id.index] = tensor.storage }
    for (i, node) in graph.nodes.enumerated() {
      if context.isLimited { try context.check(graph.name) }
      let begin = context.observer.map { _ in clock.now }
      let operands = node.inputs.compactMap { values[$0.index] }
      let types = node.outputs.map(graph.type)
      let results: [Storage]
      do {
        results =
          try ViewRules.view(node.primitive, operands.map { Tensor($0) }, types)
          ?? engine.execute(node.primitive, operands, outputs: types)
      } catch {
        throw node.naming(error, operands: operands.map(\.type))
      }
      if let begin { context.observer?(.init(name: node.primitive.name, duration: clock.now - begin)) }
      for (id, storage) in zip(node.outputs, results) { values[id.index] = storage }
      for id in releases[i] { values[id.index] = nil }
    }
    return graph.outputs.compactMap { values[$0.value.index] }
  }
}
