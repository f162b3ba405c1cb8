/// Batch normalisation over all axes but the second ("Batch Normalization", Ioffe and Szegedy, 2015), for the
/// reference engine.
enum ReferenceNormalization {
  /// The places of each channel's elements.
  private static func places(_ shape: Shape) -> [[Int]] {
    let view = AxisView(shape, 1)
    return (0..<view.length).map { channel in
      (0..<view.outer).flatMap { outer in (0..<view.inner).map { view.position(outer, channel, $0) } }
    }
  }

  /// y = (x − μ) / √(σ² + ε) · scale + shift, with μ and the biased σ² of each channel.
  static func batchNorm(
    _ x: ReferenceArray, scale: ReferenceArray, shift: ReferenceArray, epsilon: Double, _ outputs: [TensorType]
  ) throws -> [ReferenceArray] {
    let (values, scales, shifts) = (try x.reals(), try scale.reals(), try shift.reals())
    var y = values
    var means: [Double] = []
    var variances: [Double] = []
    for (channel, places) in places(x.shape).enumerated() {
      let count = Double(places.count)
      let mean = places.reduce(0) { $0 + values[$1] } / count
      let variance = places.reduce(0) { $0 + (values[$1] - mean) * (values[$1] - mean) } / count
      let factor = scales[channel] / (variance + epsilon).squareRoot()
      for i in places { y[i] = (values[i] - mean) * factor + shifts[channel] }
      means.append(mean)
      variances.append(variance)
    }
    return [
      ReferenceArray(outputs[0], y), ReferenceArray(outputs[1], means), ReferenceArray(outputs[2], variances),
    ]
  }

  /// With x̂ = (x − μ) / √(σ² + ε) and means over each channel:
  /// dx = scale / √(σ² + ε) · (g − mean(g) − x̂ · mean(g · x̂)), dscale = Σ g · x̂, dshift = Σ g.
  static func batchNormGradient(
    _ x: ReferenceArray, scale: ReferenceArray, mean: ReferenceArray, variance: ReferenceArray,
    gradient: ReferenceArray, epsilon: Double, _ outputs: [TensorType]
  ) throws -> [ReferenceArray] {
    let (values, g) = (try x.reals(), try gradient.reals())
    let (scales, means, variances) = (try scale.reals(), try mean.reals(), try variance.reals())
    var dx = values
    var dscale: [Double] = []
    var dshift: [Double] = []
    for (channel, places) in places(x.shape).enumerated() {
      let count = Double(places.count)
      let factor = 1 / (variances[channel] + epsilon).squareRoot()
      func normalized(_ i: Int) -> Double { (values[i] - means[channel]) * factor }
      let total = places.reduce(0) { $0 + g[$1] }
      let weighted = places.reduce(0) { $0 + g[$1] * normalized($1) }
      for i in places { dx[i] = scales[channel] * factor * (g[i] - total / count - normalized(i) * weighted / count) }
      dscale.append(weighted)
      dshift.append(total)
    }
    return [
      ReferenceArray(outputs[0], dx), ReferenceArray(outputs[1], dscale), ReferenceArray(outputs[2], dshift),
    ]
  }
}
