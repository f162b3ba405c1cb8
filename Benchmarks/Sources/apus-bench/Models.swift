import Apus

/// Whole training steps and one model's inference.
extension Workload {
  private typealias Step = @Sendable (Tensor, Tensor) throws -> Void

  private static func step(_ model: any Layer, _ optimizer: any Optimizer) -> Step {
    { x, y in
      optimizer.zeroGradients()
      crossEntropy(model(x), y).backward()
      optimizer.step()
    }
  }

  private static func mlpStep(isCompiled: Bool) -> Call {
    let model = Sequential {
      Linear(784, 256)
      ReLU()
      Linear(256, 128)
      ReLU()
      Linear(128, 10)
    }
    let run = step(model, SGD(model.parameters, learningRate: 0.01, momentum: 0.9))
    let (x, y) = (Tensor.normal([32, 784]), Tensor.randomIntegers([32], in: 0..<10))
    guard isCompiled else { return { try run(x, y) } }
    let fused = compiled(name: "mlp") { (x: Tensor, y: Tensor) in try run(x, y) }
    return { try fused(x, y) }
  }

  private static func network() -> Sequential {
    Sequential {
      Conv2D(1, 32, kernelSize: 3)
      ReLU()
      MaxPool2D(2)
      Flatten()
      Linear(32 * 13 * 13, 10)
    }
  }

  private static func epoch(isCompiled: Bool) throws -> Call {
    let model = network()
    let run = step(model, Adam(model.parameters, learningRate: 1e-3))
    let fused = compiled(name: "cnn") { (x: Tensor, y: Tensor) in try run(x, y) }
    let data = try Dataset(Tensor.normal([6_400, 1, 28, 28]), Tensor.randomIntegers([6_400], in: 0..<10))
      .shuffled(seed: 0).batched(64)
    var number = 0
    return {
      var batches = data.epoch(number).makeIterator()
      number += 1
      while let batch = try batches.next() {
        if isCompiled { try fused(batch[0], batch[1]) } else { try run(batch[0], batch[1]) }
      }
    }
  }

  private static func inference(isCompiled: Bool) -> Call {
    let model = network()
    model.eval()
    let image = Tensor.normal([1, 1, 28, 28])
    let fused = compiled(name: "cnn") { (x: Tensor) in withoutGradients { model(x) } }
    return { keep(isCompiled ? try fused(image) : withoutGradients { model(image) }) }
  }

  static let models = [false, true].flatMap { isCompiled in
    let way = isCompiled ? "compiled" : "eager"
    return [
      Workload("mlp_step/\(way)") { mlpStep(isCompiled: isCompiled) },
      Workload("seed_cnn_train/\(way)") { try epoch(isCompiled: isCompiled) },
      Workload("seed_cnn_infer_b1/\(way)") { inference(isCompiled: isCompiled) },
    ]
  }
}
