extension Primitive {
  /// The same elements in row-major order under another shape of as many elements.
  public struct Reshape: Elementary {
    /// The result's shape.
    public var shape: Shape

    /// To a shape.
    public init(shape: Shape) { self.shape = shape }

    public var name: String { "reshape" }
    public var residuals: Residuals { .types }
    public func infer(_ operands: [TensorType]) throws -> [TensorType] {
      try Rules.count(operands, 1)
      let (from, to) = (operands[0].shape.elementDim, shape.elementDim)
      guard from == to else {
        throw ApusError(.shape, "\(shape) has \(to) elements, and the operand \(from)")
      }
      return [operands[0].with(shape: shape)]
    }
    public func vjp(_ context: VJPContext) -> [Tensor?] { [context.gradient.reshape(context.inputType(0).shape)] }
    public func jvp(_ context: JVPContext) -> [Tensor?] { [context.tangents[0].map { $0.reshape(shape) }] }
    public func batch(_ context: BatchContext) -> [Tensor] {
      [context.inputs[0].reshape(shape.inserting(context.size, at: 0))]
    }
    public static var samples: [Sample] {
      [
        Sample(.reshape(Reshape(shape: [])), [.real([1, 1])]), Sample(.reshape(Reshape(shape: [1])), [.real([])]),
        Sample(.reshape(Reshape(shape: [4, 6])), [.real([2, 3, 4])]),
        Sample(.reshape(Reshape(shape: [3, 0])), [.real([0, 2])]),
      ]
    }
  }

  /// Axis `i` of the result is axis `permutation[i]` of the operand.
  public struct Permute: Elementary {
    /// The operand's axes in the result's order.
    public var permutation: Permutation

    /// To an order of axes.
    public init(permutation: Permutation) { self.permutation = permutation }

    public var name: String { "permute" }
    public var residuals: Residuals { [] }
    public func infer(_ operands: [TensorType]) throws -> [TensorType] {
      try Rules.count(operands, 1)
      let shape = operands[0].shape
      guard permutation.count == shape.rank else {
        throw ApusError(.shape, "\(permutation) orders \(permutation.count) axes, and the operand has \(shape.rank)")
      }
      return [operands[0].with(shape: Shape(dims: permutation.order.map { shape.dim($0) }))]
    }
    public func vjp(_ context: VJPContext) -> [Tensor?] { [context.gradient.permuted(permutation.inverse.order)] }
    public func jvp(_ context: JVPContext) -> [Tensor?] { [context.tangents[0].map { $0.permuted(permutation.order) }] }
    public func batch(_ context: BatchContext) -> [Tensor] {
      [context.inputs[0].permuted([0] + permutation.order.map { $0 + 1 })]
    }
    public static var samples: [Sample] {
      [
        Sample(.permute(Permute(permutation: Permutation([]))), [.real([])]),
        Sample(.permute(Permute(permutation: Permutation([1, 0]))), [.real([2, 3])]),
        Sample(.permute(Permute(permutation: Permutation([1, 0]))), [.real([0, 2])]),
        Sample(.permute(Permute(permutation: Permutation([2, 0, 1]))), [.real([2, 3, 4])]),
      ]
    }
  }

  /// Repeats size-1 and missing leading axes until the shape is `shape` (NumPy's rule, aligned at the right).
  public struct Broadcast: Elementary {
    /// The result's shape.
    public var shape: Shape

    /// To a shape.
    public init(shape: Shape) { self.shape = shape }

    public var name: String { "broadcast" }
    public var residuals: Residuals { .types }
    public func infer(_ operands: [TensorType]) throws -> [TensorType] {
      try Rules.count(operands, 1)
      let from = operands[0].shape
      let misfit = ApusError(
        .shape, "\(from) does not broadcast to \(shape): sizes, from the right, must be equal or 1")
      guard from.rank <= shape.rank else { throw misfit }
      for i in 0..<from.rank {
        let (size, target) = (from.dim(i), shape.dim(i + shape.rank - from.rank))
        guard size == target || size == 1 else { throw misfit }
      }
      // A view takes no memory, but every reader counts its elements.
      if shape.isStatic { _ = try operands[0].with(shape: shape).byteCount() }
      return [operands[0].with(shape: shape)]
    }
    public func vjp(_ context: VJPContext) -> [Tensor?] {
      [context.gradient.summed(downTo: context.inputType(0).shape)]
    }
    public func jvp(_ context: JVPContext) -> [Tensor?] { [context.tangents[0].map { $0.broadcast(to: shape) }] }
    public func batch(_ context: BatchContext) -> [Tensor] {
      let x = context.inputs[0]
      var aligned = Shape(dims: [context.size])
      for _ in 0..<(shape.rank - (x.rank - 1)) { aligned.append(1) }
      for i in 1..<x.rank { aligned.append(x.shape.dim(i)) }
      return [x.reshape(aligned).broadcast(to: shape.inserting(context.size, at: 0))]
    }
    public static var samples: [Sample] {
      [
        Sample(.broadcast(Broadcast(shape: [2, 3])), [.real([])]),
        Sample(.broadcast(Broadcast(shape: [2, 3])), [.real([3])]),
        Sample(.broadcast(Broadcast(shape: [2, 3, 4])), [.real([3, 1])]),
        Sample(.broadcast(Broadcast(shape: [2, 0])), [.real([2, 1])]),
        Sample(.broadcast(Broadcast(shape: [2, 3])), [.real([2, 3])]),
      ]
    }
  }

  /// Reverses the order along some axes.
  public struct Reverse: Elementary {
    /// The axes whose order is reversed.
    public var axes: AxisSet

    /// Along a set of axes, each in 0..<rank.
    public init(axes: AxisSet) { self.axes = axes }

    public var name: String { "reverse" }
    public var residuals: Residuals { [] }
    public func infer(_ operands: [TensorType]) throws -> [TensorType] {
      try Rules.count(operands, 1)
      try Rules.axes(axes, operands[0])
      return operands
    }
    public func vjp(_ context: VJPContext) -> [Tensor?] { Dispatch.run(.reverse(self), [context.gradient]) }
    public func jvp(_ context: JVPContext) -> [Tensor?] {
      [context.tangents[0].map { Dispatch.one(.reverse(self), $0) }]
    }
    public func batch(_ context: BatchContext) -> [Tensor] {
      Dispatch.run(.reverse(Reverse(axes: axes.shiftedForBatch)), context.inputs)
    }
    public static var samples: [Sample] {
      [
        Sample(.reverse(Reverse(axes: [])), [.real([])]), Sample(.reverse(Reverse(axes: [0])), [.real([3])]),
        Sample(.reverse(Reverse(axes: [1])), [.real([0, 2])]),
        Sample(.reverse(Reverse(axes: [0, 2])), [.real([2, 3, 4])]),
      ]
    }
  }

  /// Joins operands along an axis; their dtypes and other dimensions are equal: the sizes of the axis add up.
  public struct Concatenate: Elementary {
    /// The axis whose sizes add up, in 0..<rank.
    public var axis: Int

    /// Along an axis, in 0..<rank.
    public init(axis: Int) { self.axis = axis }

    public var name: String { "concatenate" }
    public var residuals: Residuals { .types }
    public func infer(_ operands: [TensorType]) throws -> [TensorType] {
      guard var result = operands.first else { throw ApusError(.argument, "takes at least one operand") }
      try Rules.axis(axis, result)
      for operand in operands.dropFirst() {
        try Rules.sameDType(result, operand)
        try Rules.rank(operand, result.rank, "every operand")
        for i in 0..<result.rank where i != axis {
          try Rules.equal(
            result.shape.dim(i), operand.shape.dim(i), "sizes of axis \(i) must be equal when joining along \(axis)")
        }
        result.shape.setDim(axis, result.shape.dim(axis) + operand.shape.dim(axis))
        try Rules.addressable(result.shape.dim(axis), "the joined axis \(axis)")
      }
      return [result]
    }
    public func vjp(_ context: VJPContext) -> [Tensor?] {
      let g = context.gradient
      var start: Dim = 0
      return (0..<context.operandCount).map { i in
        let stop = start + context.inputType(i).shape.dim(axis)
        defer { start = stop }
        return context.needs(i) ? g.sliced(axis: axis, start, stop) : nil
      }
    }
    public func jvp(_ context: JVPContext) -> [Tensor?] {
      if context.tangents.allSatisfy({ $0 == nil }) { return [nil] }
      return Dispatch.run(.concatenate(self), context.inputs.indices.map { context.tangent($0) })
    }
    public func batch(_ context: BatchContext) -> [Tensor] {
      Dispatch.run(.concatenate(Concatenate(axis: axis + 1)), context.allBatched)
    }
    public static var samples: [Sample] {
      [
        Sample(.concatenate(Concatenate(axis: 0)), [.real([3])]),
        Sample(.concatenate(Concatenate(axis: 0)), [.real([3]), .real([2])]),
        Sample(.concatenate(Concatenate(axis: 0)), [.real([0, 2]), .real([3, 2])]),
        Sample(.concatenate(Concatenate(axis: 1)), [.real([2, 3, 4]), .real([2, 1, 4]), .real([2, 2, 4])]),
        Sample(.concatenate(Concatenate(axis: 0)), [.real([1]), .real([2]), .real([1]), .real([2])]),
      ]
    }
  }
}
