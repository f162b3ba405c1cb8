extension Primitive {
  /// `x` taken at `indices` along an axis (NumPy's `take`): the result's shape is
  /// x.shape[..<axis] + indices.shape + x.shape[(axis+1)...]. Operands: x, indices (any rank, in 0..<size).
  public struct Gather: Elementary {
    /// The indexed axis of x, in 0..<rank.
    public var axis: Int

    /// Along an axis, from 0.
    public init(axis: Int) { self.axis = axis }

    public var name: String { "gather" }
    public var canFail: Bool { true }
    public var residuals: Residuals { [.input1, .types] }
    public func infer(_ operands: [TensorType]) throws -> [TensorType] {
      try Rules.count(operands, 2)
      let (x, indices) = (operands[0], operands[1])
      try Rules.axis(axis, x)
      try Rules.index(indices)
      try Rules.rank(x.rank - 1 + indices.rank)
      let (before, after) = (x.shape.dims[..<axis], x.shape.dims[(axis + 1)...])
      return [x.with(shape: Shape(dims: before + indices.shape.dims + after))]
    }
    public func vjp(_ context: VJPContext) -> [Tensor?] {
      let size = context.inputType(0).shape.dim(axis)
      return [Dispatch.one(.scatterAdd(ScatterAdd(axis: axis, size: size)), context.gradient, context.input(1)), nil]
    }
    public func jvp(_ context: JVPContext) -> [Tensor?] {
      [context.tangents[0].map { Dispatch.one(.gather(self), $0, context.inputs[1]) }]
    }

    public func batch(_ context: BatchContext) -> [Tensor] {
      let (x, indices) = (context.inputs[0], context.inputs[1])
      if !context.isBatched[1] { return Dispatch.run(.gather(Gather(axis: axis + 1)), [x, indices]) }
      let inner = indices.rank - 1
      if !context.isBatched[0] {
        return [Dispatch.one(.gather(self), x, indices).movingAxis(axis, to: 0)]
      }
      // Both: the batches' rows become one axis, and each batch's indices point into its own part of it.
      let rows = x.movingAxis(axis + 1, to: 1)
      let flat = rows.reshape(rows.shape.mergingFirstTwo)
      let taken = Dispatch.one(
        .gather(Gather(axis: 0)), flat, BatchIndices.offset(indices, Tensor.size(of: x, axis: axis + 1)))
      return [taken.movingAxes(from: 1, count: inner, to: 1 + axis)]
    }
    public static var samples: [Sample] {
      func sample(_ axis: Int, _ shape: Shape, _ indices: Sample.Operand) -> Sample {
        Sample(.gather(Gather(axis: axis)), [.real(shape), indices])
      }
      return [
        sample(0, [4], .integer([], 0...3)), sample(0, [4], .integer([5], 0...3, .int32)),
        sample(0, [4, 2], .integer([0], 0...3)), sample(1, [2, 3, 4], .integer([2, 2], 0...2)),
        sample(2, [2, 3, 4], .integer([3], 0...3)),
      ]
    }
  }

  /// The transpose of ``Gather``: each slice of `updates` is added to zeros at its index along an axis of `size`.
  /// Operands: updates, indices.
  public struct ScatterAdd: Elementary {
    /// The result's axis that indices point into.
    public var axis: Int
    /// The size of the result's axis.
    public var size: Dim

    /// Into an axis of a size, from 0.
    public init(axis: Int, size: Dim) {
      self.axis = axis
      self.size = size
    }

    public var name: String { "scatterAdd" }
    public var canFail: Bool { true }
    public var residuals: Residuals { .input1 }
    public func infer(_ operands: [TensorType]) throws -> [TensorType] {
      try Rules.count(operands, 2)
      let (updates, indices) = (operands[0], operands[1])
      try Rules.numeric(updates)
      try Rules.index(indices)
      guard axis >= 0, axis <= updates.rank - indices.rank else {
        throw ApusError(
          .shape, "indices of rank \(indices.rank) at axis \(axis) do not fit into updates of rank \(updates.rank)")
      }
      for i in 0..<indices.rank {
        try Rules.equal(
          indices.shape.dim(i), updates.shape.dim(axis + i),
          "indices' axis \(i) and updates' axis \(axis + i) must have equal sizes")
      }
      let dims = updates.shape.dims
      try Rules.rank(updates.rank - indices.rank + 1)
      return [updates.with(shape: Shape(dims: dims[..<axis] + [size] + dims[(axis + indices.rank)...]))]
    }
    public func vjp(_ context: VJPContext) -> [Tensor?] {
      [Dispatch.one(.gather(Gather(axis: axis)), context.gradient, context.input(1)), nil]
    }
    public func jvp(_ context: JVPContext) -> [Tensor?] {
      [context.tangents[0].map { Dispatch.one(.scatterAdd(self), $0, context.inputs[1]) }]
    }
    public func batch(_ context: BatchContext) -> [Tensor] {
      let indices = context.inputs[1]
      if !context.isBatched[1] {
        return Dispatch.run(.scatterAdd(ScatterAdd(axis: axis + 1, size: size)), [context.inputs[0], indices])
      }
      let inner = indices.rank - 1
      let updates = context.batched(0).movingAxes(from: 1 + axis, count: inner, to: 1)
      var result = Shape(dims: [context.size, size])
      for i in (1 + inner)..<updates.rank { result.append(updates.shape.dim(i)) }
      let offset = BatchIndices.offset(indices, Tensor.size(size))
      let flat = Dispatch.one(
        .scatterAdd(ScatterAdd(axis: 0, size: context.size * size)), updates, offset)
      return [flat.reshape(result).movingAxis(1, to: 1 + axis)]
    }
    public static var samples: [Sample] {
      func sample(_ axis: Int, _ size: Dim, _ shape: Shape, _ indices: Sample.Operand) -> Sample {
        Sample(.scatterAdd(ScatterAdd(axis: axis, size: size)), [.real(shape), indices])
      }
      return [
        sample(0, 4, [], .integer([], 0...3)), sample(0, 4, [5], .integer([5], 0...3)),
        sample(0, 4, [0, 2], .integer([0], 0...3)), sample(1, 3, [2, 2, 2, 4], .integer([2, 2], 0...2, .int32)),
      ]
    }
  }
}

/// Indices for operands whose batch axis was merged into the indexed one.
enum BatchIndices {
  /// `indices` [batch, …] plus batch · `size`; one outside 0..<size stays an error instead of reaching a neighbour.
  static func offset(_ indices: Tensor, _ size: Tensor) -> Tensor {
    let batch = indices.shape.dim(0)
    let rows = Dispatch.one(.iota(.init(type: TensorType(.int64, Shape(dims: [batch])), axis: 0))) * size
    var column = Shape(dims: [batch])
    for _ in 1..<indices.rank { column.append(1) }
    let own = indices.cast(to: .int64)
    return select((own .>= 0) .&& (own .< size), own + rows.reshape(column), -1)
  }
}
