/// An operation that a user adds. It goes through the same door as the built-in ones: eager, traced, differentiated.
///
/// ```swift
/// let softsign = CustomPrimitive(
///   "softsign",
///   infer: { $0 },
///   evaluate: { [$0[0] / (abs($0[0]) + 1)] },
///   derivative: .vjp { context in
///     let d = abs(context.input(0)) + 1
///     return [context.gradient / (d * d)]
///   })
/// let y = softsign(x)[0]
/// ```
public struct CustomPrimitive: Elementary {
  /// How gradients pass it.
  public enum Derivative: Sendable {
    /// One gradient an operand; see ``VJPContext``. All operands and results may be read.
    case vjp(@Sendable (VJPContext) -> [Tensor?])
    /// Its results are cut from the tape; `because` says why, for readers.
    case notDifferentiable(because: String)
  }

  /// Two values are the same operation when they hold the same object.
  private final class Body: Sendable {
    let infer: @Sendable ([TensorType]) throws -> [TensorType]
    let evaluate: @Sendable ([Tensor]) throws -> [Tensor]
    let derivative: Derivative
    let jvp: (@Sendable (JVPContext) -> [Tensor?])?
    let batch: (@Sendable (BatchContext) -> [Tensor])?

    init(
      _ infer: @escaping @Sendable ([TensorType]) throws -> [TensorType],
      _ evaluate: @escaping @Sendable ([Tensor]) throws -> [Tensor], _ derivative: Derivative,
      _ jvp: (@Sendable (JVPContext) -> [Tensor?])?, _ batch: (@Sendable (BatchContext) -> [Tensor])?
    ) {
      self.infer = infer
      self.evaluate = evaluate
      self.derivative = derivative
      self.jvp = jvp
      self.batch = batch
    }
  }

  /// Shown in errors and graphs.
  public let name: String
  private let body: Body

  /// - Parameters:
  ///   - name: shown in errors and graphs.
  ///   - infer: result types from operand types; throws ``ApusError`` when they don't fit.
  ///   - evaluate: computes the results of concrete operands, by public operations or over host arrays.
  ///   - derivative: reverse mode.
  ///   - jvp: forward mode; without it forward mode is refused.
  ///   - batch: how it maps over a leading axis; without it the members run one by one.
  public init(
    _ name: String, infer: @escaping @Sendable ([TensorType]) throws -> [TensorType],
    evaluate: @escaping @Sendable ([Tensor]) throws -> [Tensor], derivative: Derivative,
    jvp: (@Sendable (JVPContext) -> [Tensor?])? = nil, batch: (@Sendable (BatchContext) -> [Tensor])? = nil
  ) {
    self.name = name
    body = Body(infer, evaluate, derivative, jvp, batch)
  }

  /// Applies it, as an operation: an error is recorded, or traps.
  /// - Returns: its results, of the types that `infer` gives.
  public func callAsFunction(_ operands: Tensor...) -> [Tensor] { Dispatch.run(.custom(self), operands) }

  /// What an engine runs.
  /// - Throws: what the closure throws, and ``ApusError`` when its results are not of the inferred types.
  public func evaluate(_ operands: [Tensor]) throws -> [Tensor] {
    let expected = try infer(operands.map(\.type))
    // A user's closure: operations that fail in it throw here, and neither trap nor leave poisoned results.
    let results = try checked { try body.evaluate(operands.map(\.untracked)) }
    guard results.map(\.type) == expected else {
      throw ApusError(
        .argument, "evaluated to \(results.map(\.type)), and its type rule says \(expected)", operation: name,
        operands: operands.map(\.type))
    }
    return results
  }

  public func infer(_ operands: [TensorType]) throws -> [TensorType] { try body.infer(operands) }
  public var canFail: Bool { true }
  public var residuals: Residuals { [.inputs, .outputs, .types] }
  public func vjp(_ context: VJPContext) -> [Tensor?] {
    switch body.derivative {
    case .vjp(let rule): return rule(context)
    case .notDifferentiable: return Array(repeating: nil, count: context.operandCount)
    }
  }
  public func jvp(_ context: JVPContext) -> [Tensor?] {
    if let rule = body.jvp { return rule(context) }
    if case .notDifferentiable = body.derivative { return Array(repeating: nil, count: context.outputs.count) }
    let error = ApusError(.gradient, "has no forward-mode rule; give it one (jvp:)", operation: name)
    return context.outputs.map { Dispatch.fail(error, type: $0.type) }
  }
  public func batch(_ context: BatchContext) -> [Tensor] {
    if let rule = body.batch { return rule(context) }
    guard let size = context.size.value, size > 0 else {
      let error = ApusError(.shape, "without a rule (batch:) it maps only over a known size ≥ 1, not \(context.size)")
      return Dispatch.fail(error, .custom(self), context.inputs)
    }
    if let error = HostMemory.refusal(size, ofBytes: 512, "the number of calls") {
      return Dispatch.fail(error, .custom(self), context.inputs)
    }
    let members = (0..<size).map { i in
      let operands = zip(context.inputs, context.isBatched).map { x, isBatched in
        isBatched ? x.sliced(axis: 0, Dim(i), Dim(i + 1)).reshape(x.shape.dropping(0)) : x
      }
      return Dispatch.run(.custom(self), operands)
    }
    return members[0].indices.map { output in stack(members.map { $0[output] }, axis: 0) }
  }
  public static var samples: [Sample] {
    let softsign = CustomPrimitive(
      "softsign", infer: { $0 }, evaluate: { [$0[0] / ($0[0].abs() + 1)] },
      derivative: .vjp { context in
        let d = context.input(0).abs() + 1
        return [context.gradient / (d * d)]
      },
      jvp: { context in
        let d = context.inputs[0].abs() + 1
        return [context.tangents[0].map { $0 / (d * d) }]
      })
    return SampleShapes.all.map { Sample(.custom(softsign), [.real($0)]) }
  }
}

extension CustomPrimitive: Hashable, Codable {
  /// The same name and the same object; two made alike differ.
  public static func == (a: CustomPrimitive, b: CustomPrimitive) -> Bool { a.name == b.name && a.body === b.body }
  public func hash(into hasher: inout Hasher) {
    hasher.combine(name)
    hasher.combine(ObjectIdentifier(body))
  }
  /// Code can't be stored.
  /// - Throws: ``ApusError`` (unsupported), always.
  public func encode(to encoder: any Encoder) throws {
    throw ApusError(
      .unsupported, "a custom primitive is code and can't be stored; build it of the built-in ones", operation: name)
  }
  /// - Throws: ``ApusError`` (unsupported), always.
  public init(from decoder: any Decoder) throws {
    throw ApusError(.unsupported, "a custom primitive is code and can't be read from a file")
  }
}
