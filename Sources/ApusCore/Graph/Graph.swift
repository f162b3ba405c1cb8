/// Names a value of one graph.
public struct ValueID: Hashable, Codable, Sendable, CustomStringConvertible {
  /// Its place in ``Graph/types``.
  public let index: Int
  /// The value at a place of ``Graph/types``.
  public init(_ index: Int) { self.index = index }
  public var description: String { "%\(index)" }
}

/// What a graph's value may be. Today's primitives take and give tensors; importers need the others.
public indirect enum ValueType: Hashable, Codable, Sendable {
  /// A tensor.
  case tensor(TensorType)
  /// Strings in a shape.
  case string(Shape)
  /// Any number of values of one type.
  case sequence(ValueType)
  /// A value or none.
  case optional(ValueType)

  /// The tensor's type; nil for another kind of value.
  public var tensor: TensorType? { if case .tensor(let type) = self { type } else { nil } }
}

/// The one intermediate representation: values assigned once, nodes in an order in which they can run.
///
/// Everything that is not eager is a graph: traces and importers make them, passes rewrite them, engines compile
/// them, exporters and pictures read them. Dimensions are known or symbolic.
/// ```swift
/// var graph = Graph(name: "twice")
/// let x = graph.addInput("x", TensorType(.float32, [4, 3]))
/// let y = try graph.add(.add, [x, x])
/// graph.addOutput("y", y[0])
/// try graph([Tensor.ones([4, 3])])      // [float32[4, 3] of 2]
/// ```
public struct Graph: Sendable {
  /// One operation: values in, values out.
  public struct Node: Hashable, Sendable {
    /// What it computes.
    public var primitive: Primitive
    /// Its operands, in the operation's order.
    public var inputs: [ValueID]
    /// Its results, which nothing else defines.
    public var outputs: [ValueID]
    /// Module path the node was traced in, `layer1.conv`.
    public var scope: String = ""
    /// Whether no gradient flows through it: from `detached()` or `withoutGradients`.
    public var isDetached = false
    var origin = Origin()

    /// Where it was traced, kept of what may fail when the graph runs. It does not distinguish nodes.
    struct Origin: Hashable, Sendable {
      var site: CallSite?
      static func == (a: Origin, b: Origin) -> Bool { true }
      func hash(into hasher: inout Hasher) {}
    }

    /// Runs its operation; an error tells where it was traced.
    func running<R>(_ body: () throws -> R) throws -> R {
      do {
        return try body()
      } catch let error as ApusError {
        // The operation and its operands are in it.
        throw naming(error, operands: [])
      }
    }

    /// An error of this node's operation with what is known of it: its name, operands, module and place.
    package func naming(_ error: any Error, operands: [TensorType]) -> any Error {
      guard var named = (error as? ApusError)?.at(primitive.name, operands).from(origin.site) else { return error }
      if named.module == nil, !scope.isEmpty { named.module = scope }
      return named
    }
  }
  /// A named input or output of the graph.
  public struct Port: Hashable, Codable, Sendable {
    /// Unique among the graph's inputs, or outputs.
    public var name: String
    /// The value it names.
    public var value: ValueID

    /// A name for a value.
    public init(name: String, value: ValueID) {
      self.name = name
      self.value = value
    }
  }

  /// Shown in errors, logs and pictures.
  public var name: String
  /// The types of all values, of inputs, constants and nodes; a ``ValueID`` is an index into them.
  public internal(set) var types: [ValueType] = []
  /// The operations, in an order in which they can run.
  public var nodes: [Node] = []
  /// What a run is given, in order.
  public var inputs: [Port] = []
  /// What a run returns, in order; a value may be several of them.
  public var outputs: [Port] = []
  /// Values known when the graph was made.
  public var constants: [ValueID: Tensor] = [:]

  /// A graph without anything.
  public init(name: String = "main") { self.name = name }

  /// A value's type; traps for an index it does not have.
  public subscript(id: ValueID) -> ValueType { types[id.index] }
  /// The type of a tensor value. Traps when it is another kind of value.
  public func type(_ id: ValueID) -> TensorType {
    guard let type = types[id.index].tensor else { preconditionFailure("\(id) is not a tensor") }
    return type
  }

  // MARK: Building

  /// A value that nothing defines yet: as a port's, a constant's or a node's output it gets its definition.
  public mutating func makeValue(_ type: ValueType) -> ValueID {
    types.append(type)
    return ValueID(types.count - 1)
  }

  /// Adds a named input.
  /// - Returns: the value that stands for what a run is given.
  @discardableResult
  public mutating func addInput(_ name: String, _ type: TensorType) -> ValueID {
    let id = makeValue(.tensor(type))
    inputs.append(Port(name: name, value: id))
    return id
  }

  /// Adds a value that is known now.
  public mutating func addConstant(_ tensor: Tensor) -> ValueID {
    let id = makeValue(.tensor(tensor.type))
    constants[id] = tensor
    return id
  }

  /// Appends a node.
  /// - Parameters:
  ///   - primitive: what it computes.
  ///   - operands: values defined before.
  ///   - scope: the module path shown in pictures.
  /// - Returns: the primitive's results, of the types that its rule infers.
  /// - Throws: ``ApusError`` when the operands don't fit the primitive.
  @discardableResult
  public mutating func add(_ primitive: Primitive, _ operands: [ValueID], scope: String = "") throws -> [ValueID] {
    let types = try operands.map(operandType)
    do {
      return append(primitive, operands, try primitive.definition.infer(types), scope: scope)
    } catch let error as ApusError {
      throw error.at(primitive.name, types)
    }
  }

  private func operandType(_ id: ValueID) throws -> TensorType {
    guard types.indices.contains(id.index), let type = types[id.index].tensor else {
      throw ApusError(.argument, "\(id) is no tensor of the graph \(name)")
    }
    return type
  }

  mutating func append(
    _ primitive: Primitive, _ operands: [ValueID], _ types: [TensorType], scope: String, isDetached: Bool = false,
    site: CallSite? = nil
  ) -> [ValueID] {
    let outputs = types.map { makeValue(.tensor($0)) }
    nodes.append(
      Node(
        primitive: primitive, inputs: operands, outputs: outputs, scope: scope, isDetached: isDetached,
        origin: Node.Origin(site: site)))
    return outputs
  }

  /// Names a value as an output, after those there are.
  public mutating func addOutput(_ name: String, _ value: ValueID) { outputs.append(Port(name: name, value: value)) }

  // MARK: Asking

  /// The types of the inputs, in order; traps where one is not a tensor.
  public var inputTypes: [TensorType] { inputs.map { type($0.value) } }
  /// The types of the outputs, in order; traps where one is not a tensor.
  public var outputTypes: [TensorType] { outputs.map { type($0.value) } }

  /// Names of the symbolic sizes.
  public var symbols: Set<String> {
    types.reduce(into: []) { names, type in
      if let shape = type.tensor?.shape, !shape.isStatic {
        for dim in shape.dims { names.formUnion(dim.symbols) }
      }
    }
  }
  /// Whether every tensor's size is known.
  public var isStatic: Bool { types.allSatisfy { $0.tensor?.shape.isStatic ?? true } }
}

extension Graph: Hashable {
  /// Whether they have the same values, nodes and ports, and hold the same constants in memory. The graph's name does
  /// not count.
  public static func == (a: Graph, b: Graph) -> Bool {
    a.types == b.types && a.nodes == b.nodes && a.inputs == b.inputs && a.outputs == b.outputs
      && a.constants.count == b.constants.count
      && a.constants.allSatisfy { id, tensor in b.constants[id]?.storage === tensor.storage }
  }
  public func hash(into hasher: inout Hasher) {
    hasher.combine(nodes)
    hasher.combine(inputs)
    hasher.combine(outputs)
  }
}
