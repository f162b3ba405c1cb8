// Graph mode: the first call per signature captures and compiles the whole training step.
import Apus

manualSeed(0)
let model = Sequential {
  Linear(64, 32)
  ReLU()
  Linear(32, 10)
}
let optimizer = AdamW(model.parameters, learningRate: 1e-2)

let step = compiled(inputs: [["batch", 64], ["batch"]]) { (images: Tensor, labels: Tensor) in
  optimizer.zeroGradients()
  let loss = crossEntropy(model(images), labels)
  loss.backward()
  optimizer.step()
  return loss
}

for batch in [32, 48, 64] {
  let loss = try step(Tensor.normal([batch, 64]), Tensor.randomIntegers([batch], in: 0..<10))
  print("batch of \(batch): loss \(loss)")
}
print("traced \(step.traceCount) time")  // once, for all three batch sizes
