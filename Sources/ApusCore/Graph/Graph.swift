/// Names a value of one graph.
public struct ValueID: Hashable, Codable, Sendable, CustomStringConvertible {
  public let index: Int
  public init(_ index: Int) { self.index = index }
  public var description: String { "%\(index)" }
}

/// What a graph's value may be. Today's primitives take and give tensors; importers need the others.
public indirect enum ValueType: Hashable, Codable, Sendable {
  case tensor(TensorType)
  case string(Shape)
  case sequence(ValueType)
  case optional(ValueType)

  public var tensor: TensorType? { if case .tensor(let type) = self { type } else { nil } }
}

/// What a node computes.
public indirect enum Operation: Hashable, Sendable {
  case primitive(Primitive)
  /// Several primitives that an engine runs as one kernel: made by passes, never by tracing.
  case fused(Fusion)

  public var name: String {
    switch self {
    case .primitive(let primitive): primitive.name
    case .fused(let fusion): fusion.name
    }
  }
}

/// A fused node: its body says what it computes, its kind how an engine may run it.
public struct Fusion: Hashable, Sendable {
  public enum Kind: Hashable, Sendable { case elementwise }
  public var kind: Kind
  public var body: Graph
  public var name: String { "fused[" + body.nodes.map(\.operation.name).joined(separator: " ") + "]" }
  public init(_ kind: Kind, body: Graph) {
    self.kind = kind
    self.body = body
  }
}

/// The one intermediate representation: values assigned once, nodes in an order in which they can run.
///
/// Everything that is not eager is a graph: traces and importers make them, passes rewrite them, engines compile
/// them, exporters and pictures read them. Dimensions are known or symbolic.
public struct Graph: Sendable {
  public struct Value: Hashable, Sendable {
    public var type: ValueType
  }
  public struct Node: Hashable, Sendable {
    public var operation: Operation
    public var inputs: [ValueID]
    public var outputs: [ValueID]
    /// Bodies of control flow.
    public var subgraphs: [Graph] = []
    /// Module path the node was traced in, `layer1.conv`.
    public var scope: String = ""
    /// Whether no gradient flows through it: from `detached()` or `withoutGradients`.
    public var isDetached = false

    public var primitive: Primitive? { if case .primitive(let p) = operation { p } else { nil } }
  }
  public struct Port: Hashable, Codable, Sendable {
    public var name: String
    public var value: ValueID
  }

  public var name: String
  public internal(set) var values: [Value] = []
  public var nodes: [Node] = []
  public var inputs: [Port] = []
  public var outputs: [Port] = []
  /// Values known when the graph was made.
  public var constants: [ValueID: Tensor] = [:]

  public init(name: String = "main") { self.name = name }

  public subscript(id: ValueID) -> Value { values[id.index] }
  /// The type of a tensor value. Traps when it is another kind of value.
  public func type(_ id: ValueID) -> TensorType {
    guard let type = values[id.index].type.tensor else { preconditionFailure("\(id) is not a tensor") }
    return type
  }

  // MARK: Building

  public mutating func makeValue(_ type: ValueType) -> ValueID {
    values.append(Value(type: type))
    return ValueID(values.count - 1)
  }

  @discardableResult
  public mutating func addInput(_ name: String, _ type: TensorType) -> ValueID {
    let id = makeValue(.tensor(type))
    inputs.append(Port(name: name, value: id))
    return id
  }

  public mutating func addConstant(_ tensor: Tensor) -> ValueID {
    let id = makeValue(.tensor(tensor.type))
    constants[id] = tensor
    return id
  }

  /// Appends a node.
  /// - Throws: ``ApusError`` when the operands don't fit the primitive.
  @discardableResult
  public mutating func add(_ primitive: Primitive, _ operands: [ValueID], scope: String = "") throws -> [ValueID] {
    let types = operands.map { type($0) }
    do {
      return append(primitive, operands, try primitive.definition.infer(types), scope: scope)
    } catch let error as ApusError {
      throw error.at(primitive.name, types)
    }
  }

  mutating func append(
    _ primitive: Primitive, _ operands: [ValueID], _ types: [TensorType], scope: String, isDetached: Bool = false
  ) -> [ValueID] {
    let outputs = types.map { makeValue(.tensor($0)) }
    nodes.append(
      Node(operation: .primitive(primitive), inputs: operands, outputs: outputs, scope: scope, isDetached: isDetached))
    return outputs
  }

  public mutating func addOutput(_ name: String, _ value: ValueID) { outputs.append(Port(name: name, value: value)) }

  // MARK: Asking

  public var inputTypes: [TensorType] { inputs.map { type($0.value) } }
  public var outputTypes: [TensorType] { outputs.map { type($0.value) } }

  /// Names of the symbolic sizes.
  public var symbols: Set<String> {
    values.reduce(into: []) { names, value in
      if let shape = value.type.tensor?.shape, !shape.isStatic {
        for dim in shape.dims { names.formUnion(dim.symbols) }
      }
    }
  }
  public var isStatic: Bool { values.allSatisfy { $0.type.tensor?.shape.isStatic ?? true } }

  /// How often each value is read, outputs of the graph included.
  public var useCounts: [Int] {
    var counts = [Int](repeating: 0, count: values.count)
    for node in nodes { for id in node.inputs { counts[id.index] += 1 } }
    for port in outputs { counts[port.value.index] += 1 }
    return counts
  }
}

extension Graph: Hashable {
  public static func == (a: Graph, b: Graph) -> Bool {
    a.values == b.values && a.nodes == b.nodes && a.inputs == b.inputs && a.outputs == b.outputs
      && a.constants.count == b.constants.count
      && a.constants.allSatisfy { id, tensor in b.constants[id]?.storage === tensor.storage }
  }
  public func hash(into hasher: inout Hasher) {
    hasher.combine(nodes)
    hasher.combine(inputs)
    hasher.combine(outputs)
  }
}
