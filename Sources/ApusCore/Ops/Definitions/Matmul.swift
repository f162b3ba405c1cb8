extension Primitive {
  /// […, m, k] · […, k, n] → […, m, n]. Both operands have the same rank ≥ 2 and equal batch dimensions.
  struct Matmul: Elementary {
    var name: String { "matmul" }
    var residuals: Residuals { [.input0, .input1] }

    func infer(_ operands: [TensorType]) throws -> [TensorType] {
      try Rules.count(operands, 2)
      let (a, b) = (operands[0], operands[1])
      try Rules.sameDType(a, b)
      try Rules.numeric(a)
      guard a.rank >= 2, b.rank == a.rank else {
        throw ApusError(.shape, "both operands must have the same rank ≥ 2")
      }
      let last = a.rank - 1
      for i in 0..<(last - 1) {
        try Rules.equal(a.shape.dim(i), b.shape.dim(i), "batch sizes of axis \(i) differ")
      }
      try Rules.equal(
        a.shape.dim(last), b.shape.dim(last - 1),
        "the first operand's last axis and the second's last but one must have equal sizes")
      return [a.with(shape: a.shape.replacing(last, with: b.shape.dim(last)))]
    }
    func vjp(_ context: VJPContext) -> [Tensor?] {
      let g = context.gradient
      // The gradient of a matrix stored as its transpose (weights [out, in], used as [in, out]) is made stored so too:
      // what it is added to, or updates, then lies in the same order in memory.
      func product(_ a: Tensor, _ b: Tensor, like operand: Tensor) -> Tensor {
        operand.storage.isTransposed
          ? Dispatch.one(.matmul, b.transposed(-1, -2), a.transposed(-1, -2)).transposed(-1, -2)
          : Dispatch.one(.matmul, a, b)
      }
      return [
        context.needs(0) ? product(g, context.input(1).transposed(-1, -2), like: context.input(0)) : nil,
        context.needs(1) ? product(context.input(0).transposed(-1, -2), g, like: context.input(1)) : nil,
      ]
    }
    func jvp(_ context: JVPContext) -> [Tensor?] {
      let (a, b) = (context.inputs[0], context.inputs[1])
      return [
        context.sum(
          context.tangents[0].map { Dispatch.one(.matmul, $0, b) },
          context.tangents[1].map { Dispatch.one(.matmul, a, $0) })
      ]
    }
    func batch(_ context: BatchContext) -> [Tensor] {
      // One matrix for the whole batch: the batch joins the rows.
      if !context.isBatched[1], context.inputs[1].rank == 2 {
        let a = context.inputs[0]
        let product = Dispatch.one(.matmul, a.reshape(a.shape.mergingFirstTwo), context.inputs[1])
        return [product.reshape(a.shape.replacing(2, with: context.inputs[1].shape.dim(1)))]
      }
      return Dispatch.run(.matmul, context.allBatched)
    }
    static var samples: [Sample] {
      func sample(_ a: Shape, _ b: Shape) -> Sample { Sample(.matmul, [.real(a), .real(b)]) }
      return [
        sample([1, 1], [1, 1]), sample([2, 3], [3, 4]), sample([0, 3], [3, 2]), sample([2, 0], [0, 3]),
        sample([2, 3, 4], [2, 4, 5]), sample([2, 1, 3, 2], [2, 1, 2, 3]),
        Sample(.matmul, [.integer([2, 3], -3...3), .integer([3, 2], -3...3)]),
      ]
    }
  }
}
