import ApusCore
import ApusFormats
import ApusNN
import Testing

/// Fifty training steps from PyTorch's weights on PyTorch's batches: its losses, weights and running statistics.
/// What the files hold, and how far another implementation may be off, is told in Scripts/fixtures/golden.py.
@Suite struct GoldenRunTests {
  static let directory = #filePath.split(separator: "/").dropLast(2).reduce("") { $0 + "/" + $1 } + "/Fixtures"

  static func mlp() -> Sequential {
    Sequential {
      Linear(64, 32)
      ReLU()
      Linear(32, 16, activation: .relu)
      Identity()
      Linear(16, 10)
    }
  }

  static func cnn() -> Sequential {
    Sequential {
      Conv2D(1, 8, kernelSize: 3, padding: 1)
      BatchNorm2D(8)
      ReLU()
      MaxPool2D(2)
      Conv2D(8, 16, kernelSize: 3)
      BatchNorm2D(16)
      ReLU()
      Flatten()
      Linear(16 * 2 * 2, 10)
    }
  }

  static func optimizer(_ name: String, _ parameters: [Parameter]) -> any Optimizer {
    switch name {
    case "sgd": SGD(parameters, learningRate: 0.05, momentum: 0.9)
    case "adam": Adam(parameters, learningRate: 1e-3)
    default: AdamW(parameters, learningRate: 1e-3, weightDecay: 0.01)
    }
  }

  @Test(arguments: ["mlp", "cnn"], ["sgd", "adam", "adamw"])
  func eager(network: String, optimizer: String) throws { try run(network, optimizer, isCompiled: false) }

  @Test(arguments: ["mlp", "cnn"], ["sgd", "adam", "adamw"])
  func compiled(network: String, optimizer: String) throws { try run(network, optimizer, isCompiled: true) }

  @Test func theyRunOnTheEmbeddedEngine() { #expect(Engines.embedded.name == "cpu") }

  func run(_ network: String, _ name: String, isCompiled: Bool) throws {
    let golden = try SafetensorsFile("\(Self.directory)/golden-\(network).safetensors").stateDictionary()
    let model = network == "mlp" ? Self.mlp() : Self.cnn()
    try model.loadStateDictionary(golden.entries(under: "initial/"))
    let optimizer = Self.optimizer(name, model.parameters)
    let body: @Sendable (Tensor, Tensor) -> Tensor = { x, y in
      optimizer.zeroGradients()
      let loss = crossEntropy(model(x), y)
      loss.backward()
      optimizer.step()
      return loss
    }
    let step = ApusCore.compiled(body)
    let inputs = try #require(golden["inputs"])
    let labels = try #require(golden["labels"])
    let expected = try #require(golden["\(name)/losses"]).toArray(of: Double.self)
    var losses: [Double] = []
    for i in 0..<50 {
      losses.append((isCompiled ? try step(inputs[i], labels[i]) : body(inputs[i], labels[i])).item())
    }
    #expect(step.traceCount == (isCompiled ? 1 : 0))
    for (i, (loss, target)) in zip(losses, expected).enumerated() {
      #expect(abs(loss - target) <= 1e-4 * abs(target), "step \(i): \(loss), PyTorch \(target)")
    }
    for (key, target) in golden.entries(under: "\(name)/final/") {
      let value = try #require(model.stateDictionary()[key])
      let deviation = try #require(golden["\(name)/deviation/\(key)"]).item()
      // Where float32 and float64 part, the value means nothing.
      if deviation > 1e-3 { continue }
      let largest = (value.cast(to: .float64) - target.cast(to: .float64)).abs().max().item()
      #expect(largest <= max(20 * deviation, 2e-6), "\(key) is off by \(largest)")
    }
  }
}
