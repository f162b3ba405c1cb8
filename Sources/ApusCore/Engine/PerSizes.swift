import Synchronization

/// What an engine makes of a graph for each assignment of its named sizes that occurs: the latest few are kept.
///
/// Callers that ask for the same sizes at once wait for one of them to make it. For engines' authors: a graph without
/// named sizes has one assignment.
/// ```swift
/// let plan = try plans.value(for: inputs, context) { graph, sizes in try plan(graph) }
/// ```
public final class PerSizes<Made: Sendable>: Sendable {
  /// Made by the first who asks, while others wait.
  private final class Box: Sendable {
    let made = Mutex<Made?>(nil)
  }

  private struct State {
    /// The most recently used last.
    var boxes: [(sizes: [Int], box: Box)] = []
    var dropped = 0
  }

  private let graph: Graph
  private let symbols: [String]
  private let capacity: Int
  private let state = Mutex(State())

  /// - Parameters:
  ///   - graph: with or without named sizes.
  ///   - capacity: how many assignments are kept, at least 1.
  public init(_ graph: Graph, capacity: Int = 16) {
    self.graph = graph
    self.capacity = Swift.max(capacity, 1)
    symbols = graph.symbols.sorted()
  }

  /// How many assignments are kept now.
  public var count: Int { state.withLock { $0.boxes.count } }

  /// What was made for the sizes of these inputs; `make` is given the graph with numbers for names, and the numbers.
  /// - Throws: ``ApusError`` (shape) when the inputs don't fit the graph, and what `make` throws.
  public func value(
    for inputs: [Storage], _ context: RunContext = RunContext(), _ make: (Graph, [String: Int]) throws -> Made
  ) throws -> Made {
    if symbols.isEmpty {
      if context.sizes == nil { _ = try graph.sizes(of: inputs.map(\.type)) }
      return try value(for: [], [:], make)
    }
    let sizes = try context.sizes ?? graph.sizes(of: inputs.map(\.type))
    let key = try symbols.map { symbol in
      guard let size = sizes[symbol] else {
        throw ApusError(.shape, "\(graph.name): the size \(symbol) is not bound by an input")
      }
      return size
    }
    return try value(for: key, sizes, make)
  }

  private func value(for key: [Int], _ sizes: [String: Int], _ make: (Graph, [String: Int]) throws -> Made) throws
    -> Made
  {
    let box = state.withLock { state in
      if let i = state.boxes.lastIndex(where: { $0.sizes == key }) {
        if i != state.boxes.count - 1 { state.boxes.append(state.boxes.remove(at: i)) }
        return state.boxes[state.boxes.count - 1].box
      }
      let box = Box()
      state.boxes.append((key, box))
      if state.boxes.count > capacity {
        let old = state.boxes.removeFirst()
        state.dropped += 1
        // Each power of two: often enough to be seen, seldom enough to be read.
        if state.dropped & (state.dropped - 1) == 0 {
          Diagnostics.debug(
            "\(graph.name): the plan for \(zip(symbols, old.sizes).map { "\($0) = \($1)" }.joined(separator: ", ")) was let "
              + "go, the \(state.dropped). so far: more than \(capacity) assignments of \(symbols) are in use")
        }
      }
      return box
    }
    return try box.made.withLock { made in
      if let made { return made }
      let new = try make(symbols.isEmpty ? graph : graph.resolved(sizes), sizes)
      made = new
      return new
    }
  }
}

extension Graph {
  /// The sizes that the graph's names have when its inputs are of these types.
  ///
  /// ```swift
  /// graph.sizes(of: [TensorType(.float32, [32, 784])])      // ["batch": 32]
  /// ```
  /// - Throws: ``ApusError`` (argument) for another number of types, (dtype) or (shape) for one that does not fit.
  public func sizes(of types: [TensorType]) throws -> [String: Int] {
    guard types.count == inputs.count else {
      throw ApusError(.argument, "\(name) takes \(inputs.count) inputs, not \(types.count)", operands: types)
    }
    for (port, type) in zip(inputs, types) where self[port.value].tensor.map({ $0.dtype != type.dtype }) == true {
      throw ApusError(.dtype, "\(port.name) of \(name) must be \(self[port.value])", operands: [type])
    }
    return try SizeBinding.bind(inputs.map { self[$0.value].tensor?.shape }, types, zeroFits: false) {
      "\(inputs[$0].name) of \(name)"
    }
  }
}
