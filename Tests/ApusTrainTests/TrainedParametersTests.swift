import ApusCore
import ApusData
import ApusNN
import TestSupport
import Testing

@testable import ApusTrain

/// What a trainer trains: all that is trainable, and what is in the model now.
@Suite struct TrainedParametersTests {
  /// A parameter that is to be trained and that no optimizer has would stay as it is without a word.
  @Test(arguments: [Trainer.Execution.compiled, .eager]) func whatNoOptimizerHas(mode: Trainer.Execution) async throws {
    func trainer(_ model: any Layer, _ optimizer: any Optimizer) -> Trainer {
      Trainer(model, optimizer: optimizer, loss: .crossEntropy, mode: mode)
    }
    func fit(_ trainer: Trainer) async -> String { await message { try await trainer.fit(Points.train(), epochs: 1) } }
    // One optimizer in two trainers.
    let (a, b) = (Points.model(), Points.model())
    let optimizer = SGD(learningRate: 0.1)
    let (first, second) = (trainer(a, optimizer), trainer(b, optimizer))
    #expect(await fit(first) == "no error")
    let before = b.bits
    let refused = await fit(second)
    #expect(refused.contains("does not have all that is to be trained: 0.weight, 0.bias, 1.weight"), "\(refused)")
    #expect(b.bits == before && second.history.epochs.isEmpty)
    optimizer.attach(b.parameters)
    let ofA = a.bits
    #expect(await fit(second) == "no error")
    #expect(b.bits != before && a.bits == ofA)
    #expect(await fit(first) == "no error")
    #expect(a.bits != ofA)
    // Some of a model's parameters: the others must be frozen.
    let c = Points.model()
    let some = trainer(c, SGD(c[4].parameters, learningRate: 0.1))
    #expect(await fit(some).contains("0.weight"))
    c[0..<4].setTrainable(false)
    #expect(await fit(some) == "no error")
    // Made trainable later, also between steps.
    c[1].setTrainable(true)
    #expect(await fit(some).contains("trained: 1.weight, 1.bias."))
    c[1].setTrainable(false)
    final class Thaw: TrainingObserver {
      func stepDidEnd(_ moment: TrainingMoment) { if moment.step == 2 { moment.trainer.model.setTrainable(true) } }
    }
    let thawed = await message {
      try await some.fit(Points.train(), epochs: 1, callbacks: [Callback(Thaw())])
    }
    #expect(thawed.contains("trained: 0.weight"), "\(thawed)")
    // Sizes that are still unknown, and numbers that have no gradients.
    let lazy = Sequential { Dense(2) }
    #expect(await fit(trainer(lazy, SGD([Parameter(Tensor(1.0))]))).contains("trained: 0.weight, 0.bias"))
    #expect(await fit(trainer(lazy, SGD(lazy.parameters))) == "no error")
    final class Counting: Module {
      let places = Parameter(Tensor([0, 1]))
      let layer = Linear(3, 2)
      func forward(_ x: Tensor) -> Tensor { layer(x) }
    }
    let counting = Counting()
    #expect(await fit(trainer(counting, SGD(counting.layer.parameters))) == "no error")
  }

  /// A replaced layer is what is trained and evaluated from then on.
  @Test(arguments: [Trainer.Execution.compiled, .eager]) func replacedLayers(mode: Trainer.Execution) async throws {
    final class Net: Module {
      let head: Slot<any Layer> = Slot(Linear(3, 2))
      func forward(_ x: Tensor) -> Tensor { head(x) }
    }
    let net = Net()
    let trainer = Trainer(net, optimizer: SGD(learningRate: 0.1), loss: .crossEntropy, metrics: [.accuracy], mode: mode)
    try await trainer.fit(Points.train(), epochs: 1, validation: Points.test())
    let old = net.head.module
    let oldBits = old.bits
    let new = Linear(3, 2)
    let newBits = new.bits
    net.head.module = new
    let text = await message { try await trainer.fit(Points.train(), epochs: 1) }
    #expect(text.contains("trained: head.weight, head.bias. Give it them"), "\(text)")
    #expect(try trainer.predict(Points.inputs).toArray() == new(Points.inputs).toArray())
    let result = try await trainer.evaluate(Points.test())
    #expect(abs((result["loss"] ?? 0) - crossEntropy(new(Points.inputs), Points.labels).item()) < 1e-6)
    trainer.optimizer.attach(net.parameters)
    try await trainer.fit(Points.train(), epochs: 1)
    #expect(new.bits != newBits && old.bits == oldBits)
    // In the midst of an epoch too.
    final class Swap: TrainingObserver {
      let net: Net
      init(_ net: Net) { self.net = net }
      func stepDidEnd(_ moment: TrainingMoment) {
        if moment.step == 2 { net.head.module = Sequential { Linear(3, 2) } }
      }
    }
    let swapped = await message {
      try await trainer.fit(Points.train(), epochs: 1, callbacks: [Callback(Swap(net))])
    }
    #expect(swapped.contains("trained: head.0.weight, head.0.bias"), "\(swapped)")
  }
}
