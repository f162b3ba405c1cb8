import ApusCore
import ApusData
import ApusFormats
import ApusNN
import Foundation
import TestSupport
import Testing

@testable import ApusTrain

/// Interrupted and resumed trainings end bit for bit where uninterrupted ones do.
@Suite struct CheckpointTests {
  /// Stops the training after a step.
  final class Interruption: TrainingObserver {
    let step: Int
    init(after step: Int) { self.step = step }
    func stepDidEnd(_ moment: TrainingMoment) { if moment.totalSteps == step { moment.stop() } }
  }

  private func uninterrupted() async throws -> (bits: [String: [UInt8]], optimizer: [String: [UInt8]], history: History)
  {
    let trainer = Points.trainer()
    let history = try await trainer.fit(Points.train(), epochs: 4, validation: Points.test())
    return (trainer.model.bits, slots(trainer), history)
  }

  private func slots(_ trainer: Trainer) -> [String: [UInt8]] {
    Dictionary(
      uniqueKeysWithValues: trainer.optimizer.stateDictionary(trainer.model).map {
        ($0.key, $0.value.storage.withBytes { Array($0) })
      })
  }

  /// Steps 4, 8, … end an epoch of four; a checkpoint is made every three steps and after epochs.
  @Test(arguments: [3, 5, 8, 10]) func resumeIsExact(step: Int) async throws {
    let folder = try TemporaryFolder()
    let path = folder.file("ckpt")
    let expected = try await uninterrupted()
    let first = Points.trainer()
    try await first.fit(
      Points.train(), epochs: 4, validation: Points.test(),
      callbacks: [.checkpoint(path, everySteps: 3), Callback(Interruption(after: step))])
    #expect(first.model.bits != expected.bits)
    // Other initial weights and random numbers: all of it comes from the checkpoint.
    let second = Points.trainer(seed: 99)
    try second.resume(from: path)
    let history = try await second.fit(
      Points.train(), epochs: 4, validation: Points.test(), callbacks: [.checkpoint(path, everySteps: 3)])
    #expect(second.model.bits == expected.bits)
    #expect(slots(second) == expected.optimizer)
    #expect(history.epochs.map(\.values) == expected.history.epochs.map(\.values))
    #expect(history.epochs.map(\.steps) == [4, 4, 4, 4])
    // A finished run has nothing left to do.
    let third = Points.trainer()
    try third.resume(from: path)
    try await third.fit(Points.train(), epochs: 4)
    #expect(third.model.bits == expected.bits)
  }

  /// After a fit that was refused the next one still goes on with the run.
  @Test func aRefusedFitLeavesTheResumedRunAsItIs() async throws {
    let folder = try TemporaryFolder()
    let path = folder.file("ckpt")
    try await Points.trainer().fit(
      Points.train(), epochs: 4, callbacks: [.checkpoint(path, everySteps: 3), Callback(Interruption(after: 7))])
    let trainer = Points.trainer()
    try trainer.resume(from: path)
    let otherData = try Dataset(Points.inputs, Points.labels).shuffled(seed: 8).batched(16)
    #expect(await message { try await trainer.fit(otherData, epochs: 4) }.contains("made with other data"))
    let narrow = try Dataset(Tensor.ones([54, 2]), Points.labels).shuffled(seed: 7).batched(16)
    #expect(await message { try await trainer.fit(narrow, epochs: 4) }.contains("expects [..., 3]"))
    try await trainer.fit(Points.train(), epochs: 4)
    let whole = Points.trainer()
    try await whole.fit(Points.train(), epochs: 4)
    #expect(trainer.model.bits == whole.model.bits)
    #expect(trainer.history.epochs.map(\.steps) == [4, 4, 4, 4])
    // That run is over: a further fit adds to it.
    #expect(try await trainer.fit(Points.train(), epochs: 1).epochs.count == 5)
  }

  /// A model whose sizes are inferred has none before its weights are loaded.
  @Test func aModelWithoutSizesIsResumed() async throws {
    let folder = try TemporaryFolder()
    let path = folder.file("ckpt")
    func trainer() -> Trainer {
      let model = Sequential {
        Dense(8, activation: .tanh)
        BatchNorm1D()
        Dense(2)
      }
      return Trainer(model, optimizer: Adam(), loss: .crossEntropy)
    }
    let first = trainer()
    try await first.fit(Points.train(), epochs: 1, callbacks: [.checkpoint(path)])
    let second = trainer()
    #expect(
      #expect(throws: ApusError.self) {
        try second.optimizer.loadStateDictionary(first.optimizer.stateDictionary(first.model), second.model)
      }?.message.contains("load the model's state before") == true)
    try second.resume(from: path)
    try await first.fit(Points.train(), epochs: 1)
    try await second.fit(Points.train(), epochs: 2)
    #expect(second.model.bits == first.model.bits)
  }

  @Test func whatIsInIt() async throws {
    let folder = try TemporaryFolder()
    let path = folder.file("ckpt")
    let trainer = Points.trainer()
    try await trainer.fit(Points.train(), epochs: 2, callbacks: [.checkpoint(path)])
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["ckpt"])
    #expect(
      try FileManager.default.contentsOfDirectory(atPath: path).sorted()
        == ["model.safetensors", "optimizer.safetensors", "state.json"])
    let model = Points.model(seed: 77)
    try model.load(from: "\(path)/model.safetensors")
    #expect(model.bits == trainer.model.bits)
  }

  @Test func theBestIsKept() async throws {
    let folder = try TemporaryFolder()
    let path = folder.file("best")
    let trainer = Points.trainer()
    let history = try await trainer.fit(
      Points.train(), epochs: 6, validation: Points.test(), callbacks: [.checkpoint(path, bestOf: "val_accuracy")])
    let saved = Points.trainer()
    try saved.resume(from: path)
    #expect(saved.history["val_accuracy"].last == history["val_accuracy"].max())
  }

  @Test func misfitsAreNamed() async throws {
    let folder = try TemporaryFolder()
    let path = folder.file("ckpt")
    try await Points.trainer().fit(Points.train(), epochs: 1, callbacks: [.checkpoint(path)])
    func message(_ trainer: Trainer) -> String {
      #expect(throws: ApusError.self) { try trainer.resume(from: path) }?.description ?? ""
    }
    let model = { Points.model() }
    #expect(
      message(Trainer(Sequential { Linear(3, 2) }, optimizer: AdamW(), loss: .crossEntropy)).contains(
        "random generators"))
    #expect(message(Trainer(model(), optimizer: AdamW(), loss: .crossEntropy)).contains("other metrics: 1, not 0"))
    #expect(
      message(Trainer(model(), optimizer: SGD(momentum: 0.9), loss: .crossEntropy, metrics: [.accuracy]))
        .contains("unexpected: 0.bias.exp_avg"))
    // Two learning rates are none.
    let optimizer = "\(path)/optimizer.safetensors"
    let good = try SafetensorsFile(optimizer).stateDictionary()
    var damaged = good
    damaged["learning_rate"] = Tensor([1.0, 2])
    try SafetensorsFile.write(damaged, to: optimizer)
    #expect(message(Points.trainer()).contains("learning_rate: got [2], expected []"))
    try SafetensorsFile.write(good, to: optimizer)
    // Data in another order is not the run's data.
    let trainer = Points.trainer()
    try trainer.resume(from: path)
    await #expect(throws: ApusError.self) {
      try await trainer.fit(try Dataset(Points.inputs, Points.labels).shuffled(seed: 8).batched(16), epochs: 2)
    }
    try Data("{\"format\": 1, \"epoch\":".utf8).write(to: URL(fileURLWithPath: "\(path)/state.json"))
    #expect(message(Points.trainer()).contains("state.json is damaged"))
    try FileManager.default.removeItem(atPath: "\(path)/state.json")
    #expect(message(Points.trainer()).contains("No such file or directory"))
  }

  /// A process killed at any moment leaves a checkpoint from which training ends exactly as it would have.
  @Test(arguments: (0..<20).map { _ in UInt32.random(in: 1000...180_000) }) func killed(delay: UInt32) async throws {
    let folder = try TemporaryFolder()
    let path = folder.file("ckpt")
    await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String, delay = delay as UInt32] in
      let trainer = Points.trainer()
      let killer = Thread {
        // The clock starts with the first checkpoint, so that there is one to come back to.
        while !FileManager.default.fileExists(atPath: "\(path)/state.json") { usleep(200) }
        usleep(delay)
        kill(getpid(), SIGKILL)
      }
      killer.start()
      try await trainer.fit(Points.train(), epochs: 100_000, callbacks: [.checkpoint(path, everySteps: 1)])
    }
    let resumed = Points.trainer(seed: 99)
    try resumed.resume(from: path)
    let epochs = resumed.state.withLock { $0.epoch } + 1
    try await resumed.fit(Points.train(), epochs: epochs, callbacks: [.checkpoint(path)])
    // What the killed process had half-written is gone.
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["ckpt"])
    let whole = Points.trainer()
    try await whole.fit(Points.train(), epochs: epochs)
    #expect(resumed.model.bits == whole.model.bits, "after \(epochs) epochs")
  }
}

/// Checkpoints with running sums of several kinds, and those of earlier versions.
@Suite struct RunningSumsTests {
  private func trainer(_ metrics: [Metric]) -> Trainer {
    Trainer(Points.model(), optimizer: AdamW(learningRate: 0.03), loss: .crossEntropy, metrics: metrics)
  }
  private let spread = Metric("spread", mode: .max) { scores, _ in
    [scores.sum(), (scores ** 2).sum(), scores.max()]
  } value: {
    ($0[1] - $0[0]).squareRoot() + $0[2]
  }

  @Test func sumsOfAnEpochGoOn() async throws {
    let folder = try TemporaryFolder()
    let path = folder.file("ckpt")
    let metrics = [Metric.accuracy, spread, .topAccuracy(1).ignoring(1)]
    let whole = try await trainer(metrics).fit(Points.train(), epochs: 2)
    try await trainer(metrics).fit(
      Points.train(), epochs: 2,
      callbacks: [.checkpoint(path, everySteps: 3), Callback(CheckpointTests.Interruption(after: 6))])
    let resumed = trainer(metrics)
    try resumed.resume(from: path)
    #expect(try await resumed.fit(Points.train(), epochs: 2).epochs.map(\.values) == whole.epochs.map(\.values))
    // Other metrics' sums are not these, and change nothing.
    let refused = trainer([.accuracy, Metric("mean") { scores, _ in scores.max(1) }, .binaryAccuracy])
    #expect(message { try refused.resume(from: path) }.contains("made with other metrics: their sums are not those of"))
  }

  /// Earlier versions kept one sum over the examples for each.
  @Test(arguments: [6, 8]) func olderCheckpointsAreRead(step: Int) async throws {
    let folder = try TemporaryFolder()
    let path = folder.file("ckpt")
    let whole = try await trainer([.accuracy]).fit(Points.train(), epochs: 3)
    try await trainer([.accuracy]).fit(
      Points.train(), epochs: 3,
      callbacks: [.checkpoint(path, everySteps: 3), Callback(CheckpointTests.Interruption(after: step))])
    let state = "\(path)/state.json"
    var json = try #require(
      JSONSerialization.jsonObject(with: Data(contentsOf: URL(fileURLWithPath: state))) as? [String: Any])
    let totals = try #require(json.removeValue(forKey: "totals") as? [[Double]])
    json["sums"] = totals.map { $0.first ?? 0 }
    try JSONSerialization.data(withJSONObject: json).write(to: URL(fileURLWithPath: state))
    let resumed = trainer([.accuracy])
    try resumed.resume(from: path)
    #expect(try await resumed.fit(Points.train(), epochs: 3).epochs.map(\.values) == whole.epochs.map(\.values))
  }
}
