import ApusCore
import Synchronization
import TestSupport
import Testing

@testable import ApusNN

private final class Block: Module {
  let conv1 = Conv2D(2, 2, kernelSize: 3, padding: 1, bias: false)
  let bn1 = BatchNorm2D(2)
  let downsample: Sequential?

  init(downsamples: Bool) { downsample = downsamples ? Sequential { Conv2D(2, 2, kernelSize: 1) } : nil }
  func forward(_ x: Tensor) -> Tensor { bn1(conv1(x)).relu() + (downsample.map { $0(x) } ?? x) }
}

private final class Net: Module {
  let layer1 = [Block(downsamples: false), Block(downsamples: true)]
  let selfScale = Parameter(Tensor.ones([2, 1, 1]))
  let head = Slot(Linear(2, 3))
  let notAModule = [1, 2, 3]
  let noTensor = Tensor.ones([4])

  func forward(_ x: Tensor) -> Tensor {
    var x = x
    for block in layer1 { x = block(x) }
    return head((x * selfScale.tensor).mean(2, 3))
  }
}

private final class Addition: Module {
  let scale = Parameter(Tensor(2.0))
  func forward(_ input: (Tensor, Tensor)) -> Tensor { (input.0 + input.1) * scale.tensor }
}

/// Names, walks, calls.
@Suite struct ModuleTests {
  /// As `torch.nn.Module.state_dict()` names the same structure.
  @Test func namesAreTorchs() {
    let block = [
      "conv1.weight", "bn1.weight", "bn1.bias", "bn1.running_mean", "bn1.running_var", "bn1.num_batches_tracked",
    ]
    let expected =
      block.map { "layer1.0." + $0 } + block.map { "layer1.1." + $0 }
      + ["layer1.1.downsample.0.weight", "layer1.1.downsample.0.bias", "self_scale", "head.weight", "head.bias"]
    #expect(Net().stateDictionary().keys == expected)
  }

  @Test func snakeCase() {
    #expect("weight".snakeCased == "weight")
    #expect("numBatchesTracked".snakeCased == "num_batches_tracked")
    #expect("conv2d".snakeCased == "conv2d")
    #expect("layerNorm1".snakeCased == "layer_norm1")
    #expect("bn1A".snakeCased == "bn1_a")
    #expect("LayerNorm".snakeCased == "LayerNorm")
    #expect("in_proj_weight".snakeCased == "in_proj_weight")
  }

  @Test func sharedParametersAppearOnceInParametersAndTwiceInTheState() {
    let layer = Linear(3, 3)
    let model = Sequential([layer, ReLU(), layer])
    #expect(model.parameters.count == 2)
    #expect(model.stateDictionary().keys == ["0.weight", "0.bias", "2.weight", "2.bias"])
    #expect(model.parameterCount == 12)
  }

  @Test func aTreeOfModulesHasNoCircles() {
    final class Loop: Module {
      let next: Slot<any Layer> = Slot(ReLU())
      func forward(_ x: Tensor) -> Tensor { next(x) }
    }
    let loop = Loop()
    loop.next.module = loop
    #expect(message { _ = loop.parameters }.contains("the module at next contains itself"))
  }

  @Test func aSlotsModuleCanBeReplaced() {
    let net = Net()
    let x = Tensor.ones([1, 2, 4, 4])
    #expect(net(x).shape == [1, 3])
    net.head.module = Linear(2, 7)
    #expect(net(x).shape == [1, 7])
    #expect(net.stateDictionary()["head.weight"]?.shape == [7, 2])
  }

  @Test func twoInputs() {
    #expect(Addition()(Tensor(1.0), Tensor(2.0)).item() == 6)
  }

  @Test func modesAreRecursiveAndRestored() {
    let net = Net()
    net.eval()
    #expect(!net.layer1[1].bn1.mode.value)
    net.layer1[0].bn1.mode.value = true
    let modes = net.modes
    net.train()
    #expect(net.modes.areTraining)
    modes.restore()
    #expect(net.layer1[0].bn1.mode.value && !net.layer1[1].bn1.mode.value)
  }

  @Test func hooksRunUntilRemoved() {
    let net = Net()
    let seen = Mutex<[Shape]>([])
    let hook = net.layer1[0].onForward { _, output in seen.withLock { $0.append(output.shape) } }
    _ = net(Tensor.ones([1, 2, 4, 4]))
    hook.remove()
    _ = net(Tensor.ones([1, 2, 4, 4]))
    #expect(seen.withLock { $0 } == [[1, 2, 4, 4]])
  }

  @Test func graphsCarryThePaths() throws {
    let net = Net()
    net.eval()
    let function = compiled { (x: Tensor) in net(x) }
    let scopes = Set(try function.graph(Tensor.ones([1, 2, 4, 4])).nodes.map(\.scope))
    #expect(scopes.isSuperset(of: ["layer1.0.conv1", "layer1.1.downsample.0", "head"]))
  }

  @Test func trainableFlagsStopGradients() {
    let net = Net()
    net.layer1[0].setTrainable(false)
    net(Tensor.ones([2, 2, 4, 4])).sum().backward()
    #expect(net.layer1[0].conv1.weight.gradient == nil)
    #expect(net.layer1[1].conv1.weight.gradient != nil)
    net.zeroGradients()
    #expect(net.parameters.allSatisfy { $0.gradient == nil })
  }
}

/// Layers that take their sizes from the first input.
@Suite struct LazyTests {
  private func model() -> Sequential {
    Sequential {
      Conv2D(4, kernelSize: 3, activation: .relu)
      BatchNorm2D()
      MaxPool2D(2)
      Flatten()
      Dense(10)
    }
  }

  @Test func sizesAreInferred() {
    let model = model()
    #expect(model.parameterCount == 0)
    #expect(model(Tensor.ones([2, 3, 8, 8])).shape == [2, 10])
    #expect(model.stateDictionary()["4.weight"]?.shape == [10, 36])
    #expect(model.parameterCount == 4 * 3 * 9 + 4 + 8 + 360 + 10)
  }

  @Test func sizesAreInferredInsideATrace() throws {
    let model = model()
    let function = compiled(inputs: [["batch", 3, 8, 8]]) { (x: Tensor) in model(x) }
    let x = Tensor.normal([2, 3, 8, 8], generator: Generator(seed: 3))
    model.eval()
    let y = try function(x)
    #expect(model.parameters.allSatisfy { $0.isInitialized && !$0.value.isSymbolic })
    #expect((model(x) - y).abs().max().item() < 1e-5)
  }

  @Test func loadedWeightsAreNotOverwritten() throws {
    let (a, b) = (model(), model())
    _ = a(Tensor.ones([1, 3, 8, 8]))
    try b.loadStateDictionary(a.stateDictionary())
    a.eval()
    b.eval()
    let x = Tensor.normal([2, 3, 8, 8], generator: Generator(seed: 1))
    #expect(a(x).toArray() == b(x).toArray())
  }

  @Test func theStateOfAnUnknownSizeIsAnError() {
    let error = #expect(throws: ApusError.self) { try checked { model().stateDictionary() } }
    #expect(error?.message.contains("0.weight, 0.bias, 1.weight, 1.bias, 1.running_mean, 1.running_var") == true)
  }
}

/// State dictionaries.
@Suite struct StateDictionaryTests {
  @Test func roundTrip() throws {
    let (a, b) = (GoldenRunTests.cnn(), GoldenRunTests.cnn())
    #expect(a.stateDictionary()["0.weight"]?.toArray() != b.stateDictionary()["0.weight"]?.toArray())
    try b.loadStateDictionary(a.stateDictionary())
    for (key, value) in a.stateDictionary() {
      #expect(b.stateDictionary()[key]?.toArray(of: Double.self) == value.toArray(of: Double.self))
    }
  }

  @Test func differencesAreListedAndNothingChanges() throws {
    let model = Sequential {
      Linear(2, 3); Linear(3, 1)
    }
    var state = model.stateDictionary()
    let before = state["0.weight"]?.toArray()
    state["0.weight"] = Tensor.zeros([3, 2])
    state["1.bias"] = nil
    state["0.wieght"] = Tensor.zeros([3, 2])
    state["1.weight"] = Tensor.zeros([1, 4])
    let error = #expect(throws: ApusError.self) { try model.loadStateDictionary(state) }
    #expect(
      error?.message
        == "the state does not fit Sequential: missing: 1.bias; unexpected: 0.wieght; of another shape: 1.weight: got [1, 4], expected [1, 3]"
    )
    #expect(model.stateDictionary()["0.weight"]?.toArray() == before)
    state["1.weight"] = nil
    let difference = try model.loadStateDictionary(state, strict: false)
    #expect(difference.missing == ["1.weight", "1.bias"] && difference.unexpected == ["0.wieght"])
    #expect(model.stateDictionary()["0.weight"]?.toArray() == [Float](repeating: 0, count: 6))
  }

  @Test func valuesTakeTheParametersDType() throws {
    let model = Linear(2, 1)
    try model.loadStateDictionary(["weight": Tensor([[1, 2]], dtype: .float64), "bias": Tensor([3])])
    #expect(model.weight.value.dtype == .float32 && model.bias?.value.dtype == .float32)
    #expect(model(Tensor([[1.0, 1.0]])).item() == 6)
  }

  /// Layers whose size is still to be inferred know their dtype as well.
  @Test func valuesTakeTheDTypeOfLayersWithoutSizes() throws {
    let sized = Sequential {
      Linear(2, 3, dtype: .float64)
      BatchNorm1D(3, dtype: .float64)
    }
    let lazy = Sequential {
      Linear(3)
      BatchNorm1D()
    }
    try lazy.loadStateDictionary(sized.stateDictionary())
    #expect(
      lazy.stateDictionary().map(\.value.dtype)
        == [.float32, .float32, .float32, .float32, .float32, .float32, .int64])
  }
}

/// What a program calls the state of the modules it was traced from.
@Suite struct ProgramNameTests {
  @Test("a program's ports have the model's names, of nested modules, buffers and slots")
  func names() throws {
    let net = Net()
    net.eval()
    let program = try compiled { (x: Tensor) in net(x) }.program(Tensor.ones([1, 2, 4, 4]))
    let names = Set(program.variables.map(\.name))
    let expected = Set(net.namedParameters().map(\.name) + net.namedBuffers().map(\.name))
    // The count of batches is not read in inference.
    #expect(names.isSubset(of: expected) && names.contains("layer1.1.downsample.0.weight"))
    #expect(names.contains("layer1.0.bn1.running_mean") && names.contains("head.weight"))
    for (name, variable) in program.variables {
      let model =
        net.namedParameters().first { $0.name == name }?.parameter as Variable?
        ?? net.namedBuffers().first { $0.name == name }?.buffer
      #expect(model === variable, "\(name)")
    }
  }

  @Test("two models in one function keep apart what has the same name")
  func twoModels() throws {
    let (a, b) = (Linear(2, 2), Linear(2, 2))
    let program = try compiled { (x: Tensor) in b(a(x)) }.program(Tensor.ones([1, 2]))
    #expect(program.graph.inputs.map(\.name) == ["input.0", "weight", "bias", "weight.2", "bias.2"])
    #expect(program.variables[0].variable === a.weight && program.variables[2].variable === b.weight)
  }
}
