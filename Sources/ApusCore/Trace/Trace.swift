/// A graph under construction: the operations a function performs on symbolic tensors.
///
/// A trace writes no variable. Reads make graph inputs; writes go to an overlay that becomes graph outputs, so a trace
/// that fails leaves nothing behind. It belongs to one thread for as long as it runs.
final class Trace: @unchecked Sendable {
  private(set) var graph: Graph
  let parent: Trace?
  /// Today's sizes of the symbolic dimensions.
  let sizes: [String: Int]
  private(set) var variables: [VariableUse] = []
  private var variableIndex: [ObjectIdentifier: Int] = [:]
  private(set) var gradients: [GradientUse] = []
  private var gradientIndex: [ObjectIdentifier: Int] = [:]
  /// Tensors of an enclosing trace, or tracked ones, that the function captured: fed as inputs.
  private(set) var captures: [Tensor] = []
  private var lifted: [Lifted: (tensor: Tensor, id: ValueID)] = [:]
  /// Where the gradients of arguments would go.
  private var argumentSlots: Set<ObjectIdentifier> = []
  /// Conditions under which the graph stands for the function.
  private var guards = Program.Guards()
  private var guarded: Set<ObjectIdentifier> = []
  /// What variables are called in the models that were called.
  private var names: [ObjectIdentifier: String] = [:]
  /// Those who said so already.
  private var namers: [ObjectIdentifier: AnyObject] = [:]
  /// What is worth finding once a trace, with the object it is about.
  private var notes: [ObjectIdentifier: (object: AnyObject, note: any Sendable)] = [:]
  /// Whether a value that depends on a leaf was assigned to a variable.
  var writesTracked = false
  private var scopes: [String] = []
  private var finished = false

  /// A tensor from outside. The same values with and without a place on the tape are two inputs.
  private struct Lifted: Hashable {
    let storage: ObjectIdentifier
    let node: ObjectIdentifier?
    let outputIndex: Int32

    init(_ tensor: Tensor) {
      storage = ObjectIdentifier(tensor.storage)
      node = tensor.node.map { ObjectIdentifier($0.onTape) }
      outputIndex = tensor.outputIndex
    }
  }

  struct VariableUse {
    let variable: Variable
    /// The input that holds the value from before; nil when it was written without being read.
    let input: ValueID?
    var current: Tensor
    var isWritten = false
  }
  struct GradientUse {
    let slot: GradientSlot
    /// The input that holds the gradient from before, where there was one.
    let input: ValueID?
    var current: Tensor?
    /// Whether the graph depends on there having been a gradient, or none.
    var isRead = true
    var isWritten = false
  }

  init(name: String, sizes: [String: Int] = [:], parent: Trace?) {
    graph = Graph(name: name)
    self.sizes = sizes
    self.parent = parent
  }

  func addInput(_ name: String, _ type: TensorType, requiresGradient: Bool) -> Tensor {
    let input = symbolic(graph.addInput(name, type))
    guard requiresGradient else { return input }
    let slot = GradientSlot()
    argumentSlots.insert(ObjectIdentifier(slot))
    return Tensor(input.storage, node: TapeNode(leaf: slot))
  }

  private func symbolic(_ id: ValueID) -> Tensor {
    Tensor(Storage(graph.type(id), valueless: .symbolic(SymbolicValue(trace: self, id: id))))
  }

  func record(_ primitive: Primitive, _ operands: [Tensor], _ types: [TensorType]) throws -> [Storage] {
    let ids = try operands.map(value)
    let isDetached = !ExecutionContext.recordsGradients && operands.contains { $0.node != nil }
    let site = primitive.canFail ? CallSite.here() : nil
    return graph.append(primitive, ids, types, scope: scopes.last ?? "", isDetached: isDetached, site: site).map { id in
      Storage(graph.type(id), valueless: .symbolic(SymbolicValue(trace: self, id: id)))
    }
  }

  /// The graph value that stands for a tensor: its own, a constant, or a capture.
  func value(_ tensor: Tensor) throws -> ValueID {
    let storage = tensor.storage
    if let symbolic = storage.symbolic, symbolic.trace === self {
      if finished { throw Trace.leaked(tensor) }
      return symbolic.id
    }
    let key = Lifted(tensor)
    if let known = lifted[key] { return known.id }
    let id: ValueID
    if let symbolic = storage.symbolic {
      guard isAncestor(symbolic.trace) else { throw Trace.leaked(tensor) }
      id = capture(tensor)
    } else if tensor.node != nil {
      id = capture(tensor)
    } else {
      id = graph.addConstant(tensor)
    }
    lifted[key] = (tensor, id)
    return id
  }

  private func capture(_ tensor: Tensor) -> ValueID {
    captures.append(tensor)
    return graph.makeValue(.tensor(tensor.type))
  }

  private func isAncestor(_ other: Trace) -> Bool {
    var trace = parent
    while let candidate = trace {
      if candidate === other { return !other.finished }
      trace = candidate.parent
    }
    return false
  }

  static func leaked(_ tensor: Tensor) -> ApusError {
    ApusError(
      .trace,
      "a symbolic tensor was used outside the trace that made it: return it from the function instead of storing it",
      operands: [tensor.type])
  }

  // MARK: State

  func read(_ variable: Variable) -> Tensor {
    if let i = variableIndex[ObjectIdentifier(variable)] { return variables[i].current }
    guard let value = parent.map({ $0.read(variable) }) ?? variable.stored else {
      return Dispatch.fail(
        ApusError(.argument, "a variable was read before its shape is known: call the model once, or give its sizes"),
        type: TensorType(.float32, []))
    }
    let id = graph.makeValue(.tensor(value.type))
    let current = symbolic(id)
    variableIndex[ObjectIdentifier(variable)] = variables.count
    variables.append(VariableUse(variable: variable, input: id, current: current))
    return current
  }

  func write(_ variable: Variable, _ value: Tensor) {
    if let i = variableIndex[ObjectIdentifier(variable)] {
      variables[i].current = value
      variables[i].isWritten = true
    } else {
      variableIndex[ObjectIdentifier(variable)] = variables.count
      variables.append(VariableUse(variable: variable, input: nil, current: value, isWritten: true))
    }
  }

  /// Whether what has been traced so far assigns the variable.
  func hasWritten(_ variable: Variable) -> Bool {
    variableIndex[ObjectIdentifier(variable)].map { variables[$0].isWritten } == true
      || parent?.hasWritten(variable) == true
  }

  func gradient(of slot: GradientSlot) -> Tensor? {
    if let i = gradientIndex[ObjectIdentifier(slot)] { return gradients[i].current }
    let before = if let parent { parent.gradient(of: slot) } else { slot.stored }
    let id = before.map { graph.makeValue(.tensor($0.type)) }
    gradientIndex[ObjectIdentifier(slot)] = gradients.count
    gradients.append(GradientUse(slot: slot, input: id, current: id.map(symbolic)))
    return gradients.last?.current
  }

  func setGradient(of slot: GradientSlot, _ value: Tensor?) {
    if argumentSlots.contains(ObjectIdentifier(slot)) {
      return Dispatch.report(
        ApusError(
          .trace, "the gradient of an argument can't be set from inside a compiled function: return gradient(at:) of it"
        ))
    }
    if let i = gradientIndex[ObjectIdentifier(slot)] {
      gradients[i].current = value
      gradients[i].isWritten = true
    } else {
      // Set before it is read (`zeroGradients` at a step's start): what was there before does not matter.
      gradientIndex[ObjectIdentifier(slot)] = gradients.count
      gradients.append(GradientUse(slot: slot, input: nil, current: value, isRead: false, isWritten: true))
    }
  }

  // MARK: Conditions

  func addGuard(_ condition: @escaping @Sendable () -> Bool) {
    guards.conditions.append(condition)
    parent?.addGuard(condition)
  }

  /// The graph holds only while the parameter's trainability stays.
  func guardTrainable(_ value: Bool, owner: Parameter) {
    guard guarded.insert(ObjectIdentifier(owner)).inserted else { return }
    addGuard { [weak owner] in owner?.isTrainable == value }
  }

  /// Reads a symbolic dimension as a number, which fixes it.
  static func specialise(_ dim: Dim) -> Int {
    if let trace = ExecutionContext.current?.trace { return trace.fix(dim) }
    Dispatch.report(
      ApusError(.trace, "the size \(dim) is symbolic: its number is known only when the graph runs; use dimension(_:)"))
    return 0
  }

  private func fix(_ dim: Dim) -> Int {
    if let size = dim.resolved(sizes) {
      if guards.specialisations.updateValue(size, forKey: dim) == nil {
        Diagnostics.debug(
          "\(graph.name): size \(dim) was read as an Int and is fixed to \(size); use dimension(_:) to keep it symbolic"
        )
      }
      return size
    }
    if let parent { return parent.fix(dim) }
    Dispatch.report(ApusError(.trace, "the size \(dim) is not bound in this trace"))
    return 0
  }

  // MARK: Scopes

  func pushScope(_ name: String) { scopes.append(scopes.last.map { "\($0).\(name)" } ?? name) }
  func popScope() { scopes.removeLast() }

  // MARK: Names

  /// Says what variables are called, once for each who knows; the first name stays.
  func name(by owner: AnyObject, _ variables: () -> [(name: String, variable: Variable)]) {
    guard namers.updateValue(owner, forKey: ObjectIdentifier(owner)) == nil else { return }
    for (name, variable) in variables() {
      let key = ObjectIdentifier(variable)
      if names[key] == nil { names[key] = name }
    }
  }

  /// What `make` gives, made once a trace for an object.
  func note<T: Sendable>(_ object: AnyObject, _ make: () -> T) -> T {
    let key = ObjectIdentifier(object)
    if let known = notes[key]?.note as? T { return known }
    let made = make()
    notes[key] = (object, made)
    return made
  }

  private func name(of variable: Variable) -> String? {
    names[ObjectIdentifier(variable)] ?? parent?.name(of: variable)
  }

  // MARK: Finishing

  /// Closes the trace. Inputs are arguments, variables, gradients, captures; outputs are results, variables, gradients.
  func finish(_ outputs: [(name: String, tensor: Tensor)]) throws -> Program {
    // Lifting an output may add constants or captures, so that comes first.
    let results = try outputs.map { (name: $0.name, value: try value($0.tensor)) }
    var writes: [(name: String, value: ValueID, destination: Program.Destination)] = []
    for (i, use) in variables.enumerated() where use.isWritten {
      let name = name(of: use.variable) ?? "variable.\(i)"
      writes.append(("next.\(name)", try value(use.current), .variable(use.variable)))
    }
    var cleared: [GradientSlot] = []
    for (i, use) in gradients.enumerated() where use.isWritten {
      if let current = use.current {
        writes.append(("next.gradient.\(i)", try value(current.untracked), .gradient(use.slot)))
      } else {
        cleared.append(use.slot)
      }
    }
    var ports = Ports(graph)
    for (i, use) in variables.enumerated() {
      guard let input = use.input else { continue }
      ports.addInput(name(of: use.variable) ?? "variable.\(i)", input, .variable(use.variable))
    }
    for (i, use) in gradients.enumerated() {
      if let input = use.input { ports.addInput("gradient.\(i)", input, .gradient(use.slot)) }
    }
    for (i, tensor) in captures.enumerated() {
      if let id = lifted[Lifted(tensor)]?.id { ports.addInput("capture.\(i)", id, .capture(tensor)) }
    }
    for (name, value) in results { ports.addOutput(name, value, .result) }
    for (name, value, destination) in writes { ports.addOutput(name, value, destination) }
    finished = true
    var guards = guards
    guards.absent = gradients.filter { $0.input == nil && $0.isRead }.map(\.slot)
    return Program(
      ports.graph, sources: ports.sources, destinations: ports.destinations, cleared: cleared, guards: guards,
      writesTracked: writesTracked)
  }

  /// Ports in the making, each under a name of its own.
  private struct Ports {
    var graph: Graph
    var sources: [Program.Source]
    var destinations: [Program.Destination] = []
    private var taken: Set<String>

    init(_ graph: Graph) {
      self.graph = graph
      sources = graph.inputs.map { _ in .argument }
      taken = Set(graph.inputs.map(\.name))
    }

    mutating func addInput(_ name: String, _ value: ValueID, _ source: Program.Source) {
      graph.inputs.append(.init(name: unique(name), value: value))
      sources.append(source)
    }

    mutating func addOutput(_ name: String, _ value: ValueID, _ destination: Program.Destination) {
      graph.addOutput(unique(name), value)
      destinations.append(destination)
    }

    /// Two models in one function may both have a `weight`.
    private mutating func unique(_ name: String) -> String {
      var candidate = name
      var number = 2
      while !taken.insert(candidate).inserted {
        candidate = "\(name).\(number)"
        number += 1
      }
      return candidate
    }
  }

  /// Frees what a finished trace no longer needs; symbolic tensors may outlive it.
  func clear() {
    finished = true
    graph = Graph(name: graph.name)
    variables = []
    gradients = []
    captures = []
    lifted = [:]
    namers = [:]
    notes = [:]
  }
}
