// The same as in Keras: sizes inferred at the first call, then fit, evaluate, predict.
import Apus

manualSeed(0)
let digits = try Datasets.digits()
let model = Sequential {
  Conv2D(32, kernelSize: 3, activation: .relu)
  MaxPool2D(2)
  Flatten()
  Dense(10)
}
let trainer = Trainer(model, optimizer: Adam(), loss: .sparseCategoricalCrossEntropy, metrics: [.accuracy])
let history = try await trainer.fit(
  digits.train.shuffled(seed: 0).batched(32), epochs: 5, validation: digits.test.batched(128),
  callbacks: [.progress, .checkpoint("ckpt")])
let result = try await trainer.evaluate(digits.test.batched(128))
print(result)
