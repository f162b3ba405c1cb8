import Testing

@testable import ApusCore

/// Derivatives where they are a matter of convention. Expected values are PyTorch's.
@Suite struct EdgeGradientTests {
  private func slope(_ values: [Double], _ f: @escaping (Tensor) -> Tensor) -> [Double] {
    gradient(at: Tensor(values, dtype: .float64)) { f($0).sum() }.toArray(of: Double.self)
  }

  @Test("powers at 0")
  func power() {
    #expect(slope([0, 2]) { $0 ** 0 } == [0, 0])
    #expect(slope([0, 2]) { $0 ** 1 } == [1, 1])
    #expect(slope([0, 2]) { $0 ** 2 } == [0, 4])
    #expect(slope([0, 2]) { $0 ** 3 } == [0, 12])
    #expect(slope([0, 2]) { $0 ** Tensor([0.0, 3.0], dtype: .float64) } == [0, 12])
    // d/db of a^b.
    let base = Tensor([0.0, 0.0, 2.0], dtype: .float64)
    expectClose(slope([0, 2, 3]) { base ** $0 }, [0, 0, 8 * 0.6931471805599453], 1e-12)
    // Both at once, twice: no NaN comes of 0 · log 0.
    let second = gradient(at: Tensor([0.0], dtype: .float64)) { x in
      gradient(at: x) { ($0 ** ($0 + 2)).sum() }.sum()
    }
    #expect(!second.item().isNaN)
  }

  @Test("powers at 0, of any exponent, to the third order", arguments: [0, 0.5, 1, 1.5, 2, 2.5, 3, 4, 7])
  func powersAtZero(_ exponent: Double) {
    // b·(b − 1)·…·0^(b − k), which is 0 where a factor is.
    let expected = (0...3).map { order in
      let factor = (0..<order).reduce(1.0) { $0 * (exponent - Double($1)) }
      return factor == 0 ? 0 : factor * (exponent == Double(order) ? 1 : exponent > Double(order) ? 0 : .infinity)
    }
    let zero = Tensor([0.0], dtype: .float64)
    let ways: [(String, (Tensor) -> Tensor)] = [
      ("a number", { $0 ** exponent }), ("a tensor", { $0 ** Tensor([exponent], dtype: .float64) }),
      ("several", { stack([$0, $0 + 2], axis: 0) ** Tensor([[exponent], [3]], dtype: .float64) }),
      ("on the tape", { $0 ** ($0 * 0 + exponent) }),
    ]
    for (way, power) in ways {
      var f: (Tensor) -> Tensor = { x in power(x).flattened()[0] }
      for order in 0...3 {
        let value = f(zero).item()
        // An exponent that depends on x as well has no higher derivatives where log 0 counts.
        if way != "on the tape" || order < 2 || exponent > Double(order) {
          #expect(value == expected[order], "\(exponent), \(way), derivative \(order)")
        }
        let inner = f
        f = { x in gradient(at: x, inner).sum() }
      }
    }
  }

  @Test("what is not chosen at a pole has the gradient 0")
  func poles() {
    let functions: [(String, (Tensor) -> Tensor)] = [
      ("log", { $0.log() }), ("log1p", { ($0 - 1).log1p() }), ("sqrt", { $0.sqrt() }), ("rsqrt", { $0.rsqrt() }),
      ("1 / x", { 1 / $0 }), ("x / x", { $0 / $0 }), ("1 ** -1", { $0 ** -1 }), ("x ** 0.5", { $0 ** 0.5 }),
      ("x ** -y", { $0 ** Tensor([-2.0, -1], dtype: .float64) }),
      ("x ** (x − 1)", { $0 ** ($0 - 1) }), ("norm", { $0.unsqueezed(1).norm(1) }),
      ("deviation", { stack([$0, $0 * 2], axis: 1).standardDeviation(1) }),
    ]
    for (name, f) in functions {
      let alone = slope([2]) { f(stack([$0[0], $0[0]], axis: 0))[1] }
      let chosen = slope([0, 2]) { x in ApusCore.select(x .!= 0, f(x), 0) }
      #expect(chosen[0] == 0 && abs(chosen[1] - alone[0]) < 1e-12, "\(name): \(chosen)")
    }
    // A mean over what a mask leaves, where it leaves nothing.
    let mask = Tensor([[0.0, 0], [1, 1]], dtype: .float64)
    let means = gradient(at: Tensor([[1.0, 2], [3, 4]], dtype: .float64)) { x in
      let count = mask.sum(1)
      return ApusCore.select(count .> 0, (x * mask).sum(1) / count, 0).sum()
    }
    #expect(means.toArray(of: Double.self) == [0, 0, 0.5, 0.5])
    // Where it does count, the pole is one.
    #expect(slope([0]) { $0.log() } == [.infinity])
    #expect(slope([0]) { $0.sqrt() } == [.infinity])
    #expect(slope([0]) { 1 / $0 } == [-.infinity])
  }

  @Test("a factor of 0 has a second derivative all the same")
  func idleFactors() {
    // ∂²/∂x∂w of w·f(x) is f′(x), also at w = 0.
    let functions: [((Tensor) -> Tensor, Double)] = [
      ({ $0.log() }, 0.5), ({ $0.sqrt() }, 0.5 / 2.0.squareRoot()), ({ 1 / $0 }, -0.25), ({ $0 ** -1 }, -0.25),
      ({ $0.rsqrt() }, -0.25 / 2.0.squareRoot()), ({ $0.max() }, 1), ({ $0.norm() }, 1),
    ]
    for (f, expected) in functions {
      let mixed = gradient(at: Tensor([0.0], dtype: .float64)) { w in
        gradient(at: Tensor([2.0], dtype: .float64)) { (f($0) * w).sum() }.sum()
      }
      #expect(abs(mixed.item() - expected) < 1e-12)
    }
  }

  @Test("extrema that are infinite, and sums of nothing")
  func infinities() {
    #expect(slope([1, .infinity, 2]) { $0.max() } == [0, 1, 0])
    #expect(slope([-.infinity, -.infinity]) { $0.max() } == [0.5, 0.5])
    #expect(slope([1, -.infinity]) { $0.min() } == [0, 1])
    #expect(slope([1, 2]) { $0.max() * Double.infinity } == [0, .infinity])
    let beside = slope([.nan, 2]) { $0.max() }
    #expect(beside[0].isNaN && beside[1].isNaN)
    #expect(slope([-.infinity, -.infinity]) { $0.logSumExp(axis: 0) } == [0, 0])
    #expect(slope([-.infinity, 0]) { $0.logSumExp(axis: 0) } == [0, 1])
    let rows = Tensor([[-Double.infinity, -Double.infinity], [0, 0]], dtype: .float64)
    let g = gradient(at: rows) { x in gradient(at: x) { $0.logSumExp(axis: 1).sum() }[1, 0] }
    #expect(g.toArray(of: Double.self) == [0, 0, 0.25, -0.25])
    #expect(slope([0, 0]) { $0.norm() } == [0, 0])
    #expect(slope([0, 0]) { x in gradient(at: x) { $0.norm() }.sum() } == [0, 0])
    #expect(Tensor.zeros([0, 3]).norm(0).toArray(of: Double.self) == [0, 0, 0])
    #expect(Tensor([-3, 4]).norm().item() == 5)
    #expect(Tensor([[-3.0, 4]]).norm(axes: []).toArray(of: Double.self) == [3, 4])
  }

  @Test("kinks")
  func kinks() {
    #expect(slope([-1, 0, 1]) { $0.abs() } == [-1, 0, 1])
    #expect(slope([-1, 0, 1]) { $0.relu() } == [0, 0, 1])
    #expect(slope([-1.5, 0.5]) { $0.floor() } == [0, 0])
    #expect(slope([-1, 0, 2, 5, 7]) { $0.clamped(min: 0, max: 5) } == [0, 1, 1, 1, 0])
    let other = Tensor([1.0, 1.0, 1.0], dtype: .float64)
    #expect(slope([0, 1, 2]) { maximum($0, other) } == [0, 0.5, 1])
    #expect(slope([0, 1, 2]) { minimum(other, $0) } == [1, 0.5, 0])
    #expect(slope([1, 3, 3]) { $0.max() } == [0, 0.5, 0.5])
    #expect(slope([1, 1, 1, 1, 3]) { $0.min(0) } == [0.25, 0.25, 0.25, 0.25, 0])
  }

  @Test("select sends nothing where it did not choose")
  func select() {
    // log of a negative number has a NaN derivative, which the other branch must not see.
    #expect(slope([-1, 2]) { ApusCore.select($0 .> 0, $0, 0) } == [0, 1])
    #expect(slope([-1, 2]) { x in ApusCore.select(x .> 0, ApusCore.select(x .> 0, x, 1).log(), 0) } == [0, 0.5])
  }

  @Test("products beside zeros, to the second order")
  func product() {
    #expect(slope([2, 3, 4]) { $0.product() } == [12, 8, 6])
    #expect(slope([0, 3, 4]) { $0.product() } == [12, 0, 0])
    #expect(slope([0, 3, 0, 5]) { $0.product() } == [0, 0, 0, 0])
    // ∂²(xyz)/∂x∂y = z, also at x = y = 0.
    let mixed = gradient(at: Tensor([0.0, 0.0, 5.0], dtype: .float64)) { x in
      gradient(at: x) { $0.product() }[0]
    }
    #expect(mixed.toArray(of: Double.self) == [0, 5, 0])
  }

  @Test("the stable functions stay finite")
  func stable() {
    #expect(slope([-1000, 0, 1000]) { $0.softplus() } == [0, 0.5, 1])
    #expect(slope([-1000, 1000]) { $0.sigmoid() } == [0, 0])
    #expect(slope([1000, 1000]) { $0.logSumExp(axis: 0) } == [0.5, 0.5])
    #expect(slope([-800, 0, 3]) { $0.elu() } == [0, 1, 1])
    #expect(slope([1, 1, 1]) { $0.standardDeviation() } == [0, 0, 0])
  }

  @Test("a function's gradient inside withoutGradients, also of a point that is on the tape")
  func withinWithoutGradients() {
    let x = Tensor(2.0, requiresGradient: true)
    let found = withoutGradients { gradient(at: x) { $0 ** 3 } }
    #expect(found.item() == 12)
    #expect(!found.requiresGradient)
    let (y, dx) = withoutGradients { GradientTape().watch(x * 1) { $0 ** 3 } }
    #expect(y.item() == 8 && dx.item() == 12)
    #expect(!y.requiresGradient)
  }

  @Test("the statistics of a batch norm have gradients of their own")
  func batchNormStatistics() {
    let shape: Shape = [3, 2]
    let values = [0.3, -1.2, 0.7, 2.1, -0.4, 0.9]
    func loss(_ x: Tensor, _ f: (Tensor) -> (Tensor, Tensor)) -> Tensor {
      let (mean, variance) = f(x)
      return (mean * mean).sum() + (variance * Tensor([2.0, -1.0], dtype: .float64)).sum()
    }
    let x = Tensor(values, shape: shape, dtype: .float64)
    let one = Tensor.ones([2], dtype: .float64)
    let fused = gradient(at: x) { x in
      loss(x) {
        let r = $0.batchNorm(scale: one, shift: one); return (r.mean, r.variance)
      }
    }
    let plain = gradient(at: x) { x in loss(x) { ($0.mean(0), $0.variance(0, correction: 0)) } }
    expectClose(fused, plain, 1e-12)
  }

  @Test("a broadcast operand's gradient is summed")
  func broadcast() {
    let bias = Tensor([1.0, 2.0], dtype: .float64)
    #expect(gradient(at: bias) { (Tensor.ones([3, 2], dtype: .float64) * $0).sum() }.toArray() == [3, 3])
    let column = Tensor.ones([3, 1], dtype: .float64)
    let g = gradient(at: column) { ($0 + Tensor.ones([2, 3, 4], dtype: .float64)).sum() }
    #expect(g.shape == [3, 1])
    #expect(g.toArray() == [8, 8, 8])
  }
}
