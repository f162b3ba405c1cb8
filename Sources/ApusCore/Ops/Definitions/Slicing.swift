extension Primitive {
  /// Elements `starts[i], starts[i] + steps[i], …` below `stops[i]` of each axis i. Normalised: 0 ≤ start ≤ stop ≤ size,
  /// step ≥ 1. The result's size is ⌈(stop − start) / step⌉.
  public struct Slice: Elementary {
    /// The first position along each axis.
    public var starts: Shape
    /// One past the last position that may be taken along each axis.
    public var stops: Shape
    /// The distance of positions along each axis: known numbers ≥ 1.
    public var steps: Shape

    /// One start, stop and step an axis.
    public init(starts: Shape, stops: Shape, steps: Shape) {
      self.starts = starts
      self.stops = stops
      self.steps = steps
    }

    public var name: String { "slice" }
    public var residuals: Residuals { .types }
    public func infer(_ operands: [TensorType]) throws -> [TensorType] {
      try Rules.count(operands, 1)
      let shape = operands[0].shape
      guard starts.rank == shape.rank, stops.rank == shape.rank, steps.rank == shape.rank else {
        throw ApusError(.argument, "needs a start, stop and step for each of the operand's \(shape.rank) axes")
      }
      var result = shape
      for i in 0..<shape.rank {
        let (start, stop, size) = (starts.dim(i), stops.dim(i), shape.dim(i))
        guard let step = steps.dim(i).value, step >= 1 else {
          throw ApusError(.argument, "the step along axis \(i) must be a known number ≥ 1, not \(steps.dim(i))")
        }
        if Rules.exceeds(start, stop) || Rules.exceeds(stop, size) {
          throw ApusError(.argument, "\(start)..<\(stop) is not within axis \(i), which has \(size) elements")
        }
        try Rules.addressable(Dim(step), "the step along axis \(i)")
        let length = stop - start
        // Of a known length without a sum, which could be too large.
        result.setDim(
          i,
          step == 1
            ? length : length.value.map { Dim($0 == 0 ? 0 : ($0 - 1) / step + 1) } ?? (length + (step - 1)) / step)
      }
      return [operands[0].with(shape: result)]
    }
    public func vjp(_ context: VJPContext) -> [Tensor?] {
      let type = context.inputType(0)
      if (0..<steps.rank).allSatisfy({ steps.dim($0) == 1 }) {
        let high = Shape(dims: (0..<type.rank).map { type.shape.dim($0) - stops.dim($0) })
        return Dispatch.run(.pad(Pad(low: starts, high: high, value: .double(0))), [context.gradient])
      }
      let zeros = Tensor.filled(.double(0), context.gradient, shape: type.shape)
      return Dispatch.run(.sliceUpdate(SliceUpdate(starts: starts, steps: steps)), [zeros, context.gradient])
    }
    public func jvp(_ context: JVPContext) -> [Tensor?] {
      [context.tangents[0].map { Dispatch.one(.slice(self), $0) }]
    }
    public func batch(_ context: BatchContext) -> [Tensor] {
      let batched = Slice(
        starts: starts.inserting(0, at: 0), stops: stops.inserting(context.size, at: 0),
        steps: steps.inserting(1, at: 0))
      return Dispatch.run(.slice(batched), context.inputs)
    }
    public static var samples: [Sample] {
      func sample(_ shape: Shape, _ starts: Shape, _ stops: Shape, _ steps: Shape) -> Sample {
        Sample(.slice(Slice(starts: starts, stops: stops, steps: steps)), [.real(shape)])
      }
      return [
        sample([], [], [], []), sample([5], [1], [4], [1]), sample([5], [0], [5], [2]), sample([5], [2], [2], [1]),
        sample([0, 2], [0, 1], [0, 2], [1, 1]), sample([2, 3, 4], [1, 0, 1], [2, 3, 4], [1, 1, 1]),
        sample([2, 5, 4], [0, 1, 0], [2, 5, 4], [1, 3, 2]),
      ]
    }
  }

  /// `x` with `update` in the places that a slice from `starts` by `steps` of the update's size would read: x, update of
  /// x's dtype and rank → like x.
  public struct SliceUpdate: Elementary {
    /// The first position written along each axis.
    public var starts: Shape
    /// The distance of positions along each axis: known numbers ≥ 1.
    public var steps: Shape

    /// One start and step an axis.
    public init(starts: Shape, steps: Shape) {
      self.starts = starts
      self.steps = steps
    }

    public var name: String { "sliceUpdate" }
    public var residuals: Residuals { .types }
    public func infer(_ operands: [TensorType]) throws -> [TensorType] {
      try Rules.count(operands, 2)
      let (x, update) = (operands[0], operands[1])
      try Rules.sameDType(x, update)
      try Rules.rank(update, x.rank, "the update")
      guard starts.rank == x.rank, steps.rank == x.rank else {
        throw ApusError(.argument, "needs a start and step for each of the operand's \(x.rank) axes")
      }
      for i in 0..<x.rank {
        guard let step = steps.dim(i).value, step >= 1 else {
          throw ApusError(.argument, "the step along axis \(i) must be a known number ≥ 1, not \(steps.dim(i))")
        }
        try Rules.addressable(Dim(step), "the step along axis \(i)")
        try Rules.addressable(starts.dim(i), "the start along axis \(i)")
        let count = update.shape.dim(i)
        try Rules.addressable(count * step, "the stretch along axis \(i)")
        let end = count.value == 0 ? starts.dim(i) : Self.end(starts.dim(i), count, step)
        if Rules.exceeds(end, x.shape.dim(i)) {
          throw ApusError(
            .shape,
            "\(count) elements from \(starts.dim(i)) by \(step) do not fit axis \(i) of \(x.shape.dim(i)) elements")
        }
      }
      return [x]
    }

    /// One past the last place written.
    private static func end(_ start: Dim, _ count: Dim, _ step: Int) -> Dim {
      step == 1 ? start + count : start + count * step - (step - 1)
    }

    /// The slice that reads what this writes.
    private func slice(of update: Shape) -> Slice {
      let stops = (0..<update.rank).map { i in
        update.dim(i).value == 0 ? starts.dim(i) : Self.end(starts.dim(i), update.dim(i), steps.dim(i).value ?? 1)
      }
      return Slice(starts: starts, stops: Shape(dims: stops), steps: steps)
    }

    public func vjp(_ context: VJPContext) -> [Tensor?] {
      let g = context.gradient
      let update = context.inputType(1).shape
      return [
        context.needs(0)
          ? Dispatch.one(.sliceUpdate(self), g, Tensor.filled(.double(0), g, shape: update)) : nil,
        context.needs(1) ? Dispatch.one(.slice(slice(of: update)), g) : nil,
      ]
    }
    public func jvp(_ context: JVPContext) -> [Tensor?] {
      if context.tangents[0] == nil, context.tangents[1] == nil { return [nil] }
      return Dispatch.run(.sliceUpdate(self), [context.tangent(0), context.tangent(1)])
    }
    public func batch(_ context: BatchContext) -> [Tensor] {
      let batched = SliceUpdate(starts: starts.inserting(0, at: 0), steps: steps.inserting(1, at: 0))
      return Dispatch.run(.sliceUpdate(batched), context.allBatched)
    }
    public static var samples: [Sample] {
      func sample(_ shape: Shape, _ update: Shape, _ starts: Shape, _ steps: Shape) -> Sample {
        Sample(.sliceUpdate(SliceUpdate(starts: starts, steps: steps)), [.real(shape), .real(update)])
      }
      return [
        sample([], [], [], []), sample([5], [2], [1], [1]), sample([5], [3], [0], [2]), sample([5], [0], [2], [1]),
        sample([0, 2], [0, 1], [0, 1], [1, 1]), sample([2, 3, 4], [1, 3, 2], [1, 0, 1], [1, 1, 2]),
      ]
    }
  }

  /// Adds `low[i]` elements before and `high[i]` after axis `i`, all of them `value`.
  public struct Pad: Elementary {
    /// How many elements come before, an axis each.
    public var low: Shape
    /// How many elements come after, an axis each.
    public var high: Shape
    /// What the new elements hold, rounded to the operand's dtype; one beyond its range is an error (argument).
    public var value: Scalar

    /// One number before and after for each axis.
    public init(low: Shape, high: Shape, value: Scalar) {
      self.low = low
      self.high = high
      self.value = value
    }

    public var name: String { "pad" }
    public var residuals: Residuals { .types }
    public func infer(_ operands: [TensorType]) throws -> [TensorType] {
      try Rules.count(operands, 1)
      var shape = operands[0].shape
      guard low.rank == shape.rank, high.rank == shape.rank else {
        throw ApusError(.argument, "needs a pair of paddings for each of the operand's \(shape.rank) axes")
      }
      try value.checkFits(operands[0].dtype)
      for i in 0..<shape.rank {
        try Rules.addressable(low.dim(i), "the padding before axis \(i)")
        try Rules.addressable(high.dim(i), "the padding after axis \(i)")
        shape.setDim(i, shape.dim(i) + low.dim(i) + high.dim(i))
      }
      return [operands[0].with(shape: shape)]
    }
    public func vjp(_ context: VJPContext) -> [Tensor?] {
      let shape = context.inputType(0).shape
      let stops = Shape(dims: (0..<shape.rank).map { low.dim($0) + shape.dim($0) })
      return Dispatch.run(.slice(Slice(starts: low, stops: stops, steps: .ones(shape.rank))), [context.gradient])
    }
    public func jvp(_ context: JVPContext) -> [Tensor?] {
      [context.tangents[0].map { Dispatch.one(.pad(Pad(low: low, high: high, value: .double(0))), $0) }]
    }
    public func batch(_ context: BatchContext) -> [Tensor] {
      let batched = Pad(low: low.inserting(0, at: 0), high: high.inserting(0, at: 0), value: value)
      return Dispatch.run(.pad(batched), context.inputs)
    }
    public static var samples: [Sample] {
      func sample(_ shape: Shape, _ low: Shape, _ high: Shape, _ value: Double = 0) -> Sample {
        Sample(.pad(Pad(low: low, high: high, value: .double(value))), [.real(shape)])
      }
      return [
        sample([], [], []), sample([3], [2], [0]), sample([3], [0], [1], 1.5), sample([0, 2], [1, 0], [1, 2]),
        sample([2, 3, 4], [0, 1, 2], [1, 0, 1], -1),
      ]
    }
  }
}
