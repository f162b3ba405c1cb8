extension Primitive {
  /// `y[…, j, …] = x[…, indices[…, j, …], …]` along an axis (NumPy's `take_along_axis`). Operands of equal rank and, but
  /// for the axis, equal sizes: x, indices (in 0..<size). The result has the indices' shape.
  public struct GatherAlong: Elementary {
    /// The indexed axis, in 0..<rank.
    public var axis: Int

    /// Along an axis, from 0.
    public init(axis: Int) { self.axis = axis }

    public var name: String { "gatherAlong" }
    public var canFail: Bool { true }
    public var residuals: Residuals { [.input1, .types] }
    public func infer(_ operands: [TensorType]) throws -> [TensorType] {
      try Rules.count(operands, 2)
      let (x, indices) = (operands[0], operands[1])
      try Rules.axis(axis, x)
      try Rules.index(indices)
      try Rules.rank(indices, x.rank, "the indices")
      for i in 0..<x.rank where i != axis {
        try Rules.equal(x.shape.dim(i), indices.shape.dim(i), "operand and indices must have equal sizes of axis \(i)")
      }
      return [x.with(shape: indices.shape)]
    }
    public func vjp(_ context: VJPContext) -> [Tensor?] {
      let transpose = ScatterAddAlong(axis: axis, size: context.inputType(0).shape.dim(axis))
      return [Dispatch.one(.scatterAddAlong(transpose), context.gradient, context.input(1)), nil]
    }
    public func jvp(_ context: JVPContext) -> [Tensor?] {
      [context.tangents[0].map { Dispatch.one(.gatherAlong(self), $0, context.inputs[1]) }]
    }
    public func batch(_ context: BatchContext) -> [Tensor] {
      Dispatch.run(.gatherAlong(GatherAlong(axis: axis + 1)), context.allBatched)
    }
    public static var samples: [Sample] {
      func sample(_ axis: Int, _ shape: Shape, _ indices: Sample.Operand) -> Sample {
        Sample(.gatherAlong(GatherAlong(axis: axis)), [.real(shape), indices])
      }
      return [
        sample(0, [4], .integer([2], 0...3)), sample(1, [3, 4], .integer([3, 1], 0...3, .int32)),
        sample(1, [0, 2], .integer([0, 2], 0...1)), sample(1, [2, 3, 4], .integer([2, 5, 4], 0...2)),
      ]
    }
  }

  /// The transpose of ``GatherAlong``: each element of `updates` is added to zeros at its index along an axis of `size`.
  /// Operands of equal shape: updates, indices.
  public struct ScatterAddAlong: Elementary {
    /// The result's axis that indices point into.
    public var axis: Int
    /// The size of the result's axis.
    public var size: Dim

    /// Into an axis of a size, from 0.
    public init(axis: Int, size: Dim) {
      self.axis = axis
      self.size = size
    }

    public var name: String { "scatterAddAlong" }
    public var canFail: Bool { true }
    public var residuals: Residuals { .input1 }
    public func infer(_ operands: [TensorType]) throws -> [TensorType] {
      try Rules.count(operands, 2)
      let (updates, indices) = (operands[0], operands[1])
      try Rules.numeric(updates)
      try Rules.index(indices)
      try Rules.axis(axis, updates)
      try Rules.shape(indices, updates.shape, "the indices")
      return [updates.with(shape: updates.shape.replacing(axis, with: size))]
    }
    public func vjp(_ context: VJPContext) -> [Tensor?] {
      [Dispatch.one(.gatherAlong(GatherAlong(axis: axis)), context.gradient, context.input(1)), nil]
    }
    public func jvp(_ context: JVPContext) -> [Tensor?] {
      [context.tangents[0].map { Dispatch.one(.scatterAddAlong(self), $0, context.inputs[1]) }]
    }
    public func batch(_ context: BatchContext) -> [Tensor] {
      Dispatch.run(.scatterAddAlong(ScatterAddAlong(axis: axis + 1, size: size)), context.allBatched)
    }
    public static var samples: [Sample] {
      func sample(_ axis: Int, _ size: Dim, _ shape: Shape, _ dtype: DType = .int64) -> Sample {
        let top = (size.value ?? 1) - 1
        return Sample(
          .scatterAddAlong(ScatterAddAlong(axis: axis, size: size)), [.real(shape), .integer(shape, 0...top, dtype)])
      }
      return [sample(0, 4, [6]), sample(1, 3, [2, 2], .int32), sample(0, 3, [0, 2]), sample(1, 3, [2, 5, 4])]
    }
  }
}
