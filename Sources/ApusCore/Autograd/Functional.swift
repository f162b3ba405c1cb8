/// The gradient of a scalar-valued function at a point.
///
/// ```swift
/// gradient(at: Tensor(2.0)) { $0 ** 3 }                             // 12
/// gradient(at: Tensor(2.0)) { gradient(at: $0) { $0 ** 3 } }        // second derivative: 12
/// ```
/// What `f` uses besides its argument (parameters, tensors that require gradients) stays on the tape: the result depends
/// on it, and `backward` of a penalty on the gradient reaches a model's parameters. Inside ``withoutGradients(_:)``, with
/// frozen parameters, or after `detached()` it does not. Values assigned to variables inside `f` are differentiated
/// through, see ``Variable/value``.
/// - Parameters:
///   - x: a floating-point tensor; others: error (gradient).
///   - f: the function; its result has one element, otherwise error (gradient).
/// - Returns: df/dx, of `x`'s dtype and shape; zeros where f does not depend on it.
public func gradient(at x: Tensor, _ f: (Tensor) throws -> Tensor) rethrows -> Tensor {
  try valueAndGradient(at: x, f).gradient
}

/// The gradients of a scalar-valued function of two tensors, one of each one's shape.
///
/// ```swift
/// let (dx, dy) = gradient(at: Tensor(2.0), Tensor(3.0)) { x, y in x * y }      // 3, 2
/// ```
public func gradient(
  at x: Tensor, _ y: Tensor, _ f: (Tensor, Tensor) throws -> Tensor
) rethrows -> (Tensor, Tensor) {
  let (_, gradients) = try valueAndGradients(at: [x, y]) { try f($0[0], $0[1]) }
  return (gradients[0], gradients[1])
}

/// The value and the gradient of a scalar-valued function, from one run of it.
///
/// ```swift
/// let (y, dx) = valueAndGradient(at: Tensor(2.0)) { $0 ** 3 }      // 8, 12
/// ```
/// - Returns: f(x) and df/dx, as ``gradient(at:_:)`` gives it; both depend on what `f` uses besides its argument.
public func valueAndGradient(
  at x: Tensor, _ f: (Tensor) throws -> Tensor
) rethrows -> (value: Tensor, gradient: Tensor) {
  let (value, gradients) = try valueAndGradients(at: [x]) { try f($0[0]) }
  return (value, gradients[0])
}

/// The value and the gradients of a scalar-valued function of several tensors, from one run of it.
///
/// - Parameters:
///   - inputs: floating-point tensors.
///   - f: the function; it is given tensors with the inputs' values, in order. Its result has one element.
/// - Returns: f's value, and a gradient of each input's shape, zeros where f does not depend on it.
public func valueAndGradients(
  at inputs: [Tensor], _ f: ([Tensor]) throws -> Tensor
) rethrows -> (value: Tensor, gradients: [Tensor]) {
  try Autograd.valueAndGradients(at: inputs, recordsForLeaves: true, f)
}

extension Autograd {
  /// - Parameter recordsForLeaves: whether the gradients' own operations are recorded where `f` depends on leaves besides
  ///   its arguments; otherwise only for derivatives around this one.
  static func valueAndGradients(
    at inputs: [Tensor], recordsForLeaves: Bool, _ f: ([Tensor]) throws -> Tensor
  ) rethrows -> (value: Tensor, gradients: [Tensor]) {
    let level = ExecutionContext.current?.gradientLevel ?? 0
    // Inside `withoutGradients` nothing leads back to what the points themselves were computed from, or to parameters.
    let isRecorded = ExecutionContext.recordsGradients
    let inputs = isRecorded ? inputs : inputs.map { $0.detached() }
    let isInner = isRecorded && (level > 0 || inputs.contains { $0.requiresGradient })
    let leaves = inputs.map(watched)
    let (value, found, reachesLeaf) = try ExecutionContext.with({
      $0.gradientLevel = level + 1
      $0.gradientEnabled = true
      $0.overlay = .rememberingAssignments(in: $0.overlay)
    }) {
      let value = try f(leaves)
      let reachesLeaf = isRecorded && value.node?.reachesLeaf == true
      var found = [Tensor?](repeating: nil, count: leaves.count)
      Dispatch.reporting {
        found = try gradients(
          of: value, seed: nil, for: leaves, retainGraph: true,
          createGraph: isInner || reachesLeaf && recordsForLeaves)
      }
      return (value, found, reachesLeaf)
    }
    return (
      isInner || reachesLeaf ? value : value.detached(), zip(found, leaves).map { $0 ?? Tensor.zerosLike($1) }
    )
  }

  /// A leaf for `x` that remains connected to what `x` itself was computed from.
  static func watched(_ x: Tensor) -> Tensor {
    guard x.dtype.isFloatingPoint else { return x.requiringGradient() }
    guard x.node != nil else { return Tensor(x.storage, node: Node(leaf: nil, isPoint: true)) }
    // A reshape to its own shape is a new node over the same memory: gradients can be asked for at it.
    return Dispatch.one(.reshape(Reshape(shape: x.shape)), x)
  }
}

/// Records what happens to chosen tensors and gives their gradients (`tf.GradientTape`).
///
/// ```swift
/// let tape = GradientTape()
/// let (y, dx) = tape.watch(x) { $0 ** 3 }
/// ```
public struct GradientTape: Sendable {
  /// Record the gradients' own operations too, for higher orders: derivatives of the gradients by parameters, say.
  public var createGraph: Bool
  /// A tape; by default its gradients are not themselves recorded.
  public init(createGraph: Bool = false) { self.createGraph = createGraph }

  /// Runs `f` on a watched `x`.
  /// - Returns: f(x) and df/dx.
  public func watch(_ x: Tensor, _ f: (Tensor) throws -> Tensor) rethrows -> (Tensor, Tensor) {
    let (value, gradients) = try watch([x]) { try f($0[0]) }
    return (value, gradients[0])
  }

  /// Runs `f` on watched inputs.
  /// - Returns: f's value and a gradient of each input's shape.
  public func watch(_ inputs: [Tensor], _ f: ([Tensor]) throws -> Tensor) rethrows -> (Tensor, [Tensor]) {
    let create = createGraph
    return try ExecutionContext.with({ $0.gradientLevel += create ? 1 : 0 }) {
      try Autograd.valueAndGradients(at: inputs, recordsForLeaves: create, f)
    }
  }
}

/// Forward mode: the value of `f` and its directional derivative (Jacobian-vector product) along `tangent`.
///
/// ```swift
/// try jvp(at: Tensor(2.0), tangent: Tensor(1.0)) { $0 ** 3 }      // value 8, tangent 12
/// ```
/// - Parameters:
///   - x: the point.
///   - tangent: the direction, of `x`'s dtype and shape.
///   - f: the function; its result may have any shape.
/// - Returns: f(x), and its derivative along the tangent: J·tangent, of f(x)'s shape.
/// - Throws: ``ApusError`` when an operation fails or shapes don't fit; what `f` throws.
public func jvp(at x: Tensor, tangent: Tensor, _ f: (Tensor) throws -> Tensor) throws -> (
  value: Tensor, tangent: Tensor
) {
  guard x.type == tangent.type else {
    throw ApusError(
      .shape, "the tangent must be of the point's type", operation: "jvp", operands: [x.type, tangent.type])
  }
  // Recorded as for `backward`, so that the graph shows where `f` cuts gradients.
  let captured = try CapturedGraph.capture(name: "jvp", [x.type], requiresGradient: [x.dtype.isFloatingPoint]) {
    inputs in
    try ExecutionContext.with({
      $0.gradientEnabled = true
      $0.overlay = .rememberingAssignments(in: $0.overlay)
    }) { [try f(inputs[0])] }
  }
  typealias Dual = (value: Tensor, tangent: Tensor?)
  let operands = captured.operands([x])
  let duals = operands.enumerated().map { i, value -> Dual in (value, i == 0 ? tangent : nil) }
  // The rules are written in operators, which trap outside `checked`.
  let results = try checked {
    try captured.graph.evaluate(duals, constant: { ($0, nil) }) { primitive, operands, node -> [Dual] in
      let outputs = try Dispatch.tryRun(primitive, operands.map(\.value))
      guard !node.isDetached, operands.contains(where: { $0.tangent != nil }) else { return outputs.map { ($0, nil) } }
      let context = JVPContext(inputs: operands.map(\.value), outputs: outputs, tangents: operands.map(\.tangent))
      let tangents = primitive.definition.jvp(context)
      return zip(outputs, tangents).map { ($0, $1) }
    }
  }
  captured.writeState(results.dropFirst(captured.outputCount).map(\.value)[...])
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
public func vectorized(_ f: @escaping @Sendable (Tensor) throws -> Tensor) -> @Sendable (Tensor) throws -> Tensor {
  let mapped = vectorized { (inputs: [Tensor]) in [try f(inputs[0])] }
  return { x in try mapped([x])[0] }
}

/// Maps a function of two operands over the leading axis of both.
/// - Returns: the mapped function. It throws ``ApusError``: (shape) unless both have the same leading size, (argument)
///   when `f` writes state; and what `f` throws.
public func vectorized(
  _ f: @escaping @Sendable (Tensor, Tensor) throws -> Tensor
) -> @Sendable (Tensor, Tensor) throws -> Tensor {
  let mapped = vectorized { (inputs: [Tensor]) in [try f(inputs[0], inputs[1])] }
  return { x, y in try mapped([x, y])[0] }
}

/// Maps a function of several operands over the leading axis of each.
/// - Returns: the mapped function. It throws ``ApusError``: (shape) unless all have the same leading size, (argument)
///   when `f` writes state; and what `f` throws.
public func vectorized(
  _ f: @escaping @Sendable ([Tensor]) throws -> [Tensor]
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
    let captured = try CapturedGraph.capture(
      name: "vectorized", types, requiresGradient: inputs.map(\.requiresGradient), f)
    guard captured.written.isEmpty, captured.writtenGradients.isEmpty else {
      throw ApusError(
        .argument, "the mapped function writes state, which has no meaning for each example", operation: "vectorized")
    }
    typealias Mapped = (tensor: Tensor, isBatched: Bool)
    let operands = captured.operands(inputs).enumerated().map { i, t -> Mapped in (t, i < inputs.count) }
    let results = try checked {
      try captured.graph.evaluate(operands, constant: { ($0, false) }) {
        primitive, operands, node -> [Mapped] in
        guard operands.contains(where: \.isBatched) else {
          return try Dispatch.tryRun(primitive, operands.map(\.tensor)).map { ($0, false) }
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
