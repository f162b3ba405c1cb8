import ApusCore

#if canImport(Glibc)
  import Glibc
#endif

/// Normal numbers restricted to an interval, by the inverse of the distribution function.
enum TruncatedNormal {
  static func sample(
    _ shape: Shape, mean: Double, standardDeviation: Double, bound: Double, dtype: DType, generator: Generator
  ) -> Tensor {
    let low = cumulative(-bound)
    let high = cumulative(bound)
    let uniform = Tensor.uniform(shape, low: 0, high: 1, dtype: .float64, generator: generator)
    let values = uniform.toArray(of: Double.self).map { u in
      let z = quantile(low + u * (high - low))
      return mean + standardDeviation * Swift.min(Swift.max(z, -bound), bound)
    }
    return Tensor(values, shape: shape, dtype: dtype)
  }

  /// Φ(x).
  static func cumulative(_ x: Double) -> Double { 0.5 * erfc(-x / 2.0.squareRoot()) }

  /// Φ⁻¹(p) for 0 < p < 1: the rational approximation of P. J. Acklam (2003, relative error 1.15e-9), then one step of
  /// Halley's method.
  static func quantile(_ p: Double) -> Double {
    if p <= 0 { return -.infinity }
    if p >= 1 { return .infinity }
    let split = 0.02425
    let x: Double
    if p < split {
      x = tail((-2 * log(p)).squareRoot())
    } else if p > 1 - split {
      x = -tail((-2 * log1p(-p)).squareRoot())
    } else {
      let q = p - 0.5
      let r = q * q
      let numerator = polynomial(
        r,
        [
          -3.969683028665376e+01, 2.209460984245205e+02, -2.759285104469687e+02, 1.383577518672690e+02,
          -3.066479806614716e+01, 2.506628277459239e+00,
        ])
      let denominator = polynomial(
        r,
        [
          -5.447609879822406e+01, 1.615858368580409e+02, -1.556989798598866e+02, 6.680131188771972e+01,
          -1.328068155288572e+01, 1,
        ])
      x = q * numerator / denominator
    }
    let error = cumulative(x) - p
    let step = error * (2 * Double.pi).squareRoot() * exp(x * x / 2)
    return x - step / (1 + x * step / 2)
  }

  private static func tail(_ q: Double) -> Double {
    let numerator = polynomial(
      q,
      [
        -7.784894002430293e-03, -3.223964580411365e-01, -2.400758277161838e+00, -2.549732539343734e+00,
        4.374664141464968e+00, 2.938163982698783e+00,
      ])
    let denominator = polynomial(
      q, [7.784695709041462e-03, 3.224671290700398e-01, 2.445134137142996e+00, 3.754408661907416e+00, 1])
    return numerator / denominator
  }

  private static func polynomial(_ x: Double, _ coefficients: [Double]) -> Double {
    coefficients.reduce(0) { $0 * x + $1 }
  }
}
