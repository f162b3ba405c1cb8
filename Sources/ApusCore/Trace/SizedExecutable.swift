import Synchronization

/// A graph with symbolic sizes, compiled for each assignment of them that occurs; the latest few are kept.
///
/// Engines see static graphs only.
final class SizedExecutable: Sendable {
  let graph: Graph
  private let engine: any Engine
  private let symbols: [String]
  private static let limit = 16

  private struct State {
    var executables: [(sizes: [Int], executable: any Executable)] = []
  }
  private let state = Mutex(State())

  init(_ graph: Graph, engine: any Engine) {
    self.graph = graph
    self.engine = engine
    symbols = graph.symbols.sorted()
  }

  func run(_ inputs: inout [Storage], donated: Set<Int>, sizes: [String: Int]) throws -> [Storage] {
    try executable(sizes).run(&inputs, donated: donated)
  }

  func executable(_ sizes: [String: Int]) throws -> any Executable {
    let key = try symbols.map { symbol in
      guard let size = sizes[symbol] else {
        throw ApusError(.shape, "\(graph.name): the size \(symbol) is not bound by an input")
      }
      return size
    }
    let found = state.withLock { state -> (any Executable)? in
      guard let i = state.executables.lastIndex(where: { $0.sizes == key }) else { return nil }
      if i != state.executables.count - 1 { state.executables.append(state.executables.remove(at: i)) }
      return state.executables.last?.executable
    }
    if let found { return found }
    let made = try engine.compile(symbols.isEmpty ? graph : graph.resolved(sizes))
    state.withLock { state in
      state.executables.append((key, made))
      if state.executables.count > Self.limit { state.executables.removeFirst() }
    }
    return made
  }
}

/// Runs a static graph node by node: the default of engines that compile nothing, and the oracle of those that do.
public final class InterpretedExecutable: Executable {
  private let graph: Graph
  private let engine: any Engine
  /// Values whose last use is at each node.
  private let releases: [[ValueID]]

  /// Runs a static graph on an engine's ``Engine/execute(_:_:outputs:)``.
  public init(_ graph: Graph, engine: any Engine) {
    self.graph = graph
    self.engine = engine
    var lastUse: [ValueID: Int] = [:]
    for (i, node) in graph.nodes.enumerated() { for id in node.inputs + node.outputs { lastUse[id] = i } }
    let kept = Set(graph.outputs.map(\.value))
    var releases = [[ValueID]](repeating: [], count: graph.nodes.count)
    for (id, i) in lastUse where !kept.contains(id) { releases[i].append(id) }
    self.releases = releases
  }

  /// Runs the graph; donated inputs are left as they are.
  public func run(_ inputs: inout [Storage], donated: Set<Int>) throws -> [Storage] {
    try run(inputs)
  }

  private func run(_ inputs: [Storage]) throws -> [Storage] {
    var values = [Storage?](repeating: nil, count: graph.types.count)
    for (port, storage) in zip(graph.inputs, inputs) { values[port.value.index] = storage }
    for (id, tensor) in graph.constants { values[id.index] = tensor.storage }
    for (i, node) in graph.nodes.enumerated() {
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
      for (id, storage) in zip(node.outputs, results) { values[id.index] = storage }
      for id in releases[i] { values[id.index] = nil }
    }
    return graph.outputs.compactMap { values[$0.value.index] }
  }
}
