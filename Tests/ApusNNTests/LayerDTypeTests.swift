import ApusCore
import TestSupport
import Testing

@testable import ApusNN

/// One rule for all layers: input and parameters meet in the larger dtype, as operands do.
@Suite struct LayerDTypeTests {
  private struct Case {
    var name: String
    var input: Shape
    var hasParameters = true
    var make: (DType) -> any Layer
  }

  private let cases: [Case] = [
    Case(name: "Linear", input: [4, 3]) { Linear(3, 2, dtype: $0) },
    Case(name: "Linear without bias", input: [4, 3]) { Linear(3, 2, bias: false, dtype: $0) },
    Case(name: "Dense, inferred", input: [2, 4, 3]) { Dense(2, dtype: $0) },
    Case(name: "Conv2D", input: [2, 4, 5, 5]) { Conv2D(4, 6, kernelSize: 3, groups: 2, dtype: $0) },
    Case(name: "Conv2D, inferred", input: [2, 4, 5, 5]) { Conv2D(6, kernelSize: 3, bias: false, dtype: $0) },
    Case(name: "BatchNorm1D", input: [4, 3]) { BatchNorm1D(3, dtype: $0) },
    Case(name: "BatchNorm1D, plain averages", input: [4, 3, 2]) { BatchNorm1D(3, momentum: nil, dtype: $0) },
    Case(name: "BatchNorm2D", input: [2, 3, 4, 4]) { BatchNorm2D(3, dtype: $0) },
    Case(name: "BatchNorm2D, not affine", input: [2, 3, 4, 4]) { BatchNorm2D(affine: false, dtype: $0) },
    Case(name: "LayerNorm", input: [4, 3]) { LayerNorm(3, dtype: $0) },
    Case(name: "LayerNorm of two axes", input: [2, 4, 3]) { LayerNorm([4, 3], dtype: $0) },
    Case(name: "MaxPool2D", input: [2, 3, 4, 4], hasParameters: false) { _ in MaxPool2D(2) },
    Case(name: "AveragePool2D", input: [2, 3, 4, 4], hasParameters: false) { _ in AveragePool2D(2) },
    Case(name: "GlobalAveragePool2D", input: [2, 3, 4, 4], hasParameters: false) { _ in GlobalAveragePool2D() },
    Case(name: "ReLU", input: [4, 3], hasParameters: false) { _ in ReLU() },
    Case(name: "LeakyReLU", input: [4, 3], hasParameters: false) { _ in LeakyReLU() },
    Case(name: "GELU", input: [4, 3], hasParameters: false) { _ in GELU() },
    Case(name: "SiLU", input: [4, 3], hasParameters: false) { _ in SiLU() },
    Case(name: "Sigmoid", input: [4, 3], hasParameters: false) { _ in Sigmoid() },
    Case(name: "Tanh", input: [4, 3], hasParameters: false) { _ in Tanh() },
    Case(name: "Softmax", input: [4, 3], hasParameters: false) { _ in Softmax() },
    Case(name: "Dropout", input: [4, 3], hasParameters: false) { _ in Dropout(0.5) },
    Case(name: "Flatten", input: [4, 3], hasParameters: false) { _ in Flatten() },
  ]

  private func input(_ shape: Shape, _ dtype: DType) -> Tensor {
    Tensor.randomIntegers(shape, in: 0..<9, generator: Generator(seed: 4)).cast(to: dtype)
  }

  @Test(arguments: [true, false]) func inputsAndParametersMeet(isTraining: Bool) throws {
    for layerType in [DType.float32, .float64] {
      for inputType in [DType.float32, .float64, .float16, .bfloat16, .int64, .int32, .uint8, .bool] {
        for entry in cases where entry.hasParameters {
          let layer = entry.make(layerType)
          if !isTraining { layer.eval() }
          let x = input(entry.input, inputType)
          let place = "\(entry.name) of \(layerType), \(inputType) input"
          do {
            let y = try checked { layer(x) }
            let meeting: DType = inputType == .float64 || layerType == .float64 ? .float64 : .float32
            #expect(y.dtype == meeting, "\(place): \(y.dtype)")
            // The same numbers as when both are cast by hand.
            let twin = entry.make(meeting)
            try twin.loadStateDictionary(layer.stateDictionary())
            if !isTraining { twin.eval() }
            let z = twin(x.cast(to: meeting))
            #expect((y.cast(to: .float64) - z.cast(to: .float64)).abs().max().item() < 1e-4, "\(place)")
            if inputType.isFloatingPoint { try gradients(layer, x, place) }
          } catch {
            Issue.record("\(place): \(error)")
          }
          for (name, value) in layer.stateDictionary() where name != "num_batches_tracked" {
            #expect(value.dtype == layerType, "\(place): \(name) became \(value.dtype)")
          }
        }
      }
    }
  }

  private func gradients(_ layer: any Layer, _ x: Tensor, _ place: String) throws {
    let slope = try checked { gradient(at: x) { layer($0).sum() } }
    #expect(slope.dtype == x.dtype && slope.shape == x.shape, "\(place): its gradient is \(slope.type)")
    if layer.parameters.isEmpty { return }
    layer.zeroGradients()
    try checked { layer(x).sum().backward() }
    for (name, parameter) in layer.namedParameters() {
      #expect(parameter.gradient?.dtype == parameter.value.dtype, "\(place): the gradient of \(name)")
    }
  }

  @Test func layersWithoutParametersTakeWhatComes() throws {
    for entry in cases where !entry.hasParameters {
      for dtype in [DType.float32, .float64, .int64, .int32, .uint8] {
        let x = input(entry.input, dtype)
        do {
          let layer = entry.make(dtype)
          let y = try checked { layer(x) }
          #expect(
            dtype.isFloatingPoint ? y.dtype == dtype : y.dtype == dtype || y.dtype == .float32,
            "\(entry.name), \(dtype): \(y.dtype)")
        } catch {
          Issue.record("\(entry.name), \(dtype): \(error)")
        }
      }
    }
  }
}
