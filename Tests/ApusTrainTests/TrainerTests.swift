import ApusCore
import ApusData
import ApusNN
import Foundation
import Synchronization
import TestSupport
import Testing

@testable import ApusTrain

/// Two classes of points that a line through the origin parts.
enum Points {
  static let inputs = Tensor.normal([54, 3], generator: Generator(seed: 31))
  static let labels = (inputs.matmul(Tensor([[1.0], [-2.0], [0.5]])) .> 0).cast(to: .int64).squeezed(1)

  /// Batches of 16, 16, 16 and 6.
  static func train() throws -> Dataset { try Dataset(inputs, labels).shuffled(seed: 7).batched(16) }
  static func test() throws -> Dataset { try Dataset(inputs, labels).batched(20) }

  /// A model with everything that has state: running statistics, random numbers, parameters.
  static func model(seed: UInt64 = 5) -> Sequential {
    let generator = Generator(seed: seed)
    let initializer = Initializer("seeded") { shape, dtype, _ in
      Initializer.heNormal(shape, dtype: dtype, generator: generator)
    }
    return Sequential {
      Linear(3, 8, weightInitializer: initializer, biasInitializer: .zeros)
      BatchNorm1D(8)
      ReLU()
      Dropout(0.2, generator: generator)
      Linear(8, 2, weightInitializer: initializer, biasInitializer: .zeros)
    }
  }

  static func trainer(_ mode: Trainer.Execution = .compiled, seed: UInt64 = 5) -> Trainer {
    Trainer(
      model(seed: seed), optimizer: AdamW(learningRate: 0.03), loss: .sparseCategoricalCrossEntropy,
      metrics: [.accuracy],
      mode: mode)
  }
}

extension Module {
  /// All values, as bytes to compare.
  var bits: [String: [UInt8]] {
    Dictionary(uniqueKeysWithValues: stateDictionary().map { ($0.key, $0.value.storage.withBytes { Array($0) }) })
  }
}

@Suite struct TrainerTests {
  @Test(arguments: [Trainer.Execution.compiled, .eager]) func learns(mode: Trainer.Execution) async throws {
    let trainer = Points.trainer(mode)
    let history = try await trainer.fit(Points.train(), epochs: 12, validation: Points.test())
    #expect(history.epochs.map(\.number) == Array(1...12))
    #expect(history.names == ["loss", "accuracy", "val_loss", "val_accuracy"])
    #expect(history.epochs.allSatisfy { $0.steps == 4 && $0.examples == 54 && $0.seconds > 0 })
    #expect(history["loss"][11] < 0.6 * history["loss"][0])
    #expect(history["val_accuracy"][11] > 0.9)
    // One trace for batches of 16 and of 6.
    #expect(trainer.traceCount == (mode == .compiled ? 1 : 0))
    #expect(trainer.optimizer.stepCount == 48)
    #expect(trainer.model.modes.areTraining)
  }

  @Test func compiledAndEagerAgree() async throws {
    let (a, b) = (Points.trainer(.compiled), Points.trainer(.eager))
    let (x, y) = (try await a.fit(Points.train(), epochs: 3), try await b.fit(Points.train(), epochs: 3))
    for (p, q) in zip(x["loss"], y["loss"]) { #expect(abs(p - q) < 1e-4 * q) }
    #expect(x["accuracy"] == y["accuracy"])
  }

  @Test func evaluationIsTheMeanOverExamples() async throws {
    let trainer = Points.trainer()
    let result = try await trainer.evaluate(Points.test())
    trainer.model.eval()
    let scores = trainer.model(Points.inputs)
    let labels = Points.labels
    let accuracy = (scores.argMax(axis: 1) .== labels).cast(to: .float64).mean().item()
    #expect(abs((result["accuracy"] ?? 0) - accuracy) < 1e-12)
    #expect(abs((result["loss"] ?? 0) - crossEntropy(scores, labels).item()) < 1e-6)
    #expect(result.count == 2)
  }

  @Test func predictionIsTheModelInInferenceMode() async throws {
    let trainer = Points.trainer()
    trainer.model.eval()
    let expected = trainer.model(Points.inputs).toArray()
    trainer.model.train()
    let all = try await trainer.predict(Points.test())
    #expect(all.shape == [54, 2] && zip(all.toArray(), expected).allSatisfy { abs($0 - $1) < 1e-5 })
    let some = try trainer.predict(Points.inputs.slice(axis: 0, 3..<5))
    #expect(zip(some.toArray(), expected[6...]).allSatisfy { abs($0 - $1) < 1e-5 })
    #expect(trainer.model.modes.areTraining)
  }

  @Test func metrics() {
    func value(_ metric: Metric, _ predictions: Tensor, _ targets: Tensor) -> Double {
      metric.value(metric.sums(predictions, targets).map { $0.item() })
    }
    let scores = Tensor([[0.1, 0.7, 0.2], [0.5, 0.3, 0.2], [0.3, 0.3, 0.4], [0.2, 0.5, 0.3]])
    let labels = Tensor([1, 2, 0, 2], dtype: .uint8)
    #expect(value(.accuracy, scores, labels) == 0.25)
    // The third row's first of two equal scores is the second largest.
    #expect(value(.topAccuracy(2), scores, labels) == 0.75)
    #expect(value(.accuracy, scores, labels.cast(to: .int64).oneHot(3)) == 0.25)
    #expect(value(.accuracy, scores, labels.cast(to: .int64).oneHot(3).cast(to: .float32)) == 0.25)
    #expect(value(.topAccuracy(2), scores, labels.cast(to: .int64).oneHot(3)) == 0.75)
    // As many examples as classes: class numbers may not be taken for scores, nor the reverse.
    #expect(value(.accuracy, scores[0..<3], Tensor([[0, 1, 0], [0, 0, 1], [1, 0, 0]])) == 1.0 / 3)
    for metric in [Metric.accuracy, .topAccuracy(1)] {
      let column = message { _ = metric.sums(scores, labels.unsqueezed(1)) }
      #expect(column.contains("class numbers [4]"), "\(column)")
    }
    #expect(value(.binaryAccuracy, Tensor([[1.0], [-1], [2]]), Tensor([[1], [1], [0]])) == 1.0 / 3)
    #expect(message { _ = Metric.binaryAccuracy.sums(Tensor([[1.0], [2]]), Tensor([1, 0])) }.contains("shape [2, 1]"))
    #expect(value(.meanSquaredError, Tensor([[1.0, 3], [0, 0]]), Tensor([[0.0, 0], [0, 2]])) == 3.5)
    #expect(value(.meanAbsoluteError, Tensor([1.0, -3]), Tensor([0.0, 0])) == 2)
    #expect(message { _ = Metric.topAccuracy(0) }.contains("1 or more fit"))
  }

  /// The first of equal scores, and none that is no number.
  @Test func topAccuracyOfOneIsTheAccuracy() {
    let choices = [0.0, 1, 1, -1, .nan, .infinity, -.infinity]
    var (scores, labels): ([[Double]], [Int]) = ([], [])
    for a in choices {
      for b in choices {
        for c in choices { for label in 0..<3 { (scores, labels) = (scores + [[a, b, c]], labels + [label]) } }
      }
    }
    func shares(_ metric: Metric) -> [Double] {
      zip(scores, labels).map { metric.sums(Tensor([$0]), Tensor([$1]))[0].item() }
    }
    let accuracy = shares(.accuracy)
    #expect(shares(.topAccuracy(1)) == accuracy)
    for ((row, label), share) in zip(zip(scores, labels), accuracy) {
      // NumPy's argmax: the first NaN, else the first of the largest.
      let best = row.firstIndex { $0.isNaN } ?? row.firstIndex(of: row.max() ?? 0)
      #expect(share == (best == label && !row[label].isNaN ? 1 : 0), "\(row), \(label)")
    }
    // All scores count: everybody but those that are no number.
    #expect(zip(zip(scores, labels), shares(.topAccuracy(3))).allSatisfy { ($0.0[$0.1].isNaN ? 0 : 1) == $1 })
  }

  @Test func metricsNamesDiffer() async throws {
    for metrics in [[Metric.accuracy, .accuracy], [Metric("loss") { $0 - $1 }], [Metric("val_loss") { $0 - $1 }]] {
      let text = message {
        _ = try checked { Trainer(Points.model(), optimizer: Adam(), loss: .crossEntropy, metrics: metrics) }
      }
      #expect(text.hasPrefix("metrics named [") && text.contains(metrics[0].name), "\(text)")
    }
  }

  @Test func aSecondFitGoesOnWithTheEpochs() async throws {
    let trainer = Points.trainer()
    try await trainer.fit(Points.train(), epochs: 1)
    let history = try await trainer.fit(Points.train(), epochs: 2)
    #expect(history.epochs.map(\.number) == [1, 2, 3])
    let whole = Points.trainer()
    try await whole.fit(Points.train(), epochs: 3)
    #expect(whole.model.bits == trainer.model.bits)
  }

  @Test func callbacks() async throws {
    let rates = Mutex<[Double]>([])
    final class Recorder: TrainingObserver {
      let body: @Sendable (TrainingMoment) -> Void
      init(_ body: @escaping @Sendable (TrainingMoment) -> Void) { self.body = body }
      func stepDidEnd(_ moment: TrainingMoment) { body(moment) }
    }
    let trainer = Trainer(
      Points.model(), optimizer: SGD(learningRate: 1), loss: .crossEntropy, gradientClipping: .norm(1))
    try await trainer.fit(
      Points.train(), epochs: 2,
      callbacks: [
        .learningRate(.linear(steps: 4, end: 0.5)),
        Callback(
          Recorder { moment in
            rates.withLock { $0.append(moment.trainer.optimizer.learningRate) }
            if moment.totalSteps == 6 { moment.stop() }
          }),
      ])
    #expect(rates.withLock { $0 } == [1, 0.875, 0.75, 0.625, 0.5, 0.5])
    #expect(trainer.history.epochs.count == 1)
  }

  /// What a callback reads when an epoch has ended is that epoch's, not the next one's beginning.
  @Test func anEndedEpochsValues() async throws {
    let seen = Mutex<[[String: Double]]>([])
    let history = try await Points.trainer().fit(
      Points.train(), epochs: 2, validation: Points.test(),
      callbacks: [
        .onEpochEnd { moment in
          seen.withLock { $0.append(Dictionary(uniqueKeysWithValues: moment.values)) }
        }
      ])
    #expect(seen.withLock { $0 } == history.epochs.map { $0.values.filter { !$0.key.hasPrefix("val_") } })
  }

  @Test func aScheduleBelowZero() async throws {
    let trainer = Points.trainer()
    let text = await message {
      try await trainer.fit(
        Points.train(), epochs: 1, callbacks: [.learningRate(.linear(steps: 1, end: -1))])
    }
    #expect(text == "the schedule gives a learning rate of -0.03 at step 1: 0 or more fit")
  }

  /// Each fit is a run of its own: it need not beat, nor have, what an earlier one had.
  @Test func earlyStoppingAfterAnEarlierFit() async throws {
    let trainer = Trainer(Points.model(), optimizer: SGD(learningRate: 0), loss: .crossEntropy)
    try await trainer.fit(Points.train(), epochs: 1)
    let stopping = Callback.earlyStopping(patience: 2, minimumChange: 100)
    try await trainer.fit(Points.train(), epochs: 9, validation: Points.test(), callbacks: [stopping])
    #expect(trainer.history.epochs.count == 4)
    try await trainer.fit(Points.train(), epochs: 9, validation: Points.test(), callbacks: [stopping])
    #expect(trainer.history.epochs.count == 7)
    await #expect(throws: ApusError.self) {
      try await trainer.fit(Points.train(), epochs: 1, callbacks: [stopping])
    }
  }

  /// Asked for in an epoch's last step: the epoch is done, and counts.
  @Test func stoppingAtAnEpochsEnd() async throws {
    final class Stopping: TrainingObserver {
      func stepDidEnd(_ moment: TrainingMoment) { if moment.step == moment.stepsPerEpoch { moment.stop() } }
    }
    let trainer = Points.trainer()
    let history = try await trainer.fit(
      Points.train(), epochs: 3, validation: Points.test(), callbacks: [Callback { Stopping() }])
    #expect(history.epochs.map(\.number) == [1])
    #expect(history.epochs.first?.values["val_loss"] != nil)
    #expect(try await trainer.fit(Points.train(), epochs: 1).epochs.map(\.number) == [1, 2])
  }

  @Test func earlyStopping() async throws {
    let trainer = Trainer(Points.model(), optimizer: SGD(learningRate: 0), loss: .crossEntropy)
    let history = try await trainer.fit(
      Points.train(), epochs: 20, validation: Points.test(),
      callbacks: [.earlyStopping(monitor: "val_loss", patience: 3, minimumChange: 100)])
    #expect(history.epochs.count == 4)
    await #expect(throws: ApusError.self) {
      try await trainer.fit(Points.train(), epochs: 1, callbacks: [.earlyStopping(monitor: "val_f1")])
    }
  }

  @Test func errors() async throws {
    let trainer = Points.trainer()
    let before = trainer.model.bits
    let narrow = try Dataset(Tensor.ones([4, 2]), Tensor([0, 1, 0, 1])).batched(2)
    #expect(
      await message { try await trainer.fit(narrow, epochs: 1) } == "0 (Linear) expects [..., 3], got float32[batch, 2]"
    )
    #expect(
      await message { try await trainer.fit(Dataset(Points.inputs).batched(2), epochs: 1) }.contains(
        "need inputs and targets"))
    #expect(await message { try await trainer.fit(Dataset(Points.inputs, Points.labels), epochs: 1) } != "no error")
    #expect(await message { try await trainer.fit(Points.train().take(0), epochs: 1) }.contains("dataset is empty"))
    #expect(await message { try await trainer.fit(Points.train(), epochs: -1) }.contains("-1 epochs"))
    #expect(await message { _ = try await trainer.predict(Points.test().take(0)) }.contains("nothing to predict"))
    #expect(await message { _ = try await trainer.evaluate(Points.test().take(0)) }.contains("nothing to evaluate"))
    #expect(
      await message { try await trainer.fit(Points.train(), epochs: 1, validation: Points.test().take(0)) }.contains(
        "nothing to validate"))
    #expect(trainer.model.bits == before)
    // The trainer is none the worse for it.
    #expect(await message { try await trainer.fit(Points.train(), epochs: 1) } == "no error")
  }

  /// Others would change the modes and the running sums under a fit; its own callbacks and validation may use the model.
  @Test func oneAtATime() async throws {
    let trainer = Points.trainer()
    let (predicted, predicting) = AsyncStream.makeStream(of: Int.self)
    let inside = Callback.onEpochEnd { moment in
      predicting.yield(try moment.trainer.predict(Points.inputs).shape[0])
    }
    let task = Task {
      try await trainer.fit(Points.train(), epochs: 100_000, validation: Points.test(), callbacks: [inside])
    }
    for await count in predicted where count > 0 { break }
    let uses: [() async throws -> Void] = [
      { _ = try await trainer.evaluate(Points.test()) }, { _ = try await trainer.predict(Points.test()) },
      { _ = try trainer.predict(Points.inputs) }, { try await trainer.fit(Points.train(), epochs: 1) },
      { try trainer.resume(from: "nowhere") }, { try trainer.saveCheckpoint("nowhere") },
    ]
    for use in uses {
      let error = await #expect(throws: ApusError.self) { try await use() }
      #expect(error?.message.contains("busy with a fit") == true)
    }
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
    #expect(trainer.model.modes.areTraining)
    _ = try await trainer.evaluate(Points.test())
    _ = try trainer.predict(Points.inputs)
  }

  /// A prediction, too, has the model to itself: its end would put another one, or a fit, into the wrong mode.
  @Test func predictionsAreAlone() async throws {
    let trainer = Points.trainer()
    let texts = Mutex<[String]>([])
    let data = try Dataset(count: 1) { _ in
      // While the data is read somebody else, on a thread of his own, asks too.
      let done = DispatchSemaphore(value: 0)
      Thread.detachNewThread {
        let uses: [() throws -> Void] = [
          { _ = try trainer.predict(Points.inputs) }, { try trainer.saveCheckpoint("nowhere") },
          { try trainer.resume(from: "nowhere") },
        ]
        for use in uses {
          do {
            try use()
            texts.withLock { $0.append("no error") }
          } catch {
            texts.withLock { $0.append("\(error)") }
          }
        }
        done.signal()
      }
      done.wait()
      return Batch(Points.inputs)
    }
    #expect(try await trainer.predict(data).shape == [54, 2])
    let seen = texts.withLock { $0 }
    #expect(seen.count == 3 && seen.allSatisfy { $0.contains("busy with a prediction") }, "\(seen)")
    #expect(try trainer.predict(Points.inputs).shape == [54, 2])
  }

  @Test func cancellation() async throws {
    let trainer = Points.trainer()
    let task = Task {
      try await trainer.fit(Points.train(), epochs: 100_000)
    }
    try await Task.sleep(for: .milliseconds(50))
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
    try await trainer.fit(Points.train(), epochs: 1)
  }
}
