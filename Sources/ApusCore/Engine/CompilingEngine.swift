import Synchronization

/// An engine that only compiles graphs, as accelerators do: each eager operation runs as a graph of one node, compiled
/// once for its attributes and operand types and kept.
///
/// ```swift
/// final class MyEngine: CompilingEngine {
///   let name = "mine", devices = [Device(engine: "mine")]
///   let singleOperations = SingleOperations()
///   func compile(_ graph: Graph, options: CompileOptions) throws -> any Executable {
///     try ReferenceEngine.shared.compile(graph, options: options)  // or yours
///   }
/// }
/// ```
public protocol CompilingEngine: Engine {
  /// Where the compiled operations are kept.
  var singleOperations: SingleOperations { get }
}

extension CompilingEngine {
  /// Compiles a graph of this one operation for the device that an operand is on, unless it has been, and runs it.
  public func execute(_ primitive: Primitive, _ inputs: [Storage], outputs: [TensorType]) throws -> [Storage] {
    var operands = inputs
    let device = inputs.lazy.compactMap(\.opaque?.device).first { devices.contains($0) }
    return try singleOperations.executable(primitive, inputs.map(\.type), on: self, device).run(
      &operands, donated: [])
  }
}

/// Graphs of one operation each, compiled. All are let go when there are more than 4,096.
public final class SingleOperations: Sendable {
  private struct Key: Hashable {
    let primitive: Primitive
    let operands: [TensorType]
    let device: Device?
  }
  private static let capacity = 4096
  private let executables = Mutex<[Key: any Executable]>([:])

  /// None compiled yet.
  public init() {}

  /// How many operations are compiled.
  public var count: Int { executables.withLock { $0.count } }

  func executable(
    _ primitive: Primitive, _ operands: [TensorType], on engine: any Engine, _ device: Device?
  ) throws -> any Executable {
    let key = Key(primitive: primitive, operands: operands, device: device)
    if let known = executables.withLock({ $0[key] }) { return known }
    var graph = Graph(name: primitive.name)
    let inputs = operands.enumerated().map { graph.addInput("x\($0)", $1) }
    for (i, output) in try graph.add(primitive, inputs).enumerated() { graph.addOutput("y\(i)", output) }
    let made = try engine.compile(graph, options: CompileOptions(device: device))
    executables.withLock { executables in
      if executables.count >= Self.capacity { executables.removeAll() }
      executables[key] = made
    }
    return made
  }
}
