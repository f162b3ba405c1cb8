/// Truth tables on bool.
protocol BinaryLogical: BinaryElementwise, NotDifferentiable, Elementary {}
extension BinaryLogical {
  static var notDifferentiableBecause: String { "it works on truth values" }
  func check(_ type: TensorType) throws { try Rules.boolean(type) }
  static func samples(_ primitive: Primitive) -> [Sample] {
    SampleShapes.all.map { Sample(primitive, [.bool($0), .bool($0)]) }
  }
}

extension Primitive {
  struct LogicalAnd: BinaryLogical {
    var name: String { "logicalAnd" }
    var primitive: Primitive { .logicalAnd }
    static var samples: [Sample] { samples(.logicalAnd) }
  }

  struct LogicalOr: BinaryLogical {
    var name: String { "logicalOr" }
    var primitive: Primitive { .logicalOr }
    static var samples: [Sample] { samples(.logicalOr) }
  }

  struct LogicalXor: BinaryLogical {
    var name: String { "logicalXor" }
    var primitive: Primitive { .logicalXor }
    static var samples: [Sample] { samples(.logicalXor) }
  }

  /// Compares two operands of equal type; yields bool. Every comparison with NaN but `ne` is false.
  public struct Compare: NotDifferentiable, Elementary {
    /// =, ≠, <, ≤, >, ≥.
    public enum Comparison: UInt8, Hashable, Codable, Sendable, CaseIterable {
      case eq, ne, lt, le, gt, ge
    }
    /// Which one.
    public var comparison: Comparison

    /// A comparison of two operands, the first on the left.
    public init(_ comparison: Comparison) { self.comparison = comparison }

    /// Truth values are constant between their steps.
    public static var notDifferentiableBecause: String { "its result is a truth value" }
    public var name: String { "compare" }
    public func infer(_ operands: [TensorType]) throws -> [TensorType] {
      try Rules.count(operands, 2)
      try Rules.same(operands[0], operands[1])
      guard operands[0].dtype.hasArithmetic else {
        throw ApusError(.dtype, "does not compare \(operands[0].dtype); cast to float32 or int64 first")
      }
      return [operands[0].with(dtype: .bool)]
    }
    public func batch(_ context: BatchContext) -> [Tensor] { Dispatch.run(.compare(self), context.allBatched) }
    public static var samples: [Sample] {
      Comparison.allCases.flatMap { comparison in
        let primitive = Primitive.compare(Compare(comparison))
        return SampleShapes.all.map { Sample(primitive, [.real($0), .real($0)]) } + [
          Sample(primitive, [.integer([6], 0...2), .integer([6], 0...2)]), Sample(primitive, [.bool([4]), .bool([4])]),
          Sample(primitive, [.values([.nan, 1, .nan], [3]), .values([.nan, .nan, 1], [3])]),
        ]
      }
    }
  }

  /// `condition ? a : b`, element by element. No gradient flows to the condition.
  struct Select: Elementary {
    var name: String { "select" }
    var residuals: Residuals { .input0 }
    func infer(_ operands: [TensorType]) throws -> [TensorType] {
      try Rules.count(operands, 3)
      try Rules.boolean(operands[0])
      try Rules.same(operands[1], operands[2])
      try Rules.shape(operands[0], operands[1].shape, "the condition")
      return [operands[1]]
    }
    func vjp(_ context: VJPContext) -> [Tensor?] {
      let (condition, g) = (context.input(0), context.gradient)
      return [
        nil, context.needs(1) ? ApusCore.select(condition, g, 0) : nil,
        context.needs(2) ? ApusCore.select(condition, 0, g) : nil,
      ]
    }
    func jvp(_ context: JVPContext) -> [Tensor?] {
      if context.tangents[1] == nil, context.tangents[2] == nil { return [nil] }
      return [ApusCore.select(context.inputs[0], context.tangent(1), context.tangent(2))]
    }
    func batch(_ context: BatchContext) -> [Tensor] { Dispatch.run(.select, context.allBatched) }
    static var samples: [Sample] { SampleShapes.all.map { Sample(.select, [.bool($0), .real($0), .real($0)]) } }
  }
}
