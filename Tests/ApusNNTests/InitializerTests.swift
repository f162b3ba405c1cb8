import ApusCore
import Testing

@testable import ApusNN

/// Scales and shapes of initial values.
@Suite struct InitializerTests {
  struct Statistics {
    let mean: Double
    let deviation: Double
    let smallest: Double
    let largest: Double

    init(_ t: Tensor) {
      let values = t.toArray(of: Double.self)
      let mean = values.reduce(0, +) / Double(values.count)
      self.mean = mean
      deviation = (values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count)).squareRoot()
      smallest = values.min() ?? 0
      largest = values.max() ?? 0
    }
  }

  @Test func fans() {
    #expect(Fan([10, 20]).input == 20 && Fan([10, 20]).output == 10)
    #expect(Fan([8, 3, 5, 7]).input == 105 && Fan([8, 3, 5, 7]).output == 280)
    #expect(Fan([6]).input == 6)
  }

  /// [out 64, in 96, 3, 3]: fan_in 864, fan_out 576.
  @Test func uniformBounds() {
    let shape: Shape = [64, 96, 3, 3]
    let cases: [(Initializer, Double)] = [
      (.torchDefault, 1 / 864.0.squareRoot()),
      (.glorotUniform, (6.0 / 1440).squareRoot()),
      (.heUniform, (6.0 / 864).squareRoot()),
      (.kaimingUniform(a: 1, mode: .output), (3.0 / 576).squareRoot()),
      (.uniform(-0.25, 0.25), 0.25),
    ]
    for (initializer, bound) in cases {
      let s = Statistics(initializer(shape, generator: Generator(seed: 11)))
      #expect(s.smallest >= -bound && s.largest < bound, "\(initializer.name)")
      #expect(s.smallest < -0.999 * bound && s.largest > 0.999 * bound, "\(initializer.name) does not reach its bounds")
      #expect(abs(s.deviation / (bound / 3.0.squareRoot()) - 1) < 0.01, "\(initializer.name)")
      #expect(abs(s.mean) < 0.01 * bound, "\(initializer.name)")
    }
  }

  @Test func normalScales() {
    let shape: Shape = [64, 96, 3, 3]
    let cases: [(Initializer, Double, truncatedAt: Double?)] = [
      (.kaimingNormal(), (2.0 / 864).squareRoot(), nil),
      (.xavierNormal, (2.0 / 1440).squareRoot(), nil),
      (.heNormal, (2.0 / 864).squareRoot(), 2 / 0.87962566103423978),
      (.glorotNormal, (2.0 / 1440).squareRoot(), 2 / 0.87962566103423978),
      (.lecunNormal, (1.0 / 864).squareRoot(), 2 / 0.87962566103423978),
      (.normal(mean: 0, standardDeviation: 0.5), 0.5, nil),
    ]
    for (initializer, deviation, bound) in cases {
      let s = Statistics(initializer(shape, generator: Generator(seed: 12)))
      #expect(abs(s.deviation / deviation - 1) < 0.01, "\(initializer.name)")
      #expect(abs(s.mean) < 0.02 * deviation, "\(initializer.name)")
      let reach = max(-s.smallest, s.largest) / deviation
      if let bound { #expect(reach <= bound + 1e-6 && reach > 0.99 * bound) } else { #expect(reach > 3.5) }
    }
    let shifted = Statistics(Initializer.truncatedNormal(mean: 1, standardDeviation: 0.1)([10_000]))
    #expect(abs(shifted.mean - 1) < 0.01 && shifted.smallest >= 0.8 && shifted.largest <= 1.2)
  }

  @Test func normalQuantiles() {
    for (p, z) in [(0.5, 0.0), (0.975, 1.959963984540054), (0.001, -3.090232306167813), (1e-10, -6.361340902404056)] {
      #expect(abs(TruncatedNormal.quantile(p) - z) < 1e-9 * max(1, abs(z)))
    }
  }

  @Test(arguments: [[4, 10], [10, 4], [6, 2, 3, 3]]) func orthogonal(sizes: [Int]) {
    let t = Initializer.orthogonal(gain: 2)(Shape(sizes), dtype: .float64, generator: Generator(seed: 4))
    let m = t.reshape([sizes[0], -1])
    let product = sizes[0] <= sizes.dropFirst().reduce(1, *) ? m.matmul(m.T) : m.T.matmul(m)
    #expect((product - Tensor.eye(product.shape[0], dtype: .float64) * 4).abs().max().item() < 1e-12)
  }

  @Test func layersStartAsTorchs() {
    let conv = Conv2D(3, 200, kernelSize: 5)
    let bound = 1 / 75.0.squareRoot()
    let weight = Statistics(conv.weight.value)
    #expect(weight.largest < bound && weight.largest > 0.99 * bound)
    let bias = Statistics(conv.bias?.value ?? Tensor(0.0))
    #expect(bias.largest < bound && bias.largest > 0.9 * bound && bias.smallest < -0.9 * bound)
    let keras = Dense(10, 10, weightInitializer: .glorotUniform, biasInitializer: .zeros)
    #expect(keras.bias?.value.toArray() == [Float](repeating: 0, count: 10))
  }

  @Test func theSameSeedGivesTheSameValues() {
    let a = Initializer.heNormal([5, 5], generator: Generator(seed: 9)).toArray()
    #expect(a == Initializer.heNormal([5, 5], generator: Generator(seed: 9)).toArray())
    #expect(a != Initializer.heNormal([5, 5], generator: Generator(seed: 10)).toArray())
  }
}
