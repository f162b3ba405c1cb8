import ApusCore
import TestSupport
import Testing

@testable import ApusNN

/// What does not count is left out, not multiplied by 0; what is large is not squared.
@Suite struct ChoiceTests {
  private func numbers(_ x: Tensor?) -> [Double] { x?.toArray(of: Double.self) ?? [] }

  @Test("what is dropped may be infinite or no number", arguments: [0.25, 0.5, 1])
  func dropout(_ probability: Double) {
    for value in [Double.infinity, -.infinity, .nan, 3e38] {
      let x = Tensor.full([200], value).requiringGradient()
      let y = Dropout(probability, generator: Generator(seed: 3))(x)
      let dropped = numbers(y).filter { $0 == 0 }.count
      let kept = numbers(y).filter { value.isNaN ? $0.isNaN : $0.sign == value.sign && $0.magnitude > 1e38 }.count
      #expect(dropped + kept == 200, "\(value)")
      #expect((probability == 1) == (kept == 0), "\(value)")
      y.sum().backward()
      let factor = Double(Float(1 / (1 - probability)))
      for (y, slope) in zip(numbers(y), numbers(x.gradient)) { #expect(slope == (y == 0 ? 0 : factor)) }
    }
  }

  @Test("classes that are impossible and have no share of the target")
  func softLabels() {
    for dtype in [DType.float32, .float64] {
      let logits = Tensor([[1.0, -.infinity, 2], [0, 0, -.infinity]], dtype: dtype)
      let target = Tensor([[0.25, 0, 0.75], [1, 0, 0]], dtype: dtype)
      let possible = crossEntropy(
        Tensor([[1.0, 2], [0, 0]], dtype: dtype), Tensor([[0.25, 0.75], [1, 0]], dtype: dtype), reduction: .none)
      let losses = crossEntropy(logits, target, reduction: .none)
      #expect(numbers(losses) == numbers(possible))
      let (dx, dy) = gradient(at: logits, target) { crossEntropy($0, $1, reduction: .sum) }
      #expect(numbers(dx).allSatisfy(\.isFinite) && numbers(dx)[1] == 0 && numbers(dx)[5] == 0)
      // Each probability's gradient is −log p, also where it is 0.
      #expect(abs(numbers(dy)[4] - 0.6931472) < 1e-6 && abs(numbers(dy)[0] - 1.3132617) < 1e-6)
      #expect(numbers(dy).allSatisfy { !$0.isNaN })
      // All of the target smoothed away.
      let uniform = crossEntropy(Tensor([[0.0, 0]], dtype: dtype), Tensor([0]), labelSmoothing: 1)
      #expect(abs(uniform.item() - 0.6931472) < 1e-6)
    }
  }

  @Test("examples that are ignored may be anything")
  func ignored() {
    for poison in [Double.infinity, -.infinity, .nan] {
      let logits = Tensor([[1.0, 2, 0], [poison, 1, poison]], dtype: .float64)
      for smoothing in [0, 0.1, 1] {
        let (value, slope) = valueAndGradient(at: logits) {
          crossEntropy($0, Tensor([2, -100]), labelSmoothing: smoothing, ignoreIndex: -100)
        }
        let (alone, its) = valueAndGradient(at: logits[0..<1]) {
          crossEntropy($0, Tensor([2]), labelSmoothing: smoothing)
        }
        #expect(value.item() == alone.item())
        #expect(numbers(slope) == numbers(its) + [0, 0, 0])
      }
    }
  }

  @Test("a running variance that was infinite is forgotten with momentum 1")
  func momentum() {
    let norm = BatchNorm1D(1, momentum: 1)
    _ = norm(Tensor([[3e30], [-3e30]]))
    #expect(norm.runningVar.value.item().isInfinite)
    _ = norm(Tensor([[1.0], [3.0]]))
    #expect(norm.runningVar.value.item() == 2)
    #expect(norm.runningMean.value.item() == 2)
  }

  /// Gradients of either dtype, clipped to 1, in both orders.
  @Test(
    "clipping to a norm, of any size and in any order",
    arguments: [
      ([1e20, 1e20], [DType.float32, .float32]), ([3e38, 3e38], [.float32, .float32]),
      ([3e-3, 4e-3], [.float32, .float64]),
      ([1e20, 1e200], [.float32, .float64]), ([1e300, 1e300], [.float64, .float64]),
      ([3e-30, 4], [.float64, .float32]),
      ([1e25, 1e25], [.float32, .float64]),
    ])
  func clipping(_ sizes: [Double], _ dtypes: [DType]) {
    for maximum in [1, 1e-3, 0.5] {
      var norms: [Double] = []
      var clipped: [[Double]] = []
      for order in [[0, 1], [1, 0]] {
        let parameters = [0, 1].map { i in
          let parameter = Parameter(Tensor.zeros([2], dtype: dtypes[i]))
          parameter.gradient = Tensor([sizes[i], -sizes[i]], dtype: dtypes[i])
          return parameter
        }
        norms.append(clipGradientNorm(order.map { parameters[$0] }, maximum: maximum).item())
        clipped.append(parameters.flatMap { numbers($0.gradient) })
      }
      #expect(norms[0] == norms[1])
      #expect(clipped[0] == clipped[1])
      let scale = Swift.max(sizes[0], sizes[1])
      let exact =
        scale * (2 * (sizes[0] / scale * (sizes[0] / scale) + sizes[1] / scale * (sizes[1] / scale))).squareRoot()
      if exact < 3e38 || dtypes.contains(.float64) { #expect(abs(norms[0] / exact - 1) < 1e-6) }
      let factor = Swift.min(1, maximum / (exact + 1e-6))
      for (i, value) in clipped[0].enumerated() {
        let wanted = sizes[i / 2] * factor * (i % 2 == 0 ? 1 : -1)
        #expect(abs(value - wanted) <= 1e-6 * abs(wanted) + 1e-38, "\(sizes) to \(maximum)")
      }
    }
  }

  @Test("a gradient whose square is infinite does not stop Adam", arguments: [1e18, 1e25, 3e37])
  func adam(_ size: Double) {
    for optimizer in [Adam(learningRate: 0.1) as any Optimizer, AdamW(learningRate: 0.1, weightDecay: 0)] {
      let parameter = Parameter(Tensor([1.0, 1.0]))
      optimizer.attach([parameter])
      parameter.gradient = Tensor([size, 1])
      optimizer.step()
      let first = numbers(parameter.value)
      // The first step is lr in the gradient's direction; more where v is held at its largest.
      #expect(first[0] < 0.9001 && first[0].isFinite && abs(first[1] - 0.9) < 1e-6)
      parameter.gradient = Tensor([-size, 1])
      optimizer.step()
      #expect(numbers(parameter.value)[0].isFinite)
      let saved = optimizer.stateDictionary()
      #expect(saved.keys.allSatisfy { key in numbers(saved[key]).allSatisfy(\.isFinite) })
    }
  }
}
