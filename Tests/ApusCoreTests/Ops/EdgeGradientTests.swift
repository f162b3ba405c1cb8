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
