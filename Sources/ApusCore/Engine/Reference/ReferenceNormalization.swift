#if canImport(Glibc)
  import Glibc
#endif

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

  /// A channel's mean and deviation, scaled by a power of two so that no square overflows or vanishes.
  private static func statistics(_ values: [Double], _ places: [Int]) -> (mean: Double, deviation: Double) {
    let largest = places.reduce(0) { ReferenceElementwise.maximum($0, values[$1].magnitude) }
    let scale = ReferenceReduction.squareScale(largest)
    let count = Double(places.count)
    let mean = places.reduce(0) { $0 + values[$1] * scale } / count
    let variance = places.reduce(0) { $0 + (values[$1] * scale - mean) * (values[$1] * scale - mean) } / count
    return (mean / scale, variance.squareRoot() / scale)
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
      let (mean, deviation) = statistics(values, places)
      let divisor = hypot(deviation, epsilon.squareRoot())
      for i in places { y[i] = (values[i] - mean) / divisor * scales[channel] + shifts[channel] }
      means.append(mean)
      variances.append(deviation * deviation)
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
      // A variance that its dtype could not hold is taken once more.
      let deviation =
        variances[channel].isFinite ? variances[channel].squareRoot() : statistics(values, places).deviation
      let factor = 1 / hypot(deviation, epsilon.squareRoot())
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
