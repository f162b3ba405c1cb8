import ApusCore
import ApusData
import ApusNN
import ApusTrain
import Testing

/// What goes wrong inside a trainer is known by the user's line and the layer.
@Suite struct TrainerErrorTests {
  private static func trainer(_ mode: Trainer.Execution, loss: Loss = .crossEntropy) -> Trainer {
    Trainer(Sequential { Linear(3, 2) }, optimizer: SGD(learningRate: 0.1), loss: loss, mode: mode)
  }
  private static func data(_ labels: [Int]) throws -> Dataset {
    try Dataset(Tensor.ones([labels.count, 3]), Tensor(labels)).batched(2)
  }
  private static func error(_ body: () async throws -> Void) async -> ApusError? {
    do {
      try await body()
      return nil
    } catch {
      return error as? ApusError
    }
  }

  @Test(arguments: [Trainer.Execution.compiled, .eager])
  func labelOutOfRange(_ mode: Trainer.Execution) async throws {
    let trainer = Self.trainer(mode)
    let (good, bad) = (try Self.data([0, 1]), try Self.data([0, 7]))
    // Traced on good data first: the label is found when the graph runs.
    try await trainer.fit(good, epochs: 1)
    let line = #line + 1
    let failure = await Self.error { try await trainer.fit(bad, epochs: 1) }
    #expect(failure?.operation == "gatherAlong" && failure?.message.contains("index 7") == true)
    #expect(failure?.location?.hasSuffix("ErrorPlaceTests.swift:\(line)") == true, "\(String(describing: failure))")
    let evaluated = #line + 1
    let other = await Self.error { _ = try await trainer.evaluate(bad) }
    #expect(other?.location?.hasSuffix("ErrorPlaceTests.swift:\(evaluated)") == true, "\(String(describing: other))")
  }

  @Test(arguments: [Trainer.Execution.compiled, .eager])
  func layersAndLosses(_ mode: Trainer.Execution) async throws {
    let narrow = try Dataset(Tensor.ones([2, 5]), Tensor([0, 1])).batched(2)
    let line = #line + 1
    let failure = await Self.error { try await Self.trainer(mode).fit(narrow, epochs: 1) }
    #expect(failure?.module == "0 (Linear)")
    #expect(failure?.location?.hasSuffix("ErrorPlaceTests.swift:\(line)") == true, "\(String(describing: failure))")
    // A closure of the user's own has its own line.
    let inLoss = #line + 2
    let loss = Loss("mine") { predictions, targets in
      let sum = predictions + Tensor.ones([7])
      return (sum * 2).sum()
    }
    let mine = await Self.error { try await Self.trainer(mode, loss: loss).fit(Self.data([0, 1]), epochs: 1) }
    #expect(mine?.location?.hasSuffix("ErrorPlaceTests.swift:\(inLoss)") == true, "\(String(describing: mine))")
    let predicted = #line + 1
    let prediction = await Self.error { _ = try Self.trainer(mode).predict(Tensor.ones([2, 5])) }
    #expect(prediction?.location?.hasSuffix("ErrorPlaceTests.swift:\(predicted)") == true)
  }
}
