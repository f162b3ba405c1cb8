import ApusCore
import ApusNN
import Testing

/// Eager steps run as one compiled function: they must not be told from steps by single operations.
@Suite struct FusedStepTests {
  private func parameters() -> [Parameter] {
    [Parameter(Tensor([1.0, -2, 3])), Parameter(Tensor([[0.5, 4]], dtype: .float64)), Parameter(Tensor([7.0, 8]))]
  }
  private func setGradients(_ parameters: [Parameter], _ step: Int) {
    for parameter in parameters { parameter.gradient = parameter.value.detached() * (0.25 * Double(step)) }
  }
  private func values(_ parameters: [Parameter]) -> [[Double]] { parameters.map { $0.value.toArray(of: Double.self) } }

  /// Freezing, gradients that are missing for a step, parameters that come later and other learning rates.
  private func history(_ make: ([Parameter]) -> any Optimizer, _ step: (any Optimizer) throws -> Void) rethrows
    -> [[[Double]]]
  {
    let all = parameters()
    let optimizer = make(Array(all[..<2]))
    return try (1...8).map { number in
      setGradients(all, number)
      all[0].isTrainable = number != 3
      if number == 4 { all[1].gradient = nil }
      if number == 5 { optimizer.attach([all[2]]) }
      if number == 6 { optimizer.learningRate = 0.01 }
      try step(optimizer)
      return values(all)
    }
  }

  @Test func equalsSingleOperations() throws {
    let makers: [(String, ([Parameter]) -> any Optimizer)] = [
      ("SGD", { SGD($0, learningRate: 0.1, momentum: 0.9, dampening: 0.5, weightDecay: 0.1) }),
      ("Adam", { Adam($0, learningRate: 0.1) }), ("AdamW", { AdamW($0, learningRate: 0.1) }),
    ]
    for (name, make) in makers {
      #expect(make([]).isFused)
      let fused = history(make) { $0.step() }
      let single = try history(make) { optimizer in try checked { optimizer.step() } }
      for (number, (a, b)) in zip(fused, single).enumerated() {
        for (x, y) in zip(a.joined(), b.joined()) {
          #expect(abs(x - y) <= 1e-6 * abs(y), "\(name), step \(number + 1): \(a) is not \(b)")
        }
      }
      #expect(fused[2][0] == fused[1][0], "\(name): a frozen parameter moved")
      #expect(fused[3][1] == fused[2][1], "\(name): a parameter without gradient moved")
      #expect(fused[3][2] == [7, 8] && fused[4][2] != [7, 8], "\(name): attached before step 5")
    }
  }

  /// An optimizer of a user's own, with Swift state that changes from step to step.
  private final class Alternating: Optimizer, @unchecked Sendable {
    let state: OptimizerState
    private var steps = 0
    var slotNames: [String] { [] }

    init(_ parameters: [Parameter]) { state = OptimizerState(parameters, learningRate: 1) }
    func prepare(step: Tensor, learningRate: Tensor) -> Double {
      steps += 1
      return steps % 2 == 0 ? -1 : 1
    }
    func update(_ value: Tensor, gradient: Tensor, slots: inout [Tensor], step: Double) -> Tensor {
      value - gradient * step
    }
  }

  @Test func ownOptimizersAreNotCompiled() {
    let parameter = Parameter(Tensor(0.0))
    let optimizer = Alternating([parameter])
    var seen: [Double] = []
    for _ in 0..<4 {
      parameter.gradient = Tensor(1.0)
      optimizer.step()
      seen.append(parameter.value.item())
    }
    #expect(seen == [-1, 0, -1, 0])
  }

  @Test func aFailedStepLosesNothing() {
    let parameter = Parameter(Tensor([1.0, 2]))
    let optimizer = SGD([parameter], learningRate: 0.1)
    parameter.gradient = Tensor([1.0, 2, 3])
    #expect(throws: ApusError.self) { try checked { optimizer.step() } }
    #expect(parameter.value.toArray() == [1, 2])
    parameter.gradient = Tensor([1.0, 1])
    optimizer.step()
    #expect(parameter.value.toArray() == [0.9, 1.9])
  }
}
