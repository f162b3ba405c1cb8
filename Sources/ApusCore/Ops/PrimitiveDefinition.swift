/// The rules of one primitive, beside each other: what it yields, its derivatives, how it batches, what it is made of,
/// and the samples its tests are generated from. Kernels live in the engines.
///
/// Derivatives are written in public operations, so higher orders come free. "Not differentiable" is said by
/// conforming to ``NotDifferentiable``; there is no silent default.
public protocol PrimitiveDefinition: Hashable, Codable, Sendable {
  /// Stable: text form, packages and hashing use it.
  var name: String { get }

  /// The type rule: result types from operand types.
  /// - Throws: ``ApusError`` that says what would fit.
  func infer(_ operands: [TensorType]) throws -> [TensorType]

  /// What the pullback reads; the rest is let go after the forward pass.
  var residuals: Residuals { get }

  /// Whether results are recorded on the tape: false for ``NotDifferentiable``, true for all others. A requirement, so
  /// that asking is a call and no search for a conformance.
  var isDifferentiable: Bool { get }

  /// Whether its values, and not only their types, decide that it fails: an index out of range, a user's closure. Such
  /// an operation is run even where nobody reads what it gives.
  var canFail: Bool { get }

  /// Reverse mode: one gradient an operand, nil where it has none (an index) or none is needed.
  func vjp(_ context: VJPContext) -> [Tensor?]

  /// Forward mode: the tangent of each output; nil: zero.
  func jvp(_ context: JVPContext) -> [Tensor?]

  /// How the operation maps over an added leading axis.
  func batch(_ context: BatchContext) -> [Tensor]

  /// The same in more elementary primitives: the definition of an opaque kernel, and its oracle. nil: elementary.
  func decomposition(_ operands: [Tensor]) -> [Tensor]?

  /// Instances with operands; the generated tests run every rule on each.
  static var samples: [Sample] { get }
}

/// An operation through which no gradient flows: its results are cut from the tape.
public protocol NotDifferentiable: PrimitiveDefinition {
  /// Why, for the documentation.
  static var notDifferentiableBecause: String { get }
}
extension PrimitiveDefinition {
  /// True, but for ``NotDifferentiable``.
  public var isDifferentiable: Bool { true }
  /// False, but for those that read indices or run a user's closure.
  public var canFail: Bool { false }
}
extension NotDifferentiable {
  /// False.
  public var isDifferentiable: Bool { false }
  /// None.
  public var residuals: Residuals { [] }
  /// No gradient for any operand.
  public func vjp(_ context: VJPContext) -> [Tensor?] { Array(repeating: nil, count: context.operandCount) }
  /// A zero tangent for each output.
  public func jvp(_ context: JVPContext) -> [Tensor?] { Array(repeating: nil, count: context.outputs.count) }
}

/// An operation that is not made of others.
public protocol Elementary: PrimitiveDefinition {}
extension Elementary {
  /// nil: it is elementary.
  public func decomposition(_ operands: [Tensor]) -> [Tensor]? { nil }
}

/// Values a pullback reads.
public struct Residuals: OptionSet, Sendable {
  /// Bits 0…7: the operands, the last for all from the eighth on; bit 8: the outputs; bit 9: the types.
  public let rawValue: UInt16
  /// Values by their bits.
  public init(rawValue: UInt16) { self.rawValue = rawValue }
  /// The first operand.
  public static let input0 = Residuals(rawValue: 1)
  /// The second operand.
  public static let input1 = Residuals(rawValue: 2)
  /// The third operand.
  public static let input2 = Residuals(rawValue: 4)
  /// Every operand.
  public static let inputs = Residuals(rawValue: 0xFF)
  /// Every output.
  public static let outputs = Residuals(rawValue: 0x100)
  /// Operand types without their values.
  public static let types = Residuals(rawValue: 0x200)

  func keepsInput(_ i: Int) -> Bool { rawValue & (1 << UInt16(Swift.min(i, 7))) != 0 }
}

/// What a pullback may look at.
public struct VJPContext {
  /// Gradients of the outputs up to the last that one arrived for.
  let outputGradients: [Tensor?]
  let node: TapeNode
  let saved: TapeNode.Saved

  /// The gradient of the only (or first) output.
  public var gradient: Tensor { outputGradient(0) ?? Tensor.zerosLike(output(0)) }
  /// The gradient of output `i`; nil where none arrived.
  public func outputGradient(_ i: Int) -> Tensor? { i < outputGradients.count ? outputGradients[i] : nil }
  /// How many operands there are.
  public var operandCount: Int { node.edgeCount }
  /// Whether operand `i` wants a gradient.
  public func needs(_ i: Int) -> Bool { node.edge(i).node != nil }
  /// Operand `i`'s value; its definition must list it in ``PrimitiveDefinition/residuals``.
  public func input(_ i: Int) -> Tensor {
    let edge = node.edge(i)
    guard let storage = saved.input(i) else {
      preconditionFailure("\(node.primitive.name): operand \(i) is not among its residuals")
    }
    return Tensor(storage, node: edge.node, outputIndex: edge.index)
  }
  /// Output `i`'s value; its definition must list the outputs in ``PrimitiveDefinition/residuals``.
  public func output(_ i: Int) -> Tensor {
    guard i < saved.outputs.count else {
      preconditionFailure("\(node.primitive.name): its outputs are not among its residuals")
    }
    return Tensor(saved.outputs[i], node: node, outputIndex: Int32(i))
  }
  /// Operand `i`'s type; its definition must list the types, or the operand, in ``PrimitiveDefinition/residuals``.
  public func inputType(_ i: Int) -> TensorType {
    if i < saved.types.count { return saved.types[i] }
    return input(i).type
  }
}

/// What a forward-mode rule may look at.
public struct JVPContext {
  /// The operands.
  public let inputs: [Tensor]
  /// The results, already computed.
  public let outputs: [Tensor]
  /// The operands' tangents, each of its operand's type; nil: zero.
  public let tangents: [Tensor?]

  /// Tangent `i`, zeros where it is nil.
  public func tangent(_ i: Int) -> Tensor { tangents[i] ?? Tensor.zerosLike(inputs[i]) }
  /// The only (or first) output.
  public var output: Tensor { outputs[0] }

  /// Sum of the terms that exist.
  public func sum(_ terms: Tensor?...) -> Tensor? {
    terms.reduce(nil) { total, term in
      guard let term else { return total }
      return total.map { $0 + term } ?? term
    }
  }
}

/// Operands of a batched operation: each has its batch axis first, or has none (it is the same for the whole batch).
public struct BatchContext {
  /// The operands as they came.
  public let inputs: [Tensor]
  /// Which operands have the batch axis.
  public let isBatched: [Bool]
  /// The batch axis's size.
  public let size: Dim

  /// Operand `i` with a leading batch axis, made by broadcasting where it has none.
  public func batched(_ i: Int) -> Tensor {
    isBatched[i] ? inputs[i] : inputs[i].broadcast(to: inputs[i].shape.inserting(size, at: 0))
  }
  /// Every operand with a leading batch axis.
  public var allBatched: [Tensor] { inputs.indices.map(batched) }
}

/// An instance of a primitive with operands to try it on.
public struct Sample: Sendable {
  /// How an operand's values are made.
  public enum Operand: Sendable {
    /// Uniform reals in a range, from a fixed seed.
    case real(Shape, ClosedRange<Double> = -2...2)
    /// Whole numbers of a dtype in a range.
    case integer(Shape, ClosedRange<Int>, DType = .int64)
    /// True and false, from a fixed seed.
    case bool(Shape)
    /// Given values, row-major, converted to a dtype.
    case values([Double], Shape, DType = .float64)
  }
  /// The instance.
  public var primitive: Primitive
  /// One for each of its operands.
  public var operands: [Operand]
  /// Whether finite differences make sense there (away from kinks).
  public var smooth: Bool

  /// An instance on operands, smooth unless said otherwise.
  public init(_ primitive: Primitive, _ operands: [Operand], smooth: Bool = true) {
    self.primitive = primitive
    self.operands = operands
    self.smooth = smooth
  }
}
