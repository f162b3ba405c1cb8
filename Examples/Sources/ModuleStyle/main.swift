// A module, as in torch.nn, and a training loop by hand.
import Apus

final class CNN: Module {
  let conv = Sequential {
    Conv2D(3, 32, kernelSize: 3)
    ReLU()
    MaxPool2D(2)
  }
  let fc = Linear(32 * 15 * 15, 10)

  func forward(_ x: Tensor) -> Tensor { fc(conv(x).flattened(from: 1)) }
}

manualSeed(0)
let model = CNN()
let optimizer = SGD(model.parameters, learningRate: 0.01, momentum: 0.9)
let images = Tensor.normal([16, 3, 32, 32])
let labels = Tensor.randomIntegers([16], in: 0..<10)

for step in 1...20 {
  optimizer.zeroGradients()
  let loss = crossEntropy(model(images), labels)
  loss.backward()
  optimizer.step()
  if step % 5 == 0 { print("step \(step): loss \(loss)") }
}
print(model.stateDictionary().keys.sorted())
