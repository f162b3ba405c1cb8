extension Tensor {
  /// The matrix product, by NumPy's rules: […, m, k] · […, k, n] → […, m, n], leading axes broadcast; a vector is a row
  /// on the left and a column on the right, and that axis is dropped again. Dtypes are promoted; integers stay
  /// integers. https://numpy.org/doc/stable/reference/generated/numpy.matmul.html
  ///
  /// ```swift
  /// Tensor.ones([2, 3]).matmul(Tensor.ones([3, 4]))         // [2, 4] of 3
  /// Tensor.ones([8, 2, 3]).matmul(Tensor.ones([3]))         // [8, 2] of 3
  /// ```
  /// A scalar, inner sizes that differ or leading axes that don't broadcast: error (shape). Two of bool: error (dtype).
  public func matmul(_ other: Tensor) -> Tensor {
    if rank == 2, other.rank == 2, dtype == other.dtype { return Dispatch.one(.matmul, self, other) }
    return Tensor.attempt("matmul", self, other) {
      let dtype = DType.promote(dtype, other.dtype)
      return try Tensor.product(cast(to: dtype), other.cast(to: dtype))
    }
  }

  private static func product(_ a: Tensor, _ b: Tensor) throws -> Tensor {
    guard a.rank > 0, b.rank > 0 else { throw ApusError(.shape, "a scalar has no matrix product; use *") }
    if a.rank == 1 {
      let row = try product(a.unsqueezed(0), b)
      return row.reshape(row.shape.dropping(b.rank == 1 ? 0 : row.rank - 2))
    }
    if b.rank == 1 {
      let column = try product(a, b.unsqueezed(1))
      return column.reshape(column.shape.dropping(column.rank - 1))
    }
    let (inner, expected) = (a.shape.dim(a.rank - 1), b.shape.dim(b.rank - 2))
    try Rules.equal(
      inner, expected, "the first operand's last axis and the second's last but one must have equal sizes")
    if b.rank == 2, a.rank > 2 {
      // One matrix on the right: every row on the left meets it, so all are one matrix.
      let rows = a.shape.dims[..<(a.rank - 1)].reduce(1, *)
      let flat = Dispatch.one(.matmul, a.reshape(Shape(dims: [rows, inner])), b)
      return flat.reshape(a.shape.replacing(a.rank - 1, with: b.shape.dim(1)))
    }
    let (left, right) = (Shape(dims: a.shape.dims.dropLast(2)), Shape(dims: b.shape.dims.dropLast(2)))
    guard let batch = Shape.broadcast(left, right) else { throw Promotion.misfit(left, right) }
    try Rules.rank(batch.rank + 2)
    return Dispatch.one(
      .matmul, a.stretched(to: batch.appending(Shape(dims: a.shape.dims.suffix(2)))),
      b.stretched(to: batch.appending(Shape(dims: b.shape.dims.suffix(2)))))
  }

  /// The inner product Σxᵢyᵢ of two vectors of equal length: a scalar. Other shapes: error (shape).
  public func dot(_ other: Tensor) -> Tensor {
    Tensor.attempt("dot", self, other) {
      try Rules.rank(type, 1, "the first operand")
      try Rules.rank(other.type, 1, "the second operand")
      return matmul(other)
    }
  }
}
