import ApusCore
import ApusNN
import TestSupport
import Testing

/// Layers' values on small inputs, worked out by hand.
@Suite struct LayerTests {
  @Test func linear() throws {
    let layer = Linear(2, 3)
    try layer.loadStateDictionary(["weight": Tensor([[1.0, 2], [3, 4], [5, 6]]), "bias": Tensor([0.5, 0, -0.5])])
    #expect(layer(Tensor([[1.0, 10]])).toArray() == [21.5, 43, 64.5])
    #expect(layer(Tensor([1.0, 10])).toArray() == [21.5, 43, 64.5])
    #expect(layer(Tensor.ones([4, 5, 2])).shape == [4, 5, 3])
    #expect(Linear(2, 3, bias: false).stateDictionary().keys == ["weight"])
  }

  @Test func convolution() throws {
    let layer = Conv2D(1, 1, kernelSize: 2)
    try layer.loadStateDictionary(["weight": Tensor([1.0, 2, 3, 4], shape: [1, 1, 2, 2]), "bias": Tensor([10.0])])
    let x = Tensor([1.0, 2, 3, 4, 5, 6, 7, 8, 9], shape: [1, 1, 3, 3])
    #expect(layer(x).toArray() == [47, 57, 77, 87])
    let k = 3
    let images = Tensor.ones([2, 4, 9, 7])
    #expect(Conv2D(4, 6, kernelSize: k, padding: .same)(images).shape == [2, 6, 9, 7])
    #expect(Conv2D(4, 6, kernelSize: k, stride: 2, padding: .same)(images).shape == [2, 6, 5, 4])
    #expect(Conv2D(4, 6, kernelSize: [3, 5], stride: [2, 1], padding: .valid)(images).shape == [2, 6, 4, 3])
    #expect(Conv2D(4, 6, kernelSize: k, padding: [0, 2], dilation: 2, groups: 2)(images).shape == [2, 6, 5, 7])
    #expect(Conv2D(6, kernelSize: k, groups: 2)(images).shape == [2, 6, 7, 5])
    #expect(Conv2D(4, 6, kernelSize: k, groups: 2).weight.value.shape == [6, 2, 3, 3])
  }

  @Test func pooling() {
    let x = Tensor([1.0, 2, 3, 4, 5, 6, 7, 8, 9], shape: [1, 1, 3, 3])
    #expect(MaxPool2D(2, stride: 1)(x).toArray() == [5, 6, 8, 9])
    #expect(MaxPool2D(2)(x).toArray() == [5])
    #expect(AveragePool2D(2, stride: 1)(x).toArray() == [3, 4, 6, 7])
    #expect(AveragePool2D(2, padding: 1)(x).toArray() == [0.25, 1.25, 2.75, 7])
    #expect(AveragePool2D(2, padding: 1, countIncludePadding: false)(x).toArray() == [1, 2.5, 5.5, 7])
    #expect(GlobalAveragePool2D()(x).toArray() == [5])
    #expect(MaxPool2D([3, 1])(x).toArray() == [7, 8, 9])
  }

  /// PyTorch's `BatchNorm1d(1)` on [[1], [2], [3], [6]]: mean 3, biased variance 3.5, unbiased 14/3.
  @Test func batchNorm() {
    let layer = BatchNorm1D(1)
    let x = Tensor([[1.0], [2], [3], [6]])
    let y = layer(x).toArray(of: Double.self)
    for (a, b) in zip(y, [-2, -1, 0, 3].map { $0 / (3.5 + 1e-5).squareRoot() }) { #expect(abs(a - b) < 1e-6) }
    #expect(abs(layer.runningMean.value.item() - 0.3) < 1e-6)
    #expect(abs(layer.runningVar.value.item() - (0.9 + 0.1 * 14 / 3)) < 1e-6)
    #expect(layer.numBatchesTracked.value.item(as: Int.self) == 1)
    layer.eval()
    let expected = (6 - 0.3) / (0.9 + 1.4 / 3 + 1e-5).squareRoot()
    #expect(abs(layer(x).toArray(of: Double.self)[3] - expected) < 1e-5)
    #expect(layer.numBatchesTracked.value.item(as: Int.self) == 1)
  }

  @Test func batchNormOfAllBatches() {
    let layer = BatchNorm1D(1, momentum: nil)
    _ = layer(Tensor([[1.0], [3]]))
    _ = layer(Tensor([[5.0], [9]]))
    #expect(abs(layer.runningMean.value.item() - 4.5) < 1e-6)
    #expect(abs(layer.runningVar.value.item() - 5) < 1e-6)
    #expect(BatchNorm1D(2)(Tensor.normal([3, 2, 5])).shape == [3, 2, 5])
  }

  /// PyTorch leaves its averages as they are.
  @Test func batchNormOfNothing() throws {
    let layer = BatchNorm1D(2)
    #expect(layer(Tensor.zeros([0, 2])).shape == [0, 2])
    #expect(layer.numBatchesTracked.value.item() == 0)
    let step = compiled(inputs: [["batch", 2]]) { (x: Tensor) in layer(x) }
    #expect(try step(Tensor.zeros([0, 2])).shape == [0, 2])
    #expect(layer.runningMean.value.toArray() == [0, 0] && layer.runningVar.value.toArray() == [1, 1])
    #expect(layer.numBatchesTracked.value.item() == 0)
    _ = try step(Tensor([[1.0, 1], [3, 3]]))
    #expect(layer.numBatchesTracked.value.item() == 1)
    #expect(abs(layer.runningMean.value[0].item() - 0.2) < 1e-6)
  }

  /// It has no variance: an error, as in PyTorch, or where the batch's size is open no NaN that stays.
  @Test func batchNormOfOneValue() throws {
    let layer = BatchNorm1D(2)
    #expect(
      message { _ = layer(Tensor.ones([1, 2])) }
        == "BatchNorm1D expects more than one value per channel in training, got float32[1, 2]")
    #expect(layer.numBatchesTracked.value.item() == 0)
    let step = compiled(inputs: [["batch", 2]]) { (x: Tensor) in layer(x) }
    #expect(try step(Tensor([[5.0, 7]])).toArray() == [0, 0])
    for (value, expected) in zip(layer.runningVar.value.toArray(), [0.9, 0.9] as [Float]) {
      #expect(abs(value - expected) < 1e-6)
    }
    #expect(layer(Tensor.ones([1, 2, 3])).shape == [1, 2, 3])
    layer.eval()
    #expect(layer(Tensor.ones([1, 2])).shape == [1, 2])
  }

  @Test func layerNorm() {
    let x = Tensor([[1.0, 2, 3, 6], [0, 0, 0, 0]])
    let y = LayerNorm(4)(x).toArray(of: Double.self)
    for (a, b) in zip(y, [-2, -1, 0, 3].map { $0 / (3.5 + 1e-5).squareRoot() } + [0, 0, 0, 0]) {
      #expect(abs(a - b) < 1e-6)
    }
    let joint = LayerNorm([2, 2])(x.reshape([2, 2, 2]))
    #expect(joint.shape == [2, 2, 2])
    #expect(zip(joint.toArray(), y).allSatisfy { abs(Double($0) - $1) < 1e-6 })
  }

  @Test func dropout() {
    let layer = Dropout(0.25, generator: Generator(seed: 5))
    let x = Tensor.ones([100, 100])
    let y = layer(x).toArray(of: Double.self)
    let zeros = y.count { $0 == 0 }
    // Four standard deviations of a binomial of 10,000.
    #expect(abs(Double(zeros) - 2500) < 4 * (10_000 * 0.25 * 0.75).squareRoot())
    #expect(y.allSatisfy { $0 == 0 || abs($0 - 4.0 / 3) < 1e-6 })
    #expect(layer(x).toArray(of: Double.self) != y)
    layer.eval()
    #expect(layer(x).toArray(of: Double.self) == [Double](repeating: 1, count: 10_000))
    #expect(Dropout(1)(x).sum().item() == 0)
  }

  @Test func dropoutDrawsAnewInEveryCompiledCall() throws {
    let layer = Dropout(0.5, generator: Generator(seed: 5))
    let function = compiled { (x: Tensor) in layer(x) }
    let x = Tensor.ones([64])
    #expect(try function(x).toArray() != function(x).toArray())
    let again = Dropout(0.5, generator: Generator(seed: 5))
    let first = again(x).toArray()
    layer.generator.seed(5)
    #expect(try function(x).toArray() == first)
    layer.eval()
    #expect(try function(x).toArray() == x.toArray())
  }

  @Test func embedding() throws {
    let layer = Embedding(3, 2)
    try layer.loadStateDictionary(["weight": Tensor([[0.0, 1], [10, 11], [20, 21]])])
    let y = layer(Tensor([[2, 0], [1, 1]]))
    #expect(y.shape == [2, 2, 2] && y.toArray() == [20, 21, 0, 1, 10, 11, 10, 11])
    y.sum().backward()
    #expect(layer.weight.gradient?.toArray() == [1, 1, 2, 2, 1, 1])
  }

  @Test func activations() {
    let x = Tensor([-2.0, 0, 3])
    #expect(ReLU()(x).toArray() == [0, 0, 3])
    #expect(LeakyReLU(0.5)(x).toArray() == [-1, 0, 3])
    #expect(abs(SiLU()(x).toArray(of: Double.self)[2] - 2.857722) < 1e-5)
    #expect(abs(GELU()(x).toArray(of: Double.self)[0] + 0.045500) < 1e-5)
    #expect(abs(GELU(approximation: .tanh)(x).toArray(of: Double.self)[0] + 0.045402) < 1e-5)
    #expect(Sigmoid()(x).toArray()[1] == 0.5 && Tanh()(x).toArray()[1] == 0)
    #expect(abs(Softmax()(x).sum().item() - 1) < 1e-6)
    #expect(Linear(3, 3, activation: .relu)(x).min().item() >= 0)
  }

  @Test func sequences() {
    let layers = Sequential {
      for size in [8, 4] { Linear(size, size / 2); ReLU() }
      if layersWithHead { Linear(2, 1) }
    }
    #expect(layers.count == 5)
    #expect(layers[..<2].stateDictionary().keys == ["0.weight", "0.bias"])
    #expect(layers.appending(Tanh()).count == 6)
    #expect(
      layers.appending {
        Tanh(); ReLU()
      }.count == 7)
    #expect((layers[4] as? Linear)?.outputFeatures == 1)
    #expect(layers(Tensor.ones([3, 8])).shape == [3, 1])
    #expect(
      Sequential {
        Lambda { $0 * 2 }; Identity()
      }(Tensor(2.0)).item() == 4)
  }
  private let layersWithHead = true
}

/// Sizes that don't fit.
@Suite struct LayerErrorTests {
  @Test func namePathGotAndExpected() {
    let model = Sequential {
      Sequential { Linear(4, 8) }; ReLU(); Linear(8, 2)
    }
    #expect(message { _ = model(Tensor.ones([3, 5])) } == "0.0 (Linear) expects [..., 4], got float32[3, 5]")
    #expect(message { _ = Linear(4, 8)(Tensor.ones([3, 5])) } == "Linear expects [..., 4], got float32[3, 5]")
    #expect(
      message { _ = Conv2D(3, 8, kernelSize: 3)(Tensor.ones([2, 1, 8, 8])) }
        == "Conv2D expects [N, 3, H, W], got float32[2, 1, 8, 8]")
    #expect(
      message { _ = Conv2D(8, kernelSize: 3)(Tensor.ones([8, 8])) } == "Conv2D expects [N, C, H, W], got float32[8, 8]")
    #expect(
      message { _ = BatchNorm2D(4)(Tensor.ones([2, 3, 8, 8])) }
        == "BatchNorm2D expects [N, 4, H, W], got float32[2, 3, 8, 8]")
    #expect(
      message { _ = BatchNorm1D(4)(Tensor.ones([2, 3, 8, 8])) }
        == "BatchNorm1D expects [N, 4] or [N, 4, L], got float32[2, 3, 8, 8]")
    #expect(
      message { _ = LayerNorm([3, 4])(Tensor.ones([2, 4])) } == "LayerNorm expects [..., 3, 4], got float32[2, 4]")
    #expect(message { _ = MaxPool2D(2)(Tensor.ones([8, 8])) } == "MaxPool2D expects [N, C, H, W], got float32[8, 8]")
    #expect(
      message { _ = Embedding(3, 2)(Tensor([0.5])) } == "Embedding expects int64 or int32 indices, got float32[1]")
  }

  @Test func theNextCallIsFine() {
    let layer = Linear(4)
    #expect(message { _ = layer(Tensor(1.0)) } == "Linear expects [..., features], got float32[]")
    #expect(layer(Tensor.ones([2, 3])).shape == [2, 4])
  }

  /// A configuration that can't be is an error too, and what was made of it harms nobody.
  @Test func impossibleConfigurationsAreNamed() async {
    let images = Tensor.ones([1, 2, 8, 8])
    #expect(message { _ = Linear(-3, 4)(Tensor.ones([1, 3])) } == "Linear(-3, 4): sizes must be positive")
    #expect(message { _ = Conv2D(2, 4, kernelSize: 3, groups: 0)(images) }.contains("0 groups must divide both"))
    #expect(
      message { _ = Conv2D(2, 4, kernelSize: [1, 2, 3])(images) }
        == "a height and a width are two numbers, not [1, 2, 3]")
    #expect(message { _ = Conv2D(2, -4, kernelSize: -1, stride: 0)(images) }.contains("channels must be positive"))
    #expect(message { _ = MaxPool2D(0)(images) }.contains("must be positive"))
    #expect(message { _ = AveragePool2D(2, stride: 0)(images) }.contains("must be positive"))
    #expect(message { _ = BatchNorm2D(-1)(images) }.contains("-1 channels"))
    #expect(message { _ = LayerNorm([])(images) }.contains("nothing to normalise over"))
    #expect(message { _ = Embedding(0, 4)(Tensor([0])) } == "Embedding(0, 4): sizes must be positive")
    #expect(message { _ = Dropout(1.5)(images) }.contains("between 0 and 1"))
    #expect(message { _ = Schedule.step(every: 0)(3) }.contains("1 or more fit"))
    #expect(message { _ = Schedule.cosine(steps: -1)(3) }.contains("1 or more fit"))
    #expect(message { _ = Adam(learningRate: -1) }.contains("0 or more fit"))
    #expect(message { _ = AdamW(betas: (1, 2)) }.contains("betas"))
    #expect(message { _ = SGD(momentum: -1) }.contains("can't be negative"))
    let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) { _ = Linear(0, 4) }
    let text = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
    #expect(text.contains("Linear(0, 4): sizes must"), "\(text)")
  }

  @Test func insideCompiledFunctionsTheyAreThrown() {
    let model = Sequential { Linear(4, 8) }
    let function = compiled { (x: Tensor) in model(x) }
    #expect(throws: ApusError.self) { try function(Tensor.ones([3, 5])) }
    #expect((try? function(Tensor.ones([3, 4])))?.shape == [3, 8])
  }
}
