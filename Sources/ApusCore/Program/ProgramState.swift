/// Moves a program's state into a run and out of it: the one place that knows which port stands for what.
struct ProgramState: Sendable {
  /// A variable that a run replaces. Its value is taken out meanwhile, so that its memory can be reused.
  private struct Update: Sendable {
    let variable: Variable
    /// The input that reads the value from before; nil when it is written unread.
    let input: Int?
    let output: Int
  }

  let program: Program
  private let resultCount: Int
  /// In one order for everybody, so that two programs that write the same variables don't wait for each other for ever.
  private let updates: [Update]
  /// Inputs whose memory a run may overwrite.
  let donated: Set<Int>
  /// What variables and gradients must be for the graph to fit.
  private let expected: [(source: Program.Source, input: Int, type: TensorType)]

  init(_ program: Program) {
    self.program = program
    resultCount = program.resultCount
    var inputs: [ObjectIdentifier: Int] = [:]
    var expected: [(Program.Source, Int, TensorType)] = []
    for (i, source) in program.sources.enumerated() {
      switch source {
      case .variable(let variable): inputs[ObjectIdentifier(variable)] = i
      case .gradient: break
      case .argument, .capture: continue
      }
      expected.append((source, i, program.graph.type(program.graph.inputs[i].value)))
    }
    var updates: [Update] = []
    for (i, destination) in program.destinations.enumerated() {
      guard case .variable(let variable) = destination else { continue }
      updates.append(Update(variable: variable, input: inputs[ObjectIdentifier(variable)], output: i))
    }
    self.updates = updates.sorted { ObjectIdentifier($0.variable) < ObjectIdentifier($1.variable) }
    self.expected = expected
    donated = Set(updates.compactMap(\.input))
  }

  /// Whether the program stands for the function it was traced from, as the world is now.
  /// - Parameters:
  ///   - sizes: that the arguments have.
  ///   - home: the device that the state must be on, nil for the host; asked only where it decides on the engine.
  ///   - decides: whether it does.
  func isValid(_ sizes: [String: Int], home: Device?, decides: Bool) -> Bool {
    guard program.guards.hold(sizes) else { return false }
    var found: Device?
    for (source, _, type) in expected {
      guard let storage = storage(source), storage.type == type else { return false }
      if decides, found == nil { found = storage.placement?.device }
    }
    return !decides || found == home
  }

  /// The device that the state, or some of it, is on now; nil: the host.
  var placement: Placement? {
    for (source, _, _) in expected { if let found = storage(source)?.placement { return found } }
    return nil
  }

  private func storage(_ source: Program.Source) -> Storage? {
    switch source {
    case .variable(let variable): variable.stored?.storage
    case .gradient(let slot): slot.stored?.storage
    case .argument, .capture: nil
    }
  }

  // MARK: A run over storages

  /// Gathers the state, runs, and puts the new state back; a run that throws leaves it as it was.
  /// - Parameters:
  ///   - arguments: one tensor for each argument.
  ///   - keepsOperands: whether the inputs are returned too, as they were, with their places on the tape.
  ///   - residence: the device where state is kept; nil: the host.
  ///   - body: runs the graph on its inputs, of which ``donated`` may be overwritten.
  func run(
    _ arguments: [Tensor], keepsOperands: Bool, _ residence: Residence? = nil,
    _ body: (inout [Storage]) throws -> [Storage]
  ) throws -> (results: [Tensor], operands: [Tensor]?) {
    // What is only read comes first: reading waits for a call that replaces it, and whoever waits must hold nothing.
    var gathered = try gather(arguments, residence)
    var taken = updates.map { $0.variable.beginUpdate() }
    for (k, update) in updates.enumerated() {
      guard let i = update.input, let value = taken[k] else { continue }
      gathered[i] = value.storage
      taken[k] = nil
    }
    var storages = gathered.compactMap { $0 }
    // Another task, or the caller, may have assigned a value of another shape: the graph would read beyond it.
    let isComplete = storages.count == gathered.count && expected.allSatisfy { storages[$0.input].type.fits($0.type) }
    // A tape entry for the call needs the operands as they were: held twice, they are not overwritten.
    let operands = keepsOperands && isComplete ? tracked(arguments, storages) : nil
    let results: [Storage]
    do {
      guard isComplete else { throw changed(storages) }
      gathered.removeAll()
      if let residence { for i in donated { storages[i] = try residence.place.resident(storages[i]) } }
      results = try body(&storages)
    } catch {
      for (k, update) in updates.enumerated() {
        let storage = update.input.flatMap { isComplete ? storages[$0] : gathered[$0] }
        update.variable.finishUpdate(storage.map { Tensor($0) } ?? taken[k])
      }
      throw error
    }
    storages.removeAll()
    for update in updates { update.variable.finishUpdate(Tensor(results[update.output])) }
    for (i, destination) in program.destinations.enumerated() {
      if case .gradient(let slot) = destination { slot.stored = Tensor(results[i]) }
    }
    for slot in program.cleared { slot.stored = nil }
    return (results.prefix(resultCount).map { Tensor($0) }, operands)
  }

  /// What the inputs read now; nil for those that a run replaces, and where there is nothing.
  private func gather(_ arguments: [Tensor], _ residence: Residence?) throws -> [Storage?] {
    try program.sources.enumerated().map { i, source -> Storage? in
      switch source {
      case .argument: return arguments[i].storage
      case .variable(let variable):
        if donated.contains(i) { return nil }
        guard let residence else { return variable.stored?.storage }
        return try residence.kept({ variable.stored?.storage }, { variable.relocate($0, to: $1) })
      case .gradient(let slot):
        guard let residence else { return slot.stored?.storage }
        return try residence.kept(
          { slot.stored?.storage }, { if slot.stored?.storage === $0 { slot.stored = Tensor($1) } })
      case .capture(let tensor): return residence?.capture(i, tensor) ?? tensor.storage
      }
    }
  }

  private func changed(_ storages: [Storage]) -> ApusError {
    let names = program.graph.inputs
    if storages.count == names.count,
      let wrong = expected.first(where: { !storages[$0.input].type.fits($0.type) })
    {
      return ApusError(
        .shape,
        "\(program.name): \(names[wrong.input].name) is \(storages[wrong.input].type) now, and the program was made for "
          + "\(wrong.type)")
    }
    return ApusError(.argument, "\(program.name): a variable or gradient that it reads has no value now")
  }

  /// The inputs of one call with their places on the tape.
  private func tracked(_ arguments: [Tensor], _ storages: [Storage]) -> [Tensor] {
    program.sources.enumerated().map { i, source in
      switch source {
      case .argument: arguments[i]
      case .variable(let variable): Tensor(storages[i], node: (variable as? Parameter)?.trackedLeaf)
      case .gradient: Tensor(storages[i])
      case .capture(let tensor): tensor
      }
    }
  }

  // MARK: An evaluation over tensors

  /// The tensors that the graph's inputs stand for now, inside a trace too.
  func operands(_ arguments: [Tensor]) -> [Tensor] {
    program.sources.enumerated().map { i, source in
      switch source {
      case .argument: arguments[i]
      case .variable(let variable): (variable as? Parameter)?.tensor ?? variable.value
      case .gradient(let slot): slot.gradient ?? zeros(i)
      case .capture(let tensor): tensor
      }
    }
  }

  private func zeros(_ input: Int) -> Tensor {
    let type = program.graph.type(program.graph.inputs[input].value)
    return Tensor.zeros(type.shape, dtype: type.dtype)
  }

  /// Puts the state that an evaluation of the graph gave back into its variables.
  func write(_ outputs: [Tensor]) {
    for (destination, value) in zip(program.destinations, outputs) {
      switch destination {
      case .result: continue
      case .variable(let variable): variable.value = value
      case .gradient(let slot): slot.gradient = value
      }
    }
    for slot in program.cleared { slot.gradient = nil }
  }
}
