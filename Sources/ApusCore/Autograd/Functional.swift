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
    guard x.node != nil else { return Tensor(x.storage, node: TapeNode(leaf: nil, isPoint: true)) }
    // A reshape to its own shape is a new node over the same memory: gradients can be asked for at it.
    return Dispatch.one(.reshape(.init(shape: x.shape)), x)
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
