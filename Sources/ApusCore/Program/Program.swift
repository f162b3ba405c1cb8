/// A graph and what its ports stand for: what traces and importers give, and what servers, exporters, pictures and
/// compiled functions take.
///
/// A graph alone is a function of its inputs. A program says which of them are arguments, which are the values of
/// variables, gradients, or tensors that the code caught, and which outputs are results and which replace a variable's
/// value. Port names are the model's own: `encoder.layer.0.weight`.
///
/// ```swift
/// let program = try compiled { (x: Tensor) in model(x) }.program(batch)
/// program.graph.inputs.map(\.name)        // ["input.0", "0.weight", "0.bias"]
/// let fixed = program.frozen()            // the weights are constants that an engine may repack
/// ```
public struct Program: Sendable {
  /// What a graph's input stands for.
  public enum Source: Sendable {
    /// What the caller gives, in the order of the arguments.
    case argument
    /// A variable's value at the time of the run.
    case variable(Variable)
    /// A gradient that an earlier `backward` accumulated.
    case gradient(GradientSlot)
    /// A tensor from outside that the function caught.
    case capture(Tensor)
  }
  /// What becomes of a graph's output.
  public enum Destination: Sendable {
    /// The caller gets it, in the order of the results.
    case result
    /// The variable's next value.
    case variable(Variable)
    /// The gradient after the run.
    case gradient(GradientSlot)
  }

  /// What is computed. Its inputs and outputs are in the order of ``sources`` and ``destinations``.
  public private(set) var graph: Graph
  /// What each input stands for; arguments come first.
  public private(set) var sources: [Source]
  /// What becomes of each output; results come first.
  public private(set) var destinations: [Destination]
  /// Gradients that a run clears.
  let cleared: [GradientSlot]
  /// Whether a value that depends on a leaf outside goes into a variable.
  let writesTracked: Bool
  /// What must hold for the program to stand for the function that it was traced from.
  let guards: Guards

  /// Conditions of a trace.
  struct Guards: Sendable {
    var conditions: [@Sendable () -> Bool] = []
    /// Sizes that were read as `Int` and are thereby fixed.
    var specialisations: [Dim: Int] = [:]
    /// Gradients that must be absent.
    var absent: [GradientSlot] = []

    /// Refuses what the graph would compute wrongly. Modes are not asked: a program is what was traced under them.
    func check(_ sizes: [String: Int], _ name: String) throws {
      for (dim, size) in specialisations where dim.resolved(sizes) != size {
        throw ApusError(
          .shape, "\(name): the size \(dim) was read as a number when it was traced, and is fixed to \(size)")
      }
      if absent.contains(where: { $0.stored != nil }) {
        throw ApusError(
          .argument, "\(name): a gradient is there that was not when it was traced; clear it first (zeroGradients)")
      }
    }

    func hold(_ sizes: [String: Int]) -> Bool {
      conditions.allSatisfy { $0() } && specialisations.allSatisfy { $0.key.resolved(sizes) == $0.value }
        && absent.allSatisfy { $0.stored == nil }
    }
  }

  init(
    _ graph: Graph, sources: [Source], destinations: [Destination], cleared: [GradientSlot], guards: Guards,
    writesTracked: Bool = false
  ) {
    self.graph = graph
    self.sources = sources
    self.destinations = destinations
    self.cleared = cleared
    self.guards = guards
    self.writesTracked = writesTracked
  }

  /// A program of a graph that somebody built or read: every output is a result, and every input an argument but those
  /// that are named as state.
  /// - Parameters:
  ///   - graph: what is computed.
  ///   - variables: state by the names of the inputs that read it; several programs may share a variable.
  /// - Throws: ``ApusError`` when the graph is not well formed; (argument) for a name that no input has or a variable without a value, (shape) or (dtype) for
  ///   a variable of another type than its input.
  public init(_ graph: Graph, variables: [String: Variable] = [:]) throws {
    try graph.verify()
    let names = Set(graph.inputs.map(\.name))
    for name in variables.keys.sorted() where !names.contains(name) {
      throw ApusError(
        .argument,
        "\(graph.name) has no input \(name); its inputs are \(graph.inputs.map(\.name).joined(separator: ", "))")
    }
    // Arguments first, whatever the graph's order.
    var arranged = graph
    arranged.inputs =
      graph.inputs.filter { variables[$0.name] == nil } + graph.inputs.filter { variables[$0.name] != nil }
    self.init(
      arranged, sources: arranged.inputs.map { variables[$0.name].map { .variable($0) } ?? .argument },
      destinations: arranged.outputs.map { _ in .result }, cleared: [], guards: Guards())
    for (port, source) in zip(arranged.inputs, sources) {
      guard case .variable(let variable) = source else { continue }
      guard let value = variable.stored else {
        throw ApusError(.argument, "\(graph.name): the variable for \(port.name) has no value yet")
      }
      guard graph[port.value] == .tensor(value.type) else {
        throw ApusError(.shape, "\(graph.name): \(port.name) is \(graph[port.value]), and its variable \(value.type)")
      }
    }
  }

  // MARK: Asking

  /// Shown in errors, logs and pictures.
  public var name: String { graph.name }
  /// The inputs that a caller gives, in order.
  public var arguments: [Graph.Port] { Array(graph.inputs.prefix(argumentCount)) }
  /// The outputs that a caller gets, in order.
  public var results: [Graph.Port] { Array(graph.outputs.prefix(resultCount)) }
  /// The variables it reads or writes, each once, with the names of their ports.
  public var variables: [(name: String, variable: Variable)] {
    var seen: Set<ObjectIdentifier> = []
    var found: [(name: String, variable: Variable)] = []
    for (port, source) in zip(graph.inputs, sources) {
      if case .variable(let variable) = source, seen.insert(ObjectIdentifier(variable)).inserted {
        found.append((port.name, variable))
      }
    }
    for (port, destination) in zip(graph.outputs, destinations) {
      if case .variable(let variable) = destination, seen.insert(ObjectIdentifier(variable)).inserted {
        found.append((port.name, variable))
      }
    }
    return found
  }
  /// Whether a run changes variables or gradients.
  public var writesState: Bool { destinations.count > resultCount || !cleared.isEmpty }

  var argumentCount: Int { sources.prefix { if case .argument = $0 { true } else { false } }.count }
  var resultCount: Int { destinations.prefix { if case .result = $0 { true } else { false } }.count }

  // MARK: Changing

  /// The program with the values that its read-only state and its captures have now as constants, which an engine may
  /// compute with and repack once. What it writes stays state.
  /// - Throws: ``ApusError`` (argument) when a variable has no value.
  public func frozen() throws -> Program {
    let written = Set(
      destinations.compactMap { if case .variable(let variable) = $0 { ObjectIdentifier(variable) } else { nil } })
    var result = self
    (result.graph.inputs, result.sources) = ([], [])
    for (port, source) in zip(graph.inputs, sources) {
      let value: Tensor
      switch source {
      case .variable(let variable) where !written.contains(ObjectIdentifier(variable)):
        guard let stored = variable.stored, graph[port.value] == .tensor(stored.type) else {
          throw ApusError(.argument, "\(name): the variable \(port.name) has no value of type \(graph[port.value])")
        }
        value = stored
      case .capture(let tensor) where tensor.storage.isConcrete: value = tensor.untracked
      default:
        result.graph.inputs.append(port)
        result.sources.append(source)
        continue
      }
      result.graph.constants[port.value] = value
    }
    return result
  }

  /// The program with another graph, as a pass gives it.
  /// - Throws: ``ApusError`` (argument) unless it is well formed and has the same inputs and outputs.
  public func with(graph: Graph) throws -> Program {
    try graph.verify()
    func ports(_ graph: Graph, _ ports: [Graph.Port]) -> [String] { ports.map { "\($0.name): \(graph[$0.value])" } }
    guard ports(graph, graph.inputs) == ports(self.graph, self.graph.inputs),
      ports(graph, graph.outputs) == ports(self.graph, self.graph.outputs)
    else {
      throw ApusError(.argument, "\(name): the new graph \(graph.name) has other inputs or outputs")
    }
    var result = self
    result.graph = graph
    return result
  }
}
