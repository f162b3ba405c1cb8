extension Tensor {
  /// Batch normalisation in training: over every axis but 1 of [N, C, …],
  /// y = (x − mean)/√(variance + ε)·scale + shift. Ioffe and Szegedy, 2015, https://arxiv.org/abs/1502.03167
  ///
  /// - Parameters:
  ///   - scale: [C].
  ///   - shift: [C].
  ///   - epsilon: ε, which keeps the divisor from 0.
  /// Dtypes are promoted.
  /// - Returns: y like x, and the batch's mean and biased variance, [C] each.
  public func batchNorm(
    scale: Tensor, shift: Tensor, epsilon: Double = 1e-5
  ) -> (y: Tensor, mean: Tensor, variance: Tensor) {
    let results = Dispatch.run(.batchNorm(.init(epsilon: epsilon)), Promotion.unified([self, scale, shift]))
    // A failure yields one poisoned tensor for results whose types are not known.
    return results.count == 3 ? (results[0], results[1], results[2]) : (results[0], results[0], results[0])
  }

  /// Batch normalisation of [N, C, …] by known statistics, all [C]. Dtypes are promoted.
  public func batchNormInference(
    mean: Tensor, variance: Tensor, scale: Tensor, shift: Tensor, epsilon: Double = 1e-5
  ) -> Tensor {
    Tensor.attempt("batchNormInference", self, mean, variance, scale, shift) {
      let x = Promotion.unified([self, mean, variance, scale, shift])
      _ = try ChannelStatistics.check(
        x[0].type, vectors: x[1...].map(\.type), ["the mean", "the variance", "the scale", "the shift"])
      let statistics = ChannelStatistics(x[0])
      let factor = x[3] * (x[2] + epsilon).rsqrt()
      // The difference first: x·f − mean·f would cancel where the mean is large beside the deviation.
      return (x[0] - statistics.spread(x[1])) * statistics.spread(factor) + statistics.spread(x[4])
    }
  }

  /// Layer normalisation over the last axis of […, D]: y = (x − mean)/√(variance + ε)·scale + shift.
  /// Ba et al., 2016, https://arxiv.org/abs/1607.06450. Dtypes are promoted.
  ///
  /// - Parameters:
  ///   - scale: [D]; 1 when left out.
  ///   - shift: [D]; 0 when left out.
  ///   - epsilon: ε, which keeps the divisor from 0.
  public func layerNorm(scale: Tensor? = nil, shift: Tensor? = nil, epsilon: Double = 1e-5) -> Tensor {
    Tensor.attempt("layerNorm", self) {
      let operands = Promotion.unified([self, scale, shift].compactMap { $0 })
      let x = operands[0].asReal()
      guard rank > 0 else { throw ApusError(.shape, "a scalar has no axis to normalise over") }
      let size = Shape(dims: [shape.dim(rank - 1)])
      // Normalising undoes a factor, if ε gets its square.
      let (small, factor) = x.withRoom(axes: [rank - 1])
      let centred = small - small.mean(axes: [-1], keepDims: true)
      let deviation = centred.norm(axes: [-1], keepDims: true).dividedByRootOfCount(of: x, axes: [rank - 1])
      var y = centred * deviation.inverseHypotenuse(epsilon.squareRoot() * factor)
      if let scale {
        try Rules.shape(scale.type, size, "the scale")
        y = y * scale
      }
      if let shift {
        try Rules.shape(shift.type, size, "the shift")
        y = y + shift
      }
      return y
    }
  }
}
