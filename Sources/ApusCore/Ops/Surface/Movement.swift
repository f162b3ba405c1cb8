/// The same elements in another arrangement. On plain memory these are views wherever strides allow.
extension Tensor {
  /// The elements, in row-major order, under another shape.
  ///
  /// A shape with another number of elements: error (shape). Its sizes may be symbolic: `x.reshape([x.dimension(0),
  /// 64])` stays open in a trace.
  public func reshape(_ shape: Shape) -> Tensor {
    self.shape == shape ? self : Dispatch.one(.reshape(.init(shape: shape)), self)
  }

  /// The same with one size left open.
  ///
  /// ```swift
  /// Tensor.zeros([2, 3, 4]).reshape([-1, 4])      // [6, 4]
  /// ```
  /// - Parameter sizes: one of them may be −1: what the others leave.
  public func reshape(_ sizes: [Int]) -> Tensor {
    Tensor.attempt("reshape", self) {
      try Rules.rank(sizes.count)
      var shape = Shape.ones(sizes.count)
      var open: Int?
      for (i, size) in sizes.enumerated() {
        if size == -1, open == nil {
          open = i
        } else if size >= 0 {
          shape.setDim(i, Dim(size))
        } else {
          throw ApusError(.argument, "\(sizes) is no shape: sizes are not negative, and only one may be -1")
        }
      }
      if let open {
        let (total, rest) = (self.shape.elementDim, shape.elementDim)
        guard rest != 0, let known = rest.value, total.value.map({ $0 % known == 0 }) ?? true else {
          throw ApusError(.shape, "\(total) elements do not divide into \(sizes)")
        }
        shape.setDim(open, total / rest)
      }
      return reshape(shape)
    }
  }
  /// The same, one argument an axis: `x.reshape(-1, 4)`.
  public func reshape(_ sizes: Int...) -> Tensor { reshape(sizes) }

  /// Axes `from`, `from` + 1, … as one.
  ///
  /// ```swift
  /// Tensor.zeros([32, 8, 4, 4]).flattened(from: 1)      // [32, 128]
  /// ```
  public func flattened(from axis: Int = 0) -> Tensor {
    Tensor.attempt("flattened", self) {
      if rank == 0 { return reshape(Shape.ones(1)) }
      let first = try normalized(axis)
      let dims = shape.dims
      return reshape(Shape(dims: dims[..<first] + [dims[first...].reduce(1, *)]))
    }
  }

  /// Axis `i` of the result is axis `order[i]`. Negative axes count from the end.
  ///
  /// ```swift
  /// image.permuted(0, 2, 3, 1)      // NCHW to NHWC
  /// ```
  /// Not every axis once: error (argument).
  public func permuted(_ order: Int...) -> Tensor { permuted(order) }
  /// The same with the axes in an array.
  public func permuted(_ order: [Int]) -> Tensor {
    Tensor.attempt("permuted", self) {
      let axes = try order.map(normalized)
      guard axes.sorted() == Array(0..<rank) else {
        throw ApusError(.argument, "\(order) does not name each of the \(rank) axes once")
      }
      let permutation = Permutation(axes)
      return permutation.isIdentity ? self : Dispatch.one(.permute(.init(permutation: permutation)), self)
    }
  }

  /// Two axes exchanged; negative ones count from the end: `x.transposed(-1, -2)` transposes each matrix of a batch.
  public func transposed(_ a: Int, _ b: Int) -> Tensor {
    Tensor.attempt("transposed", self) {
      var order = Array(0..<rank)
      order.swapAt(try normalized(a), try normalized(b))
      return permuted(order)
    }
  }

  /// A matrix's transpose: [m, n] → [n, m]. Another rank: error (shape).
  public var T: Tensor {
    Tensor.attempt("T", self) {
      try Rules.rank(type, 2, "a matrix")
      return transposed(0, 1)
    }
  }

  /// Without an axis of size 1, or without all of them.
  ///
  /// ```swift
  /// Tensor.zeros([1, 3, 1]).squeezed(-1)      // [1, 3]
  /// Tensor.zeros([1, 3, 1]).squeezed()        // [3]
  /// ```
  /// An axis of another size: error (shape).
  public func squeezed(_ axis: Int? = nil) -> Tensor {
    Tensor.attempt("squeezed", self) {
      guard let axis else { return reshape(Shape(dims: shape.dims.filter { $0 != 1 })) }
      let i = try normalized(axis)
      guard shape.dim(i) == 1 else {
        throw ApusError(.shape, "axis \(axis) has size \(shape.dim(i)); only an axis of size 1 can be dropped")
      }
      return reshape(shape.dropping(i))
    }
  }

  /// With a new axis of size 1, which is axis `axis` of the result (negative: from the result's end).
  ///
  /// ```swift
  /// Tensor.zeros([3]).unsqueezed(0)       // [1, 3]
  /// Tensor.zeros([3]).unsqueezed(-1)      // [3, 1]
  /// ```
  public func unsqueezed(_ axis: Int) -> Tensor {
    Tensor.attempt("unsqueezed", self) {
      let i = axis < 0 ? axis + rank + 1 : axis
      guard i >= 0, i <= rank else { throw ApusError(.argument, "axis \(axis) is not in \(-rank - 1)...\(rank)") }
      try Rules.rank(rank + 1)
      return reshape(shape.inserting(1, at: i))
    }
  }

  /// Sizes of 1 and missing leading axes repeated to fill a shape, without copying. A shape that does not fit: error
  /// (shape).
  ///
  /// ```swift
  /// Tensor([1, 2]).broadcast(to: [3, 2])      // [[1, 2], [1, 2], [1, 2]]
  /// ```
  public func broadcast(to shape: Shape) -> Tensor { stretched(to: shape) }

  /// The order along some axes reversed; along all of them without arguments.
  public func reversed(_ axes: Int...) -> Tensor {
    Tensor.attempt("reversed", self) { Dispatch.one(.reverse(.init(axes: try normalized(all(axes)))), self) }
  }

  /// Surrounded by `value`: each axis grows by the two numbers given for it.
  ///
  /// ```swift
  /// Tensor([1, 2]).padded([(1, 2)], value: 9)      // [9, 1, 2, 9, 9]
  /// ```
  /// - Parameters:
  ///   - amounts: for each axis how many elements come before and after; not negative.
  ///   - value: what the new elements hold; one that the dtype can't: error (argument).
  public func padded<S: TensorScalar>(_ amounts: [(Int, Int)], value: S) -> Tensor {
    Tensor.attempt("padded", self) {
      guard amounts.count == rank, amounts.allSatisfy({ $0.0 >= 0 && $0.1 >= 0 }) else {
        throw ApusError(.argument, "needs, for each of the \(rank) axes, two numbers that are not negative: \(amounts)")
      }
      let (low, high) = (Shape(amounts.map(\.0)), Shape(amounts.map(\.1)))
      return Dispatch.one(.pad(.init(low: low, high: high, value: value.scalar)), self)
    }
  }
  /// Surrounded by zeros.
  ///
  /// ```swift
  /// Tensor([1, 2]).padded([(1, 2)])      // [0, 1, 2, 0, 0]
  /// ```
  public func padded(_ amounts: [(Int, Int)]) -> Tensor { padded(amounts, value: 0) }
}
