import ApusCore
import ApusData
import ApusNN
import TestSupport
import Testing

@testable import ApusTrain

/// Which way is better is said, not guessed from a name.
@Suite struct MonitorTests {
  /// A value that rises by one an epoch: the steps made so far, of which each epoch has one.
  private final class Rising: Module {
    let steps = Buffer(Tensor(0.0))
    let weight = Parameter(Tensor(1.0))
    let mode = Mode(true)
    func forward(_ x: Tensor) -> Tensor {
      if mode.value { steps.value = steps.value + 1 }
      return x * weight.tensor + steps.value
    }
  }
  private static let names = ["f1", "accuracy_of_errors", "top_loss", "score"]

  private func trainer(_ name: String, _ mode: MonitorMode?) -> Trainer {
    Trainer(
      Rising(), optimizer: SGD(learningRate: 0), loss: Loss("none") { ($0 * 0 + $1 * 0).mean() },
      metrics: [Metric(name, mode: mode) { $0 + $1 * 0 }])
  }
  private func data() throws -> Dataset { try Dataset(Tensor.zeros([4, 1]), Tensor.zeros([4, 1])).batched(4) }

  /// Rising: with `.max` every epoch is the best, with `.min` the first.
  @Test func theMetricSaysWhichWayIsBetter() async throws {
    for (i, name) in Self.names.enumerated() {
      for monitor in [i % 2 == 0 ? name : "val_" + name] {
        for (own, given) in [(MonitorMode.max, nil), (.min, nil), (nil, .max), (nil, .min), (.min, .max), (.max, .min)]
          as [(MonitorMode?, MonitorMode?)]
        {
          let place = "\(monitor), \(String(describing: own)), \(String(describing: given))"
          let rises = (given ?? own) == .max
          let folder = try TemporaryFolder()
          let path = folder.file("best")
          let trainer = trainer(name, own)
          try await trainer.fit(
            data(), epochs: 5, validation: data(),
            callbacks: [
              .earlyStopping(monitor: monitor, mode: given, patience: 2),
              .checkpoint(path, bestOf: monitor, mode: given),
            ])
          #expect(trainer.history.epochs.count == (rises ? 5 : 3), "\(place)")
          let best = self.trainer(name, own)
          try best.resume(from: path)
          #expect(best.history.epochs.count == (rises ? 5 : 1), "\(place)")
        }
      }
    }
  }

  @Test func whoDoesNotSayIsAsked() async throws {
    for name in Self.names {
      let folder = try TemporaryFolder()
      for callback in [
        Callback.earlyStopping(monitor: "val_" + name, patience: 1), .checkpoint(folder.file("best"), bestOf: name),
      ] {
        let trainer = trainer(name, nil)
        let text = await message {
          try await trainer.fit(data(), epochs: 2, validation: data(), callbacks: [callback])
        }
        #expect(text.contains("\(name)\" are better is not said") && text.contains("mode: .max"), "\(text)")
        // Before the first step.
        #expect(trainer.optimizer.stepCount == 0)
      }
    }
    let trainer = trainer("f1", .max)
    let text = await message {
      try await trainer.fit(data(), epochs: 1, callbacks: [.earlyStopping(monitor: "val_f2", mode: .max)])
    }
    #expect(text == "there is no value \"val_f2\" to watch; there are loss, f1, val_loss, val_f1")
    #expect(trainer.optimizer.stepCount == 0)
  }

  @Test func ownMetricsSayIt() {
    let rising: [Metric] = [.accuracy, .topAccuracy(3), .binaryAccuracy]
    #expect(rising.allSatisfy { $0.mode == .max } && rising.allSatisfy { $0.ignoring(1).mode == .max })
    #expect([Metric.meanSquaredError, .meanAbsoluteError].allSatisfy { $0.mode == .min })
  }

  /// A loss is always the better the smaller it is.
  @Test func lossesFall() async throws {
    let trainer = Trainer(
      Rising(), optimizer: SGD(learningRate: 0), loss: Loss("accuracy") { ($0 + $1 * 0).mean() })
    try await trainer.fit(
      data(), epochs: 9, validation: data(), callbacks: [.earlyStopping(monitor: "val_loss", patience: 2)])
    #expect(trainer.history.epochs.count == 3)
  }
}
