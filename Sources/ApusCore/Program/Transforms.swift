/// Forward mode: the value of `f` and its directional derivative (Jacobian-vector product) along `tangent`.
///
/// ```swift
/// try jvp(at: Tensor(2.0), tangent: Tensor(1.0)) { $0 ** 3 }      // value 8, tangent 12
/// ```
/// - Parameters:
///   - x: the point.
///   - tangent: the direction, of `x`'s dtype and shape.
///   - file: the caller's file, named by an error where the failing line itself can't be found.
///   - line: the caller's line, named with the file.
///   - f: the function; its result may have any shape.
/// - Returns: f(x), and its derivative along the tangent: J·tangent, of f(x)'s shape.
/// - Throws: ``ApusError`` when an operation fails or shapes don't fit; what `f` throws.
public func jvp(
  at x: Tensor, tangent: Tensor, file: StaticString = #fileID, line: UInt = #line, _ f: (Tensor) throws -> Tensor
) throws -> (value: Tensor, tangent: Tensor) {
  guard x.type == tangent.type else {
    throw ApusError(
      .shape, "the tangent must be of the point's type", operation: "jvp", operands: [x.type, tangent.type])
  }
  // Recorded as for `backward`, so that the graph shows where `f` cuts gradients.
  let place = CallPlace(file, line, mark: 0)
  let program = try Program.capture(
    name: "jvp", [x.type], requiresGradient: [x.dtype.isFloatingPoint], place: place
  ) { inputs in
    try ExecutionContext.with({
      $0.gradientEnabled = true
      $0.overlay = .rememberingAssignments(in: $0.overlay)
    }) { [try f(inputs[0])] }
  }
  typealias Dual = (value: Tensor, tangent: Tensor?)
  let state = ProgramState(program)
  let operands = state.operands([x])
  let duals = operands.enumerated().map { i, value -> Dual in (value, i == 0 ? tangent : nil) }
  // The rules are written in operators, which trap outside `checked`.
  let results = try checked {
    try program.graph.evaluate(duals, constant: { ($0, nil) }) { primitive, operands, node -> [Dual] in
      let outputs = try node.running { try Dispatch.tryRun(primitive, operands.map(\.value)) }
      guard !node.isDetached, operands.contains(where: { $0.tangent != nil }) else { return outputs.map { ($0, nil) } }
      let context = JVPContext(inputs: operands.map(\.value), outputs: outputs, tangents: operands.map(\.tangent))
      let tangents = primitive.definition.jvp(context)
      return zip(outputs, tangents).map { ($0, $1) }
    }
  }
  state.write(results.map(\.value))
  return (results[0].value, results[0].tangent ?? Tensor.zerosLike(results[0].value))
}

/// Maps a function of one example over the leading axis of its operands (`jax.vmap`): the body sees tensors without
/// that axis, and each primitive's batching rule adds it back.
///
/// ```swift
/// let perExample = vectorized { (x: Tensor) in (x * x).sum() }
/// try perExample(Tensor.ones([32, 10]))     // float32[32]
/// ```
/// - Returns: the mapped function. It throws ``ApusError``: (shape) for an operand without a leading axis, (argument)
///   when `f` writes state; and what `f` throws.
public func vectorized(
  file: StaticString = #fileID, line: UInt = #line, _ f: @escaping @Sendable (Tensor) throws -> Tensor
) -> @Sendable (Tensor) throws -> Tensor {
  let mapped = vectorized(file: file, line: line) { (inputs: [Tensor]) in [try f(inputs[0])] }
  return { x in try mapped([x])[0] }
}

/// Maps a function of two operands over the leading axis of both.
/// - Returns: the mapped function. It throws ``ApusError``: (shape) unless both have the same leading size, (argument)
///   when `f` writes state; and what `f` throws.
public func vectorized(
  file: StaticString = #fileID, line: UInt = #line, _ f: @escaping @Sendable (Tensor, Tensor) throws -> Tensor
) -> @Sendable (Tensor, Tensor) throws -> Tensor {
  let mapped = vectorized(file: file, line: line) { (inputs: [Tensor]) in [try f(inputs[0], inputs[1])] }
  return { x, y in try mapped([x, y])[0] }
}

/// Maps a function of several operands over the leading axis of each.
/// - Returns: the mapped function. It throws ``ApusError``: (shape) unless all have the same leading size, (argument)
///   when `f` writes state; and what `f` throws.
public func vectorized(
  file: StaticString = #fileID, line: UInt = #line, _ f: @escaping @Sendable ([Tensor]) throws -> [Tensor]
) -> @Sendable ([Tensor]) throws -> [Tensor] {
  { inputs in
    guard let size = inputs.first?.shape.first.map({ _ in inputs[0].shape.dim(0) }) else {
      throw ApusError(
        .shape, "every operand needs a leading axis", operation: "vectorized", operands: inputs.map(\.type))
    }
    for x in inputs where x.rank == 0 || x.shape.dim(0) != size {
      throw ApusError(
        .shape, "every operand must have the leading size \(size)", operation: "vectorized",
        operands: inputs.map(\.type))
    }
    let types = inputs.map { $0.type.with(shape: $0.shape.dropping(0)) }
    let program = try Program.capture(
      name: "vectorized", types, requiresGradient: inputs.map(\.requiresGradient),
      place: CallPlace(file, line, mark: 0), f)
    guard !program.writesState else {
      throw ApusError(
        .argument, "the mapped function writes state, which has no meaning for each example", operation: "vectorized")
    }
    typealias Mapped = (tensor: Tensor, isBatched: Bool)
    let operands = ProgramState(program).operands(inputs).enumerated().map { i, t -> Mapped in (t, i < inputs.count) }
    let results = try checked {
      try program.graph.evaluate(operands, constant: { ($0, false) }) {
        primitive, operands, node -> [Mapped] in
        guard operands.contains(where: \.isBatched) else {
          return try node.running { try Dispatch.tryRun(primitive, operands.map(\.tensor)) }.map { ($0, false) }
        }
        let context = BatchContext(inputs: operands.map(\.tensor), isBatched: operands.map(\.isBatched), size: size)
        // A rule may hand its operand on, with the place on the tape that it has.
        return primitive.definition.batch(context).map { (node.isDetached ? $0.detached() : $0, true) }
      }
    }
    return results.map { value in
      value.isBatched ? value.tensor : value.tensor.broadcast(to: value.tensor.shape.inserting(size, at: 0))
    }
  }
}
