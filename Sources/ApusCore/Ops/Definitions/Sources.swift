extension Primitive {
  /// Converts to another dtype. Real to integer truncates toward zero, saturates, and sends NaN to 0; integer to integer
  /// wraps; to bool: is it not 0.
  public struct Cast: Elementary {
    /// The result's dtype.
    public var dtype: DType

    /// To a dtype.
    public init(dtype: DType) { self.dtype = dtype }

    public var name: String { "cast" }
    public var residuals: Residuals { .types }
    public func infer(_ operands: [TensorType]) throws -> [TensorType] {
      try Rules.count(operands, 1)
      return [operands[0].with(dtype: dtype)]
    }
    public func vjp(_ context: VJPContext) -> [Tensor?] { [context.gradient.cast(to: context.inputType(0).dtype)] }
    public func jvp(_ context: JVPContext) -> [Tensor?] {
      // Integers are constant between their steps.
      [dtype.isFloatingPoint ? context.tangents[0].map { $0.cast(to: dtype) } : nil]
    }
    public func batch(_ context: BatchContext) -> [Tensor] { [context.inputs[0].cast(to: dtype)] }
    public static var samples: [Sample] {
      let toSingle = SampleShapes.all.map { Sample(.cast(Cast(dtype: .float32)), [.real($0)]) }
      let targets: [DType] = [.bool, .uint8, .int32, .int64, .float64]
      return toSingle
        + targets.map {
          Sample(.cast(Cast(dtype: $0)), [.values([0, 1.7, 3.2, 200], [2, 2])], smooth: $0 == .float64)
        }
        + targets.map { Sample(.cast(Cast(dtype: $0)), [.integer([5], 0...9)]) }
        + [
          Sample(.cast(Cast(dtype: .int32)), [.values([.nan, 1e30, -1e30, -1.9], [4])], smooth: false),
          Sample(.cast(Cast(dtype: .float64)), [.bool([2, 3])]),
        ]
    }
  }
}

/// Something made of no operand.
public protocol Source: NotDifferentiable, Elementary {}
extension Source {
  /// There is nothing to differentiate for.
  public static var notDifferentiableBecause: String { "it has no operand" }
}

extension Primitive {
  /// Every element is `value`, rounded to the type's dtype; one beyond its range is an error (argument). No operand.
  public struct Full: Source {
    /// What the elements are.
    public var value: Scalar
    /// The result's type; its shape may be symbolic.
    public var type: TensorType

    /// A value and the type it fills.
    public init(value: Scalar, type: TensorType) {
      self.value = value
      self.type = type
    }

    public var name: String { "full" }
    public func infer(_ operands: [TensorType]) throws -> [TensorType] {
      try Rules.count(operands, 0)
      try value.checkFits(type.dtype)
      if type.shape.isStatic { _ = try type.byteCount() }
      return [type]
    }
    public func batch(_ context: BatchContext) -> [Tensor] {
      let batched = type.with(shape: type.shape.inserting(context.size, at: 0))
      return Dispatch.run(.full(Full(value: value, type: batched)), [])
    }
    public static var samples: [Sample] {
      SampleShapes.all.map { Sample(.full(Full(value: .double(1.5), type: TensorType(.float64, $0))), []) } + [
        Sample(.full(Full(value: .int(7), type: TensorType(.int64, [2, 2]))), []),
        Sample(.full(Full(value: .bool(true), type: TensorType(.bool, [3]))), []),
      ]
    }
  }

  /// 0, 1, 2 … along an axis, the same along the others; an integer dtype must hold the last. No operand.
  public struct Iota: Source {
    /// The result's type: an arithmetic dtype other than bool, rank ≥ 1.
    public var type: TensorType
    /// The axis that is counted along, in 0..<rank.
    public var axis: Int

    /// A type and the axis that is counted along.
    public init(type: TensorType, axis: Int) {
      self.type = type
      self.axis = axis
    }

    public var name: String { "iota" }
    public func infer(_ operands: [TensorType]) throws -> [TensorType] {
      try Rules.count(operands, 0)
      try Rules.numeric(type)
      try Rules.axis(axis, type)
      if let size = type.shape.dim(axis).value { try Scalar.int(Int64(Swift.max(size, 1) - 1)).checkFits(type.dtype) }
      if type.shape.isStatic { _ = try type.byteCount() }
      return [type]
    }
    public func batch(_ context: BatchContext) -> [Tensor] {
      let batched = type.with(shape: type.shape.inserting(context.size, at: 0))
      return Dispatch.run(.iota(Iota(type: batched, axis: axis + 1)), [])
    }
    public static var samples: [Sample] {
      [
        Sample(.iota(Iota(type: TensorType(.int64, [5]), axis: 0)), []),
        Sample(.iota(Iota(type: TensorType(.float64, [2, 3, 4]), axis: 1)), []),
        Sample(.iota(Iota(type: TensorType(.int32, [0, 2]), axis: 1)), []),
      ]
    }
  }

  /// The size of a dimension as an int64 scalar: how a symbolic size enters arithmetic.
  public struct Dimension: NotDifferentiable, Elementary {
    /// The axis whose size it is, in 0..<rank.
    public var axis: Int

    /// Of an axis, in 0..<rank.
    public init(axis: Int) { self.axis = axis }

    /// Sizes are no function of the elements.
    public static var notDifferentiableBecause: String { "a size does not depend on the elements" }
    public var name: String { "dimension" }
    public func infer(_ operands: [TensorType]) throws -> [TensorType] {
      try Rules.count(operands, 1)
      try Rules.axis(axis, operands[0])
      return [TensorType(.int64, [])]
    }
    public func batch(_ context: BatchContext) -> [Tensor] {
      let size = Tensor.size(of: context.inputs[0], axis: context.isBatched[0] ? axis + 1 : axis)
      return [size.broadcast(to: Shape(dims: [context.size]))]
    }
    public static var samples: [Sample] {
      [
        Sample(.dimension(Dimension(axis: 0)), [.real([3])]),
        Sample(.dimension(Dimension(axis: 2)), [.real([2, 3, 4])]),
        Sample(.dimension(Dimension(axis: 0)), [.real([0, 2])]),
      ]
    }
  }
}
