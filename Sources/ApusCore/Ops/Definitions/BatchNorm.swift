extension Primitive {
  /// Batch normalisation in training, over every axis but 1: x [N, C, …], scale [C], shift [C] →
  /// y = (x − mean)/√(variance + ε)·scale + shift, mean [C], variance [C] (biased, /count).
  /// Ioffe and Szegedy, 2015, https://arxiv.org/abs/1502.03167
  public struct BatchNorm: PrimitiveDefinition {
    /// ε, which keeps the divisor from 0.
    public var epsilon: Double

    /// With this ε.
    public init(epsilon: Double) { self.epsilon = epsilon }

    public var name: String { "batchNorm" }
    public var residuals: Residuals { [.input0, .input1, .outputs] }
    public func infer(_ operands: [TensorType]) throws -> [TensorType] {
      try Rules.count(operands, 3)
      let channels = try ChannelStatistics.check(
        operands[0], vectors: Array(operands.dropFirst()), ["the scale", "the shift"])
      return [operands[0], channels, channels]
    }

    public func vjp(_ context: VJPContext) -> [Tensor?] {
      let (x, scale) = (context.input(0), context.input(1))
      let (mean, variance) = (context.output(1), context.output(2))
      let statistics = ChannelStatistics(x)
      var (dx, dscale, dshift): (Tensor?, Tensor?, Tensor?)
      if let g = context.outputGradient(0) {
        let parts = Dispatch.run(
          .batchNormGradient(BatchNormGradient(epsilon: epsilon)), [x, scale, mean, variance, g])
        (dx, dscale, dshift) = (parts[0], parts[1], parts[2])
      }
      // What arrives at the statistics themselves reaches x only.
      func add(_ term: Tensor) { dx = dx.map { $0 + term } ?? term }
      if let g = context.outputGradient(1) { add(statistics.spread(statistics.overCount(g))) }
      if let g = context.outputGradient(2) {
        add((x - statistics.spread(mean)) * statistics.spread(statistics.overCount(g * 2)))
      }
      return [dx, dscale, dshift]
    }

    public func jvp(_ context: JVPContext) -> [Tensor?] {
      let (x, scale) = (context.inputs[0], context.inputs[1])
      let (mean, variance) = (context.outputs[1], context.outputs[2])
      let statistics = ChannelStatistics(x)
      let centred = x - statistics.spread(mean)
      let inverse = (variance + epsilon).rsqrt()
      let normal = centred * statistics.spread(inverse)
      let affine = context.sum(
        context.tangents[1].map { normal * statistics.spread($0) },
        context.tangents[2].map { statistics.spread($0).broadcast(to: x.shape) })
      guard let dx = context.tangents[0] else { return [affine, nil, nil] }
      let dmean = statistics.mean(dx)
      let dvariance = statistics.mean(centred * dx) * 2
      let dnormal =
        (dx - statistics.spread(dmean)) * statistics.spread(inverse)
        - normal * statistics.spread(dvariance * inverse * inverse * 0.5)
      return [context.sum(dnormal * statistics.spread(scale), affine), dmean, dvariance]
    }

    public func batch(_ context: BatchContext) -> [Tensor] {
      ChannelStatistics.batch(.batchNorm(self), context, images: [0], imageResults: [0])
    }

    public func decomposition(_ operands: [Tensor]) -> [Tensor]? {
      let (x, scale, shift) = (operands[0], operands[1], operands[2])
      let statistics = ChannelStatistics(x)
      let mean = statistics.mean(x)
      let centred = x - statistics.spread(mean)
      let variance = statistics.mean(centred * centred)
      let normal = centred * statistics.spread((variance + epsilon).rsqrt())
      return [normal * statistics.spread(scale) + statistics.spread(shift), mean, variance]
    }

    public static var samples: [Sample] {
      ChannelStatistics.sampleShapes.map { shape, channels in
        Sample(.batchNorm(BatchNorm(epsilon: 0.01)), [.real(shape), .real(channels), .real(channels)])
      }
    }
  }

  /// The gradient of ``BatchNorm``'s first result: x, scale, mean, variance, g (like x) → dx, dscale [C], dshift [C].
  /// The statistics are operands of their own; the gradient of x through them is part of dx.
  public struct BatchNormGradient: PrimitiveDefinition {
    /// ε, which keeps the divisor from 0.
    public var epsilon: Double

    /// With this ε.
    public init(epsilon: Double) { self.epsilon = epsilon }

    public var name: String { "batchNormGradient" }
    public var residuals: Residuals { .inputs }
    public func infer(_ operands: [TensorType]) throws -> [TensorType] {
      try Rules.count(operands, 5)
      let channels = try ChannelStatistics.check(
        operands[0], vectors: Array(operands[1..<4]), ["the scale", "the mean", "the variance"])
      try Rules.same(operands[0], operands[4])
      return [operands[0], channels, channels]
    }

    /// The values that all of its derivatives are written in.
    private struct Parts {
      let statistics: ChannelStatistics
      let scale, g, centred, normal, inverse, totalG, totalGNormal: Tensor

      init(_ x: Tensor, _ scale: Tensor, _ mean: Tensor, _ variance: Tensor, _ g: Tensor, _ epsilon: Double) {
        statistics = ChannelStatistics(x)
        self.scale = scale
        self.g = g
        inverse = (variance + epsilon).rsqrt()
        centred = x - statistics.spread(mean)
        normal = centred * statistics.spread(inverse)
        totalG = statistics.total(g)
        totalGNormal = statistics.total(g * normal)
      }
      init(_ inputs: [Tensor], _ epsilon: Double) {
        self.init(inputs[0], inputs[1], inputs[2], inputs[3], inputs[4], epsilon)
      }

      /// g less its projections on 1 and on the normalised image: dx / (scale · inverse).
      var projected: Tensor {
        g - statistics.spread(statistics.overCount(totalG)) - normal
          * statistics.spread(statistics.overCount(totalGNormal))
      }
    }

    public func decomposition(_ operands: [Tensor]) -> [Tensor]? {
      let p = Parts(operands, epsilon)
      return [p.projected * p.statistics.spread(p.scale * p.inverse), p.totalGNormal, p.totalG]
    }

    /// With n the normalised image, i = 1/√(variance + ε), and u, a, b arriving at dx, dscale, dshift, the function is
    /// L = Σ scale·i·T + a·Σgn + b·Σg per channel, T = Σug − Σu·Σg/M − Σun·Σgn/M. Its partial derivatives:
    public func vjp(_ context: VJPContext) -> [Tensor?] {
      let p = Parts((0..<5).map { context.input($0) }, epsilon)
      let s = p.statistics
      let u = context.outputGradient(0) ?? Tensor.zerosLike(p.g)
      let a = context.outputGradient(1) ?? Tensor.zerosLike(p.scale)
      let b = context.outputGradient(2) ?? Tensor.zerosLike(p.scale)
      let (totalU, totalUNormal) = (s.total(u), s.total(u * p.normal))
      let t = s.total(u * p.g) - s.overCount(totalU * p.totalG) - s.overCount(totalUNormal * p.totalGNormal)
      let factor = p.scale * p.inverse
      let dg =
        (u - s.spread(s.overCount(totalU)) - p.normal * s.spread(s.overCount(totalUNormal))) * s.spread(factor)
        + p.normal * s.spread(a) + s.spread(b)
      let dnormal =
        p.g * s.spread(a)
        - (u * s.spread(s.overCount(p.totalGNormal)) + p.g * s.spread(s.overCount(totalUNormal))) * s.spread(factor)
      let dx = dnormal * s.spread(p.inverse)
      let dinverse = p.scale * t + s.total(dnormal * p.centred)
      return [
        dx, p.inverse * t, -s.total(dx), dinverse * p.inverse * p.inverse * p.inverse * -0.5, dg,
      ]
    }

    public func jvp(_ context: JVPContext) -> [Tensor?] {
      if context.tangents.allSatisfy({ $0 == nil }) { return [nil, nil, nil] }
      let p = Parts(context.inputs, epsilon)
      let s = p.statistics
      let (dx, dscale, dmean) = (context.tangent(0), context.tangent(1), context.tangent(2))
      let (dvariance, dg) = (context.tangent(3), context.tangent(4))
      let dinverse = dvariance * p.inverse * p.inverse * p.inverse * -0.5
      let dnormal = (dx - s.spread(dmean)) * s.spread(p.inverse) + p.centred * s.spread(dinverse)
      let dtotalG = s.total(dg)
      let dtotalGNormal = s.total(dg * p.normal + p.g * dnormal)
      let dprojected =
        dg - s.spread(s.overCount(dtotalG)) - dnormal * s.spread(s.overCount(p.totalGNormal))
        - p.normal * s.spread(s.overCount(dtotalGNormal))
      let dfactor = dscale * p.inverse + p.scale * dinverse
      return [
        p.projected * s.spread(dfactor) + dprojected * s.spread(p.scale * p.inverse), dtotalGNormal, dtotalG,
      ]
    }

    public func batch(_ context: BatchContext) -> [Tensor] {
      ChannelStatistics.batch(.batchNormGradient(self), context, images: [0, 4], imageResults: [0])
    }

    public static var samples: [Sample] {
      ChannelStatistics.sampleShapes.map { shape, channels in
        Sample(
          .batchNormGradient(BatchNormGradient(epsilon: 0.01)),
          [.real(shape), .real(channels), .real(channels), .real(channels, 0.5...2), .real(shape)])
      }
    }
  }
}

/// Sums over every axis of an image but the channels, and their way back.
struct ChannelStatistics {
  private let image: Tensor
  private let axes: [Int]

  init(_ image: Tensor) {
    self.image = image
    axes = (0..<image.rank).filter { $0 != 1 }
  }

  /// [C] of an image.
  func total(_ x: Tensor) -> Tensor { x.sum(axes: axes, keepDims: false) }
  func mean(_ x: Tensor) -> Tensor { overCount(total(x)) }
  /// Divides by the number of elements in a channel.
  func overCount(_ v: Tensor) -> Tensor { v.dividedByCount(of: image, axes: axes) }
  /// [C] → [1, C, 1, …].
  func spread(_ v: Tensor) -> Tensor {
    v.reshape(Shape(dims: (0..<image.rank).map { $0 == 1 ? v.shape.dim(0) : 1 }))
  }

  /// - Returns: the type of a channel vector.
  static func check(_ image: TensorType, vectors: [TensorType], _ names: [String]) throws -> TensorType {
    try Rules.floating(image)
    guard image.rank >= 2 else { throw ApusError(.shape, "the image must have rank ≥ 2 (N, C, …), not \(image.rank)") }
    let channels = image.with(shape: Shape(dims: [image.shape.dim(1)]))
    for (vector, name) in zip(vectors, names) {
      try Rules.sameDType(image, vector)
      try Rules.shape(vector, channels.shape, name)
    }
    return channels
  }

  /// The batch joins the channels: each has its own statistics.
  static func batch(_ primitive: Primitive, _ context: BatchContext, images: [Int], imageResults: [Int]) -> [Tensor] {
    let operands = context.allBatched.enumerated().map { i, x in
      let moved = images.contains(i) ? x.movingAxis(0, to: 1) : x
      return moved.reshape(moved.shape.merging(images.contains(i) ? 1 : 0))
    }
    return Dispatch.run(primitive, operands).enumerated().map { i, y in
      imageResults.contains(i)
        ? y.reshape(y.shape.splitting(1, context.size)).movingAxis(1, to: 0)
        : y.reshape(y.shape.splitting(0, context.size))
    }
  }

  static let sampleShapes: [(Shape, Shape)] = [
    ([4, 3], [3]), ([3, 2, 4], [2]), ([2, 3, 2, 2], [3]), ([1, 1, 2, 3], [1]),
  ]
}
