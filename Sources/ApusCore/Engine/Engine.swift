/// What runs primitives: replaceable, and the same to everything above it.
///
/// An engine needs a name, its devices and ``execute(_:_:outputs:)``; the rest has defaults. Eager operations whose
/// operands are views or whose shapes need broadcasting arrive with equal shapes and strided (possibly stride-0)
/// storages. It is called from any thread, several at a time.
///
/// An engine with memory of its own also has ``upload(_:to:)``. Its results are storages over a ``DeviceBuffer``, which
/// may still be computed when they are returned; operands and inputs come as they are, on its device or the host's
/// (``resident(_:on:)`` brings them).
/// ```swift
/// let y = withEngine(myEngine) { x.matmul(w) }
/// ```
public protocol Engine: AnyObject, Sendable {
  /// A short name, `reference`.
  var name: String { get }
  /// What it computes on, the usual one first; each has the engine's ``name``, or is ``Device/cpu``.
  var devices: [Device] { get }
  /// What it runs on, for people: instruction sets, threads, libraries.
  var summary: String { get }

  /// Computes one primitive. Types have been checked: `outputs` are what the definition inferred.
  /// - Throws: ``ApusError`` for what only values show (an index out of range) or memory that can't be had.
  func execute(_ primitive: Primitive, _ inputs: [Storage], outputs: [TensorType]) throws -> [Storage]

  /// The short way for element-wise primitives of one operand; nil: take the long one.
  /// `reuse`: the operand is uniquely held by the caller, and its memory may take the result.
  func executeUnary(_ primitive: Primitive, _ x: Storage, output: TensorType, reuse: Bool) throws -> Storage?
  /// The same for two operands of equal type; `reuse` says which one's memory may take the result, if any.
  func executeBinary(
    _ primitive: Primitive, _ a: Storage, _ b: Storage, output: TensorType, reuse: ReusableOperand
  ) throws -> Storage?

  /// Copies a tensor's elements into a device's memory.
  /// - Parameters:
  ///   - storage: on the host, perhaps strided, or another engine's; `storage.plain()` brings its elements to the host.
  ///   - device: one of ``devices``.
  /// - Returns: a storage over a ``DeviceBuffer``; the same storage for an engine that computes in the host's memory.
  /// - Throws: ``ApusError`` (memory) when the device has none left, (unsupported) for a dtype it doesn't have, and what
  ///   reading the storage throws.
  func upload(_ storage: Storage, to device: Device) throws -> Storage

  /// Prepares a graph for repeated running. Its constants are uploaded now, once. Sizes may have names: what depends on
  /// them is made when they are known, as ``PerSizes`` does.
  /// - Throws: ``ApusError`` for what it can't run.
  func compile(_ graph: Graph, options: CompileOptions) throws -> any Executable
}

/// Which operand's memory an element-wise result may overwrite.
public enum ReusableOperand: Sendable { case none, first, second }

/// A graph made ready by an engine. Runs may overlap, each with its own arena.
///
/// An engine with a device of its own may return before anything is computed: its results' ``DeviceBuffer/completion``
/// then says when they are there, or what failed. What fails so late must leave donated inputs as they were, as what is
/// thrown at once does.
public protocol Executable: AnyObject, Sendable {
  /// Runs the graph.
  ///
  /// - Parameters:
  ///   - inputs: one storage for each input of the graph, in order; unchanged when it throws.
  ///   - context: what may be overwritten (an input that is donated and that nothing else holds,
  ///     `isKnownUniquelyReferenced(&inputs[i])`), how long the run may take and who watches. An engine writes donated
  ///     inputs only once nothing that can fail remains, and no longer looks at the limits then.
  /// - Returns: one storage for each output of the graph, in order.
  /// - Throws: ``ApusError`` for what only values show, memory that can't be had, and (cancelled) by the context.
  func run(_ inputs: inout [Storage], context: RunContext) throws -> [Storage]
}

extension Executable {
  /// Runs the graph without limits.
  public func run(_ inputs: inout [Storage], donated: Set<Int>) throws -> [Storage] {
    try run(&inputs, context: RunContext(donated: donated))
  }
}

extension Engine {
  /// The name alone.
  public var summary: String { name }
  /// Takes the long way.
  public func executeUnary(_ primitive: Primitive, _ x: Storage, output: TensorType, reuse: Bool) throws -> Storage? {
    nil
  }
  /// Takes the long way.
  public func executeBinary(
    _ primitive: Primitive, _ a: Storage, _ b: Storage, output: TensorType, reuse: ReusableOperand
  ) throws -> Storage? { nil }

  /// The same storage: for engines that compute in the host's memory.
  public func upload(_ storage: Storage, to device: Device) throws -> Storage { storage }

  /// Runs the graph node by node: an ``InterpretedExecutable``.
  public func compile(_ graph: Graph, options: CompileOptions) throws -> any Executable {
    let device = try device(options, for: graph.name)
    if device == .cpu { return InterpretedExecutable(graph, engine: self) }
    let place = Placement(engine: self, device: device)
    var placed = graph
    for (id, constant) in graph.constants { placed.constants[id] = Tensor(try place.resident(constant.storage)) }
    return PlacedExecutable(InterpretedExecutable(placed, engine: self), place)
  }
  /// Prepares a graph as the engine decides.
  public func compile(_ graph: Graph) throws -> any Executable { try compile(graph, options: CompileOptions()) }
}
