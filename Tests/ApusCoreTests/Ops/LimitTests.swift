import Testing

@testable import ApusCore

/// Functions and their slopes where the argument is as large as it gets: values are the limits, from their formulas.
@Suite struct LimitTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let function: @Sendable (Tensor) -> Tensor
    /// Value and slope at −∞ and below what the dtype tells from it, and at the other end; nil: the argument itself.
    let left: (value: Double?, slope: Double)
    let right: (value: Double?, slope: Double)

    init(
      _ name: String, left: (Double?, Double), right: (Double?, Double),
      _ function: @escaping @Sendable (Tensor) -> Tensor
    ) {
      testDescription = name
      self.function = function
      self.left = left
      self.right = right
    }
  }

  static let cases: [Case] = [
    Case("sigmoid", left: (0, 0), right: (1, 0)) { $0.sigmoid() },
    Case("tanh", left: (-1, 0), right: (1, 0)) { $0.tanh() },
    Case("erf", left: (-1, 0), right: (1, 0)) { $0.erf() },
    Case("softplus", left: (0, 0), right: (nil, 1)) { $0.softplus() },
    Case("elu", left: (-1, 0), right: (nil, 1)) { $0.elu() }, Case("relu", left: (0, 0), right: (nil, 1)) { $0.relu() },
    Case("leaky relu", left: (nil, 1), right: (nil, 1)) { $0.leakyRelu(1) },
    Case("exp", left: (0, 0), right: (.infinity, .infinity)) { $0.exp() },
    Case("expm1", left: (-1, 0), right: (.infinity, .infinity)) { $0.expm1() },
    Case("1 − sigmoid", left: (1, 0), right: (0, 0)) { 1 - $0.sigmoid() },
    Case("log sigmoid", left: (nil, 1), right: (0, 0)) { -(-$0).softplus() },
  ]

  @Test("values and slopes at both ends", arguments: cases, [DType.float32, .float64])
  func ends(_ function: Case, _ dtype: DType) throws {
    let largest = dtype == .float32 ? Double(Float.greatestFiniteMagnitude) : .greatestFiniteMagnitude
    for magnitude in [1e4, 1e30, 1e38, largest, .infinity] {
      for (x, limit) in [(-magnitude, function.left), (magnitude, function.right)] {
        // Alone, in a vector of its own kind, and beside ordinary numbers: kernels differ.
        for others in [[], Array(repeating: x, count: 40), [1, -2, 0.5, 0, -40, 3, 9, 17]] as [[Double]] {
          let input = Tensor([x] + others, dtype: dtype)
          let (y, slope) = (function.function(input), gradient(at: input) { function.function($0).sum() })
          let step = compiled { (x: Tensor) in [function.function(x), gradient(at: x) { function.function($0).sum() }] }
          for (value, derivative) in [(y, slope), { ($0[0], $0[1]) }(try step(input))] {
            let argument = input.toArray(of: Double.self)[0]
            #expect(value.toArray(of: Double.self)[0] == limit.value ?? argument, "at \(x)")
            #expect(derivative.toArray(of: Double.self)[0] == limit.slope, "slope at \(x)")
          }
        }
      }
    }
  }

  @Test("what falls to 0 does so through the subnormal numbers", arguments: [DType.float32, .float64])
  func subnormal(_ dtype: DType) {
    // e^x itself, which 1 + e^x no longer changes, in units of the least number there is; from mpmath.
    let points: [(Double, Double)] =
      dtype == .float32
      ? [(-88, 4_320_708.2927), (-95, 3939.9760), (-100, 26.5473)]
      : [(-709, 2_462_791_657_071_416.28), (-720, 41_132_809_365.12), (-740, 84.7810)]
    let least = dtype == .float32 ? 0x1p-149 : 0x1p-1074
    for (x, expected) in points {
      for function in [{ $0.sigmoid() }, { $0.softplus() }, { $0.exp() }] as [(Tensor) -> Tensor] {
        #expect(abs(function(Tensor(x, dtype: dtype)).item() / least - expected) <= 2, "at \(x)")
      }
    }
    for tiny in [least, -least, 3 * least] {
      let x = Tensor(tiny, dtype: dtype)
      for y in [x.expm1(), x.log1p(), x.tanh(), x.sin(), x.erf()] { #expect(y.item() == tiny) }
    }
  }
}
