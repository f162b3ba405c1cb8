import Synchronization

/// The traces of one compiled function, by signature.
public final class CompiledCache: @unchecked Sendable {
  /// The function's name, shown in errors, logs and graphs.
  public let name: String
  let specs: [Shape?]
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
    var engine: ObjectIdentifier
  }

  /// One trace: immutable once made.
  final class Entry: @unchecked Sendable {
    let captured: CapturedGraph
    let executable: SizedExecutable
    /// The body's result, with symbolic tensors: the mould for later results.
    let template: Any
    let sizes: [String: Int]
    /// Which outputs depend on a leaf outside, so that gradients flow through the call; and how.
    let differentiableOutputs: [Bool]
    let differentiable: DifferentiableCall?

    init(
      captured: CapturedGraph, executable: SizedExecutable, template: Any, sizes: [String: Int],
      differentiableOutputs: [Bool]
    ) {
      self.captured = captured
      self.executable = executable
      self.template = template
      self.sizes = sizes
      self.differentiableOutputs = differentiableOutputs
      differentiable =
        differentiableOutputs.contains(true)
        ? DifferentiableCall(captured, name: captured.graph.name, outputs: differentiableOutputs) : nil
    }

    func isValid(sizes: [String: Int]) -> Bool {
      captured.guards.allSatisfy { $0() }
        && captured.specialisations.allSatisfy { $0.key.resolved(sizes) == $0.value }
        && zip(captured.variables, captured.variableTypes).allSatisfy { $0.stored?.type == $1 }
        && zip(captured.readGradients, captured.readGradientTypes).allSatisfy { $0.stored?.type == $1 }
        && captured.absentGradients.allSatisfy { $0.stored == nil }
    }
  }

  init(name: String, specs: [Shape?]) {
    self.name = name
    self.specs = specs
  }

  /// How often the function has been traced.
  public var traceCount: Int { traces.load(ordering: .relaxed) }

  /// The types a trace is made for, with symbolic sizes where the specification names them, and those sizes today.
  private func signature(_ tensors: [Tensor]) throws -> (types: [TensorType], sizes: [String: Int]) {
    var types = tensors.map(\.type)
    guard !specs.isEmpty else { return (types, [:]) }
    func fail(_ problem: String, _ operands: [TensorType]) -> ApusError {
      ApusError(.shape, problem, operation: name, operands: operands)
    }
    // Names first: arithmetic of them may come before the argument that binds them.
    var sizes: [String: Int] = [:]
    for (i, type) in types.enumerated() where i < specs.count {
      guard let spec = specs[i] else { continue }
      guard spec.rank == type.rank else { throw fail("argument \(i) of \(name) must be of shape \(spec)", [type]) }
      for (axis, want) in spec.dims.enumerated() {
        for name in want.symbols where sizes[name] == nil && want == .symbol(name) { sizes[name] = type.shape[axis] }
      }
    }
    for (i, type) in types.enumerated() where i < specs.count {
      guard let spec = specs[i] else { continue }
      var pattern = type.shape
      for (axis, want) in spec.dims.enumerated() {
        let have = type.shape[axis]
        if let fixed = want.value {
          guard fixed == have || fixed == 0 else {
            throw fail("argument \(i) of \(name) must be of shape \(spec)", [type])
          }
          continue
        }
        guard let known = want.resolved(sizes) else {
          throw fail("size \(want) of argument \(i) of \(name): its names must be sizes of arguments themselves", types)
        }
        guard known == have else {
          throw fail("size \(want) of argument \(i) of \(name) is \(have) and was \(known) before", types)
        }
        pattern.setDim(axis, want)
      }
      types[i] = type.with(shape: pattern)
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
    let engine = Engines.current
    let key = Key(
      types: types, structure: structure, requiresGradient: tensors.map(\.requiresGradient),
      recordsGradients: ExecutionContext.recordsGradients, engine: ObjectIdentifier(engine))
    if let found = entries.withLock({ $0.byKey[key]?.last { $0.isValid(sizes: sizes) } }) { return found }
    var template: Any = ()
    var differentiable: [Bool] = []
    let captured = try CapturedGraph.capture(
      name: name, types, requiresGradient: tensors.map(\.requiresGradient), sizes: sizes
    ) { inputs in
      let (output, tensors) = try body(inputs)
      template = output
      differentiable = tensors.map { $0.node.map { (try? $0.residuals()) != nil } ?? false }
      return tensors
    }
    traces.add(1, ordering: .relaxed)
    Diagnostics.debug("\(name): traced for \(types), \(captured.graph.nodes.count) nodes")
    let made = Entry(
      captured: captured, executable: SizedExecutable(captured.graph, engine: engine), template: template,
      sizes: sizes,
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
    if entry.captured.writesTracked, ExecutionContext.current?.overlay != nil { return nil }
    if entry.captured.written.isEmpty, entry.captured.writtenGradients.isEmpty {
      return (entry.template, try CompiledRun.run(entry, tensors, sizes))
    }
    return try turn.withLock { _ in (entry.template, try CompiledRun.run(entry, tensors, sizes)) }
  }
}

/// One run of a traced function: gathers its state, runs, puts the new state back.
enum CompiledRun {
  static func run(_ entry: CompiledCache.Entry, _ tensors: [Tensor], _ sizes: [String: Int]) throws -> [Tensor] {
    let captured = entry.captured
    var storages = tensors.map(\.storage)
    storages.reserveCapacity(captured.graph.inputs.count)
    let isWritten = Set(captured.written.map { ObjectIdentifier($0) })
    // What is only read comes first: reading waits for a call that replaces it, and whoever waits must hold nothing.
    let read = captured.variables.map { isWritten.contains(ObjectIdentifier($0)) ? nil : $0.stored }
    // Variables that are replaced are taken out, in one order for everybody, so that their memory can be reused.
    let replaced = captured.written.sorted { ObjectIdentifier($0) < ObjectIdentifier($1) }
    var taken: [ObjectIdentifier: Tensor] = [:]
    for variable in replaced {
      if let value = variable.beginUpdate() { taken[ObjectIdentifier(variable)] = value }
    }
    var donated: Set<Int> = []
    var owners: [(variable: Variable, index: Int)] = []
    for (variable, value) in zip(captured.variables, read) {
      let key = ObjectIdentifier(variable)
      if isWritten.contains(key) {
        guard let value = taken.removeValue(forKey: key) else { continue }
        donated.insert(storages.count)
        owners.append((variable, storages.count))
        storages.append(value.storage)
      } else if let value {
        storages.append(value.storage)
      }
    }
    for slot in captured.readGradients { if let value = slot.stored { storages.append(value.storage) } }
    storages.append(contentsOf: captured.captures.map(\.storage))
    // A tape entry for the call needs the operands as they were: held twice, they are not overwritten.
    let operands = entry.differentiable.map { _ in captured.trackedOperands(tensors, storages) }
    let results: [Storage]
    do {
      guard storages.count == captured.graph.inputs.count else {
        throw ApusError(.argument, "\(captured.graph.name): its state changed while it ran")
      }
      results = try entry.executable.run(&storages, donated: donated, sizes: sizes)
    } catch {
      for (variable, index) in owners { variable.finishUpdate(Tensor(storages[index])) }
      for variable in replaced where !owners.contains(where: { $0.variable === variable }) {
        variable.finishUpdate(taken[ObjectIdentifier(variable)])
      }
      throw error
    }
    storages.removeAll()
    var next = captured.outputCount
    for variable in captured.written {
      variable.finishUpdate(Tensor(results[next]))
      next += 1
    }
    for slot in captured.writtenGradients {
      slot.stored = Tensor(results[next])
      next += 1
    }
    for slot in captured.clearedGradients { slot.stored = nil }
    let outputs = results[..<captured.outputCount].map { Tensor($0) }
    guard let call = entry.differentiable, let operands else { return outputs }
    return call.attach(outputs, outputs: entry.differentiableOutputs, operands: operands)
  }
}
