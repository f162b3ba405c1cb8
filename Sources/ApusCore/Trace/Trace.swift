import Synchronization

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
  private(set) var guards: [@Sendable () -> Bool] = []
  private var guarded: Set<ObjectIdentifier> = []
  /// Sizes that were read as `Int` and are thereby fixed.
  private(set) var specialisations: [Dim: Int] = [:]
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
      node = tensor.node.map { ObjectIdentifier($0) }
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
    return Tensor(input.storage, node: Node(leaf: slot))
  }

  private func symbolic(_ id: ValueID) -> Tensor {
    Tensor(Storage(graph.type(id), valueless: .symbolic(SymbolicValue(trace: self, id: id))))
  }

  func record(_ primitive: Primitive, _ operands: [Tensor], _ types: [TensorType]) throws -> [Storage] {
    let ids = try operands.map(value)
    let isDetached = !ExecutionContext.recordsGradients && operands.contains { $0.node != nil }
    return graph.append(primitive, ids, types, scope: scopes.last ?? "", isDetached: isDetached).map { id in
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
    guards.append(condition)
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
      if specialisations.updateValue(size, forKey: dim) == nil {
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

  // MARK: Finishing

  /// Closes the trace: ports in the order inputs, variables, gradients, captures → outputs, written variables,
  /// gradients.
  func finish(_ outputs: [(name: String, tensor: Tensor)]) throws -> CapturedGraph {
    var captured = graph
    let userInputs = graph.inputs.count
    let read = variables.compactMap { use in use.input.map { (variable: use.variable, input: $0) } }
    for (i, use) in read.enumerated() { captured.inputs.append(.init(name: "variable.\(i)", value: use.input)) }
    var readGradients: [GradientSlot] = []
    for (i, use) in gradients.enumerated() {
      if let id = use.input {
        captured.inputs.append(.init(name: "gradient.\(i)", value: id))
        readGradients.append(use.slot)
      }
    }
    // Lifting an output may add constants or captures: values first, then the graph's copy is brought up to date.
    let outputIDs = try outputs.map { try value($0.tensor) }
    var written: [(Variable, ValueID)] = []
    for use in variables where use.isWritten { written.append((use.variable, try value(use.current))) }
    var writtenGradients: [(GradientSlot, ValueID)] = []
    var clearedGradients: [GradientSlot] = []
    for use in gradients where use.isWritten {
      if let current = use.current {
        writtenGradients.append((use.slot, try value(current.untracked)))
      } else {
        clearedGradients.append(use.slot)
      }
    }
    captured.values = graph.values
    captured.constants = graph.constants
    captured.nodes = graph.nodes
    for (i, tensor) in captures.enumerated() {
      if let id = lifted[Lifted(tensor)]?.id {
        captured.inputs.append(.init(name: "capture.\(i)", value: id))
      }
    }
    for (port, id) in zip(outputs, outputIDs) { captured.addOutput(port.name, id) }
    for (i, entry) in written.enumerated() { captured.addOutput("next.variable.\(i)", entry.1) }
    for (i, entry) in writtenGradients.enumerated() { captured.addOutput("next.gradient.\(i)", entry.1) }
    finished = true
    return CapturedGraph(
      graph: captured, inputCount: userInputs, outputCount: outputs.count, variables: read.map(\.variable),
      variableTypes: read.map { graph.type($0.input) }, written: written.map(\.0), readGradients: readGradients,
      readGradientTypes: gradients.compactMap { $0.input.map { graph.type($0) } },
      absentGradients: gradients.filter { $0.input == nil && $0.isRead }.map(\.slot),
      writtenGradients: writtenGradients.map(\.0),
      clearedGradients: clearedGradients, captures: captures, guards: guards, specialisations: specialisations,
      writesTracked: writesTracked)
  }

  /// Frees what a finished trace no longer needs; symbolic tensors may outlive it.
  func clear() {
    finished = true
    graph = Graph(name: graph.name)
    variables = []
    gradients = []
    captures = []
    lifted = [:]
  }
}

/// A function as a graph, and the state it reads and writes.
struct CapturedGraph: Sendable {
  var graph: Graph
  let inputCount: Int
  let outputCount: Int
  let variables: [Variable]
  let variableTypes: [TensorType]
  let written: [Variable]
  let readGradients: [GradientSlot]
  let readGradientTypes: [TensorType]
  let absentGradients: [GradientSlot]
  let writtenGradients: [GradientSlot]
  let clearedGradients: [GradientSlot]
  let captures: [Tensor]
  let guards: [@Sendable () -> Bool]
  let specialisations: [Dim: Int]
  let writesTracked: Bool
}

extension CapturedGraph {
  /// Traces `body` on symbolic inputs of the given types.
  static func capture(
    name: String, _ types: [TensorType], names: [String]? = nil, requiresGradient: [Bool] = [],
    sizes: [String: Int] = [:], _ body: ([Tensor]) throws -> [Tensor]
  ) throws -> CapturedGraph {
    let context = ExecutionContext.current
    let trace = Trace(name: name, sizes: sizes, parent: context?.trace)
    defer { trace.clear() }
    let inputs = types.enumerated().map { i, type in
      trace.addInput(
        names?[i] ?? "input.\(i)", type, requiresGradient: i < requiresGradient.count && requiresGradient[i])
    }
    let recorder = ErrorRecorder(operationLimit: 10_000_000, location: name)
    return try ExecutionContext.with({
      $0.trace = trace
      $0.recorder = recorder
      $0.overlay = .tracing(in: $0.overlay)
    }) {
      let outputs: [Tensor]
      do {
        outputs = try body(inputs)
      } catch {
        throw recorder.first ?? error
      }
      if let error = recorder.first { throw error }
      return try trace.finish(outputs.enumerated().map { ("output.\($0)", $1) })
    }
  }
}

/// Runs `body` outside the current trace: what it computes is computed now. Layers whose sizes are inferred make their
/// parameters so. Without a trace it just runs `body`.
public func outsideTrace<R>(_ body: () throws -> R) rethrows -> R {
  guard ExecutionContext.current?.trace != nil else { return try body() }
  return try ExecutionContext.with({ $0.trace = nil }, body)
}

/// Whether what runs now is recorded for a compiled function.
package var isTracing: Bool { ExecutionContext.current?.trace != nil }

/// Says that the graph being traced stands for its function only while `condition` holds: for Swift state that is read
/// in it. Without a trace nothing.
package func traceHolds(while condition: @escaping @Sendable () -> Bool) {
  ExecutionContext.current?.trace?.addGuard(condition)
}

extension Variable {
  /// Whether the function being traced has assigned it: its value then is not the one it has outside.
  package var isWrittenInTrace: Bool { ExecutionContext.current?.trace?.hasWritten(self) == true }
}

/// Names the operations of `body` in graphs and pictures; nested names are joined with dots. Free when not tracing.
///
/// ```swift
/// withScope("encoder") { withScope("attention") { x.matmul(y) } }      // encoder.attention
/// ```
@inline(__always)
public func withScope<R>(_ name: @autoclosure () -> String, _ body: () throws -> R) rethrows -> R {
  guard let trace = ExecutionContext.current?.trace else { return try body() }
  trace.pushScope(name())
  defer { trace.popScope() }
  return try body()
}

/// A flag that may change between runs of a compiled function, as a module's training mode: reading it in a trace makes
/// the graph valid for that value only.
public final class Mode: Sendable {
  private let flag: Atomic<Bool>
  /// A flag and its first value.
  public init(_ value: Bool) { flag = Atomic(value) }

  /// The flag now. Read inside a trace, it makes the graph valid for this value only.
  public var value: Bool {
    get {
      let value = flag.load(ordering: .relaxed)
      if let trace = ExecutionContext.current?.trace {
        trace.addGuard { [self] in flag.load(ordering: .relaxed) == value }
      }
      return value
    }
    set { flag.store(newValue, ordering: .relaxed) }
  }
}
