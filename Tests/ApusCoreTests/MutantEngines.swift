import ApusConformance

@testable import ApusCore

/// The reference engine with one thing wrong: what the conformance suite must notice.
final class MutantEngine: Engine {
  typealias Rule = @Sendable (_ primitive: Primitive, _ inputs: [Storage], _ results: [Storage]) throws -> [Storage]

  let name: String
  let devices = [Device.cpu]
  /// Changes the operands before they are computed with.
  private let before: @Sendable (Primitive, [Storage]) throws -> [Storage]
  /// Changes the results.
  private let after: Rule
  private let makeExecutable: (@Sendable (Graph) -> any Executable)?

  init(
    _ name: String, before: @escaping @Sendable (Primitive, [Storage]) throws -> [Storage] = { $1 },
    after: @escaping Rule = { $2 }, executable: (@Sendable (Graph) -> any Executable)? = nil
  ) {
    self.name = name
    self.before = before
    self.after = after
    makeExecutable = executable
  }

  func execute(_ primitive: Primitive, _ inputs: [Storage], outputs: [TensorType]) throws -> [Storage] {
    let results = try ReferenceEngine.shared.execute(primitive, try before(primitive, inputs), outputs: outputs)
    return try after(primitive, inputs, results)
  }

  func compile(_ graph: Graph, options: CompileOptions) throws -> any Executable {
    makeExecutable?(graph) ?? InterpretedExecutable(graph, engine: self)
  }
}

extension Storage {
  /// The elements changed one by one; contiguous float32 and float64 only, others are left alone.
  func mapped(_ change: (_ i: Int, _ value: Double) -> Double) -> Storage {
    guard isContiguous, dtype == .float32 || dtype == .float64 else { return self }
    for i in 0..<shape.elementCount {
      if dtype == .float32 {
        let p = pointer(as: Float.self)
        p[i] = Float(change(i, Double(p[i])))
      } else {
        let p = pointer(as: Double.self)
        p[i] = change(i, p[i])
      }
    }
    return self
  }

  /// The elements as they would be read by one who takes every storage for contiguous.
  func readAsContiguous() throws -> Storage {
    guard !isContiguous, shape.elementCount > 0 else { return self }
    let result = try Storage(type)
    let width = dtype.stride
    let last = (0..<shape.rank).reduce(0) { $0 + (shape[$1] - 1) * strides[$1] }
    for i in 0..<shape.elementCount {
      (result.plainAddress + i * width).copyMemory(from: plainAddress + Swift.min(i, last) * width, byteCount: width)
    }
    return result
  }

  /// Overwrites the memory with another's.
  func overwrite(with other: Storage) {
    guard type == other.type, isContiguous, other.isContiguous else { return }
    plainAddress.copyMemory(from: other.plainAddress, byteCount: dtype.byteCount(shape.elementCount) ?? 0)
  }
}

/// An executable with a fault in how it treats memory.
final class MutantExecutable: Executable, @unchecked Sendable {
  enum Fault: String, CaseIterable, Sendable {
    case overwritesDonatedTooEarly
    case overwritesWhatIsHeldElsewhere
    case overwritesInputs
    case returnsTheSameMemoryAgain
    case dropsRepeatedOutputs
    case overwritesBeforeItFails
    case givesStaleOutputs
  }

  private let graph: Graph
  private let fault: Fault
  private var previous: [Storage]?

  init(_ graph: Graph, _ fault: Fault) {
    self.graph = graph
    self.fault = fault
  }

  func run(_ inputs: inout [Storage], context: RunContext) throws -> [Storage] {
    let donated = context.donated
    let honest = InterpretedExecutable(graph, engine: ReferenceEngine.shared)
    /// The donated inputs, overwritten with values of their type that the graph's nodes compute.
    func overwriteDonated() throws {
      for i in donated {
        for (position, node) in graph.nodes.enumerated()
        where node.inputs.contains(graph.inputs[i].value) && node.outputs.count == 1 {
          var partial = graph
          // Without what comes later: the node that fails.
          partial.nodes = Array(graph.nodes[...position])
          partial.outputs = [Graph.Port(name: "partial", value: node.outputs[0])]
          var copies = inputs
          if let value = try? honestRun(DeadCodeElimination().run(partial), &copies)[0] {
            inputs[i].overwrite(with: value)
          }
        }
      }
    }
    switch fault {
    case .overwritesDonatedTooEarly:
      try overwriteDonated()
      return try honest.run(&inputs, donated: [])
    case .overwritesWhatIsHeldElsewhere:
      let results = try honest.run(&inputs, donated: []).map { try HostCopy.contiguous($0) }
      for i in donated {
        if let value = results.first(where: { $0.type == inputs[i].type }) { inputs[i].overwrite(with: value) }
      }
      return results
    case .overwritesInputs:
      let results = try honest.run(&inputs, donated: []).map { try HostCopy.contiguous($0) }
      if let first = inputs.first { for value in results { first.overwrite(with: value) } }
      return results
    case .returnsTheSameMemoryAgain:
      let results = try honest.run(&inputs, donated: []).map { try HostCopy.contiguous($0) }
      if let previous, previous.map(\.type) == results.map(\.type) {
        for (old, new) in zip(previous, results) { old.overwrite(with: new) }
        return previous
      }
      previous = results
      return results
    case .dropsRepeatedOutputs:
      let results = try honest.run(&inputs, donated: [])
      var seen: Set<ValueID> = []
      return zip(results, graph.outputs).compactMap { seen.insert($1.value).inserted ? $0 : nil }
    case .overwritesBeforeItFails:
      do {
        return try honest.run(&inputs, donated: [])
      } catch {
        try overwriteDonated()
        throw error
      }
    case .givesStaleOutputs:
      if let previous { return previous }
      previous = try honest.run(&inputs, donated: [])
      return previous ?? []
    }
  }

  private func honestRun(_ graph: Graph, _ inputs: inout [Storage]) throws -> [Storage] {
    try InterpretedExecutable(graph, engine: ReferenceEngine.shared).run(&inputs, donated: [])
  }
}
