/// The one door through which every operation goes: type rule, views, trace or engine, gradient tape, errors.
enum Dispatch {
  // MARK: Element-wise, the short way

  /// One operand. Where nothing watches, with a plain operand, nothing but the result is allocated.
  @inline(__always)
  static func unary(_ primitive: Primitive, _ x: consuming Tensor) -> Tensor {
    if ExecutionContext.isEager, x.storage.isConcrete, x.dtype.isFloatingPoint {
      let reuse = x.node == nil && isKnownUniquelyReferenced(&x.storage) && x.storage.isReusable
      if let result = try? Engines.embedded.executeUnary(primitive, x.storage, output: x.type, reuse: reuse) {
        if x.node == nil || !ExecutionContext.recordsGradients { return Tensor(result) }
        return track(primitive, x, result: result)
      }
    }
    return run(primitive, [x])[0]
  }

  /// Two operands, already of equal type.
  @inline(__always)
  static func binary(_ primitive: Primitive, _ a: consuming Tensor, _ b: consuming Tensor) -> Tensor {
    if ExecutionContext.isEager, a.storage.isConcrete, b.storage.isConcrete {
      var reuse = ReusableOperand.none
      // A tracked result may have saved either operand.
      if a.node == nil, b.node == nil {
        if isKnownUniquelyReferenced(&a.storage), a.storage.isReusable {
          reuse = .first
        } else if isKnownUniquelyReferenced(&b.storage), b.storage.isReusable {
          reuse = .second
        }
      }
      if let result = try? Engines.embedded.executeBinary(
        primitive, a.storage, b.storage, output: a.type, reuse: reuse)
      {
        if a.node == nil && b.node == nil || !ExecutionContext.recordsGradients { return Tensor(result) }
        return track(primitive, a, b, result: result)
      }
    }
    return run(primitive, [a, b])[0]
  }

  // MARK: The long way

  /// Runs a primitive; errors trap, or are recorded inside `checked` and traces.
  static func run(_ primitive: Primitive, _ inputs: [Tensor]) -> [Tensor] {
    do {
      return try tryRun(primitive, inputs)
    } catch {
      return fail(error, primitive, inputs)
    }
  }

  static func one(_ primitive: Primitive, _ inputs: Tensor...) -> Tensor { run(primitive, inputs)[0] }

  /// Runs a primitive.
  /// - Throws: ``ApusError`` naming the operation and its operands.
  static func tryRun(_ primitive: Primitive, _ inputs: [Tensor]) throws -> [Tensor] {
    let context = ExecutionContext.current
    let types = inputs.map(\.type)
    let definition = primitive.definition
    if inputs.contains(where: { $0.isPoisoned }) {
      // Its own block recorded why; one that escaped from another block is an error here.
      guard let recorder = context?.recorder, recorder.first != nil else {
        throw ApusError(.argument, "an operand is the result of an operation that failed inside `checked`").at(
          definition.name, types)
      }
      try? recorder.countOperation()
      let outputs = (try? definition.infer(types)) ?? [TensorType(.float32, [])]
      return outputs.map { Tensor.poisoned($0) }
    }
    try context?.recorder?.countOperation()
    let outputTypes: [TensorType]
    do {
      outputTypes = try definition.infer(types)
    } catch let error as ApusError {
      throw error.at(definition.name, types)
    }
    var results: [Storage]
    if let trace = context?.trace, inputs.isEmpty || inputs.contains(where: \.isSymbolic) {
      results = try trace.record(primitive, inputs, outputTypes)
    } else {
      if inputs.contains(where: \.isSymbolic) {
        throw ApusError(
          .trace,
          "a symbolic tensor was used outside the trace that made it: return it from the compiled function instead of storing it"
        ).at(definition.name, types)
      }
      do {
        results =
          try ViewRules.view(primitive, inputs, outputTypes)
          ?? Engines.computing(inputs).execute(primitive, inputs.map(\.storage), outputs: outputTypes)
      } catch let error as ApusError {
        throw error.at(definition.name, types)
      }
      if context?.detectsAnomalies == true { try Anomaly.check(definition.name, inputs, results, types) }
    }
    return track(primitive, definition, inputs, results: results)
  }

  // MARK: Tape

  private static func track(
    _ primitive: Primitive, _ definition: any PrimitiveDefinition, _ inputs: [Tensor], results: [Storage]
  ) -> [Tensor] {
    guard inputs.contains(where: { $0.node != nil }), ExecutionContext.recordsGradients,
      definition.isDifferentiable
    else { return results.map { Tensor($0) } }
    let keep = definition.residuals
    var saved = TapeNode.Saved()
    for (i, input) in inputs.enumerated() where keep.keepsInput(i) { saved.setInput(i, input.storage) }
    if keep.contains(.outputs) { saved.outputs = results }
    if keep.contains(.types) { saved.types = inputs.map(\.type) }
    func edge(_ i: Int) -> TapeNode.Edge {
      i < inputs.count ? TapeNode.Edge(inputs[i]) : TapeNode.Edge()
    }
    let node = TapeNode(
      primitive, edges: (edge(0), edge(1), edge(2)), more: inputs.count > 3 ? (3..<inputs.count).map(edge) : [],
      count: inputs.count, saved: saved)
    return results.enumerated().map { i, storage in
      // Integer outputs beside differentiable ones (a random state) carry no gradient.
      storage.dtype.isFloatingPoint ? Tensor(storage, node: node, outputIndex: Int32(i)) : Tensor(storage)
    }
  }

  /// The short way's tape entry: element-wise, one operand.
  private static func track(_ primitive: Primitive, _ x: Tensor, result: Storage) -> Tensor {
    let definition = primitive.definition
    if !definition.isDifferentiable { return Tensor(result) }
    let keep = definition.residuals
    var saved = TapeNode.Saved()
    if keep.contains(.input0) { saved.input0 = x.storage }
    if keep.contains(.outputs) { saved.outputs = [result] }
    let edges = (TapeNode.Edge(x), TapeNode.Edge(), TapeNode.Edge())
    return Tensor(result, node: TapeNode(primitive, edges: edges, count: 1, saved: saved))
  }

  private static func track(_ primitive: Primitive, _ a: Tensor, _ b: Tensor, result: Storage) -> Tensor {
    let keep: Residuals
    switch primitive {
    case .add, .subtract: keep = []
    case .multiply: keep = [.input0, .input1]
    case .power: keep = Primitive.Power().residuals
    default:
      let definition = primitive.definition
      if !definition.isDifferentiable { return Tensor(result) }
      keep = definition.residuals
    }
    var saved = TapeNode.Saved()
    if keep.contains(.input0) { saved.input0 = a.storage }
    if keep.contains(.input1) { saved.input1 = b.storage }
    if keep.contains(.outputs) { saved.outputs = [result] }
    let edges = (TapeNode.Edge(a), TapeNode.Edge(b), TapeNode.Edge())
    return Tensor(result, node: TapeNode(primitive, edges: edges, count: 2, saved: saved))
  }

  // MARK: Errors

  /// Inside `checked` or a trace: records the first error and returns poisoned tensors. Elsewhere: traps with it.
  static func fail(_ error: any Error, _ primitive: Primitive, _ inputs: [Tensor]) -> [Tensor] {
    let types =
      (try? primitive.definition.infer(inputs.map(\.type))) ?? [inputs.first?.type ?? TensorType(.float32, [])]
    return types.map { fail(error, type: $0) }
  }

  static func fail(_ error: any Error, type: TensorType) -> Tensor {
    report(error)
    return Tensor.poisoned(type)
  }

  @inline(never)
  static func report(_ error: any Error) {
    guard let recorder = ExecutionContext.current?.recorder else {
      fatalError("\((error as? ApusError)?.from(.here()) ?? error)")
    }
    recorder.record(error)
  }

  /// Runs a throwing body; an error is recorded or traps.
  static func reporting(_ body: () throws -> Void) {
    do {
      try body()
    } catch {
      report(error)
    }
  }
}

extension Tensor {
  static func poisoned(_ type: TensorType) -> Tensor { Tensor(Storage(type, valueless: .poisoned)) }
  var isPoisoned: Bool { if case .poisoned = storage.content { true } else { false } }
}

/// Applies a primitive by hand: what engines' and passes' authors use. Users call the operations' own names.
///
/// ```swift
/// try apply(.add, [x, y])[0]      // x + y, without promotion and broadcasting
/// ```
/// - Returns: the primitive's results.
/// - Throws: ``ApusError`` when the operands don't fit, or the engine can't compute them.
public func apply(_ primitive: Primitive, _ operands: [Tensor]) throws -> [Tensor] {
  try Dispatch.tryRun(primitive, operands)
}
