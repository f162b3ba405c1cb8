import Synchronization

/// The traces of one compiled function, by signature.
public final class CompiledCache: @unchecked Sendable {
  /// The function's name, shown in errors, logs and graphs.
  public let name: String
  let specs: [Shape?]
  /// Where the function was made.
  let place: CallPlace?
  /// Runs the body eagerly instead, for debugging: prints, anomaly mode and breakpoints see every operation.
  public var runsEagerly: Bool {
    get { eager.load(ordering: .relaxed) }
    set { eager.store(newValue, ordering: .relaxed) }
  }
  private let eager = Atomic(false)
  private let traces = Atomic(0)
  private struct Entries {
    var byKey: [Key: [Entry]] = [:]
    /// Keys of the entries, the oldest first.
    var order: [Key] = []
  }
  private let entries = Mutex(Entries())
  /// How many traces are kept. A function that needs more has a signature that keeps changing: the log says so.
  static let limit = 256
  /// Held while a stateful graph runs: state-writing calls take turns.
  private let turn = Mutex(())

  struct Key: Hashable {
    var types: [TensorType]
    var structure: String
    var requiresGradient: [Bool]
    var recordsGradients: Bool
    /// That was chosen, or that the arguments are on; nil: where the state is, the embedded one if on the host.
    var engine: ObjectIdentifier?
    var device: Device?
  }

  /// One trace: immutable once made.
  final class Entry: @unchecked Sendable {
    let ready: CompiledProgram
    /// The device that the state was on, where that decided on the engine; nil: the host.
    let home: Device?
    /// The body's result, with symbolic tensors: the mould for later results.
    let template: Any
    /// Which results depend on a leaf outside, so that gradients flow through the call; and how.
    private let differentiableOutputs: [Bool]
    private let differentiable: DifferentiableCall?

    init(_ ready: CompiledProgram, home: Device?, template: Any, differentiableOutputs: [Bool]) {
      self.ready = ready
      self.home = home
      self.template = template
      self.differentiableOutputs = differentiableOutputs
      differentiable =
        differentiableOutputs.contains(true)
        ? DifferentiableCall(ready.program.graph, name: ready.program.name, outputs: differentiableOutputs) : nil
    }

    func run(_ arguments: [Tensor], _ sizes: [String: Int]) throws -> [Tensor] {
      let (results, operands) = try ready.run(arguments, sizes: sizes, keepsOperands: differentiable != nil)
      guard let differentiable, let operands else { return results }
      return differentiable.attach(results, outputs: differentiableOutputs, operands: operands)
    }
  }

  init(name: String, specs: [Shape?], place: CallPlace?) {
    self.name = name
    self.specs = specs
    self.place = place
  }

  /// How often the function has been traced.
  public var traceCount: Int { traces.load(ordering: .relaxed) }

  /// The types a trace is made for, with symbolic sizes where the specification names them, and those sizes today.
  private func signature(_ tensors: [Tensor]) throws -> (types: [TensorType], sizes: [String: Int]) {
    var types = tensors.map(\.type)
    guard !specs.isEmpty else { return (types, [:]) }
    let patterns = types.indices.map { $0 < specs.count ? specs[$0] : nil }
    let sizes: [String: Int]
    do {
      sizes = try SizeBinding.bind(patterns, types, zeroFits: true) { "argument \($0) of \(name)" }
    } catch var error as ApusError {
      error.operation = name
      throw error
    }
    for (i, pattern) in patterns.enumerated() {
      guard let pattern else { continue }
      var shape = types[i].shape
      for (axis, want) in pattern.dims.enumerated() where !want.isKnown { shape.setDim(axis, want) }
      types[i] = types[i].with(shape: shape)
    }
    return (types, sizes)
  }

  func entry(
    _ tensors: [Tensor], structure: String, _ body: ([Tensor]) throws -> (output: Any, tensors: [Tensor])
  ) throws -> Entry {
    let (types, sizes) = try signature(tensors)
    return try entry(tensors, types, sizes, structure, body)
  }

  private func entry(
    _ tensors: [Tensor], _ types: [TensorType], _ sizes: [String: Int], _ structure: String,
    _ body: ([Tensor]) throws -> (output: Any, tensors: [Tensor])
  ) throws -> Entry {
    let chosen = ExecutionContext.current?.engine
    let argumentPlace = chosen == nil ? try Engines.placement(of: tensors) : nil
    let engine = chosen ?? argumentPlace?.engine ?? EngineChoice.current
    let key = Key(
      types: types, structure: structure, requiresGradient: tensors.map(\.requiresGradient),
      recordsGradients: ExecutionContext.recordsGradients, engine: engine.map { ObjectIdentifier($0) },
      device: argumentPlace?.device)
    // Asked outside the lock: reading a variable waits for a run that replaces it.
    let known = entries.withLock { $0.byKey[key] } ?? []
    let found = known.last { $0.ready.state.isValid(sizes, home: $0.home, decides: engine == nil) }
    if let found { return found }
    var template: Any = ()
    var differentiable: [Bool] = []
    let program = try Program.capture(
      name: name, types, requiresGradient: tensors.map(\.requiresGradient), sizes: sizes, place: place
    ) { inputs in
      let (output, tensors) = try body(inputs)
      template = output
      differentiable = tensors.map { $0.node.map { (try? $0.residuals()) != nil } ?? false }
      return tensors
    }
    traces.add(1, ordering: .relaxed)
    Diagnostics.debug("\(name): traced for \(types), \(program.graph.nodes.count) nodes")
    let statePlace = engine == nil ? ProgramState(program).placement : nil
    let ready = try CompiledProgram(
      program, engine: engine ?? statePlace?.engine ?? Engines.embedded,
      options: CompileOptions(device: argumentPlace?.device ?? statePlace?.device))
    let made = Entry(
      ready, home: statePlace?.device, template: template,
      differentiableOutputs: key.recordsGradients ? differentiable : [])
    keep(made, key)
    return made
  }

  private func keep(_ made: Entry, _ key: Key) {
    let count = entries.withLock { entries in
      entries.byKey[key, default: []].append(made)
      entries.order.append(key)
      if entries.order.count > Self.limit {
        let old = entries.order.removeFirst()
        entries.byKey[old]?.removeFirst()
        if entries.byKey[old]?.isEmpty == true { entries.byKey[old] = nil }
      }
      return entries.order.count
    }
    if count == 16 || count == Self.limit {
      Diagnostics.debug("\(name): \(count) traces; name the sizes that vary with `inputs:`, or keep them fixed")
    }
  }

  /// - Returns: nil where the body must run as it is: a derivative around the call may lead through what it assigns.
  func run(
    _ tensors: [Tensor], structure: String, _ body: ([Tensor]) throws -> (output: Any, tensors: [Tensor])
  ) throws -> (template: Any, results: [Tensor])? {
    for tensor in tensors where !tensor.storage.isConcrete {
      throw tensor.isPoisoned
        ? ApusError(
          .argument, "an argument is the result of a failed operation", operation: name, operands: [tensor.type])
        : Trace.leaked(tensor)
    }
    let (types, sizes) = try signature(tensors)
    let entry = try entry(tensors, types, sizes, structure, body)
    if entry.ready.program.writesTracked, ExecutionContext.current?.overlay != nil { return nil }
    guard entry.ready.program.writesState else { return (entry.template, try entry.run(tensors, sizes)) }
    return try turn.withLock { _ in (entry.template, try entry.run(tensors, sizes)) }
  }
}
