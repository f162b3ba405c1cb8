import Apus

let x = Tensor([[1.0, 2.0], [3.0, 4.0]])
print(x.matmul(x))
print(gradient(at: Tensor(2.0)) { $0 ** 3 })

let model = Sequential {
  Linear(2, 8)
  ReLU()
  Linear(8, 1)
}
let optimizer = Adam(model.parameters, learningRate: 0.05)
let step = compiled { (x: Tensor, y: Tensor) in
  optimizer.zeroGradients()
  let loss = meanSquaredError(model(x), y)
  loss.backward()
  optimizer.step()
  return loss
}
let target = Tensor([[3.0], [7.0]])
let first = try step(x, target).item()
var last = first
for _ in 0..<200 { last = try step(x, target).item() }
print(namesBesideFoundation())
print("parameters: \(model.parameters.count), learned: \(last < first / 100)")
