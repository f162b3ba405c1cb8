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
