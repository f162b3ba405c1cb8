import ApusCore
import ApusFormats
import Foundation
import TestSupport
import Testing

@testable import ApusNN

/// Cases of Tests/Fixtures/ops.json that concern this target; the format is told in Scripts/fixtures/operations.py.
struct ReferenceCase {
  let name: String
  let op: String
  let inputs: [Tensor]
  let attributes: [String: Any]
  let output: Tensor
  let cotangent: Tensor?
  let gradients: [Tensor?]
  let tolerance: Double

  static func all(_ op: String) throws -> [ReferenceCase] {
    let path = GoldenRunTests.directory
    let file = try SafetensorsFile("\(path)/ops.safetensors")
    let json = try JSONSerialization.jsonObject(with: Data(contentsOf: URL(fileURLWithPath: "\(path)/ops.json")))
    let cases = try #require((json as? [String: Any])?["cases"] as? [[String: Any]])
    return try cases.filter { $0["op"] as? String == op }.map { entry in
      func tensors(_ key: String) throws -> [Tensor?] {
        try (entry[key] as? [Any] ?? []).map { try ($0 as? String).map { try file.tensor($0) } }
      }
      return ReferenceCase(
        name: entry["name"] as? String ?? "", op: op, inputs: try tensors("inputs").compactMap { $0 },
        attributes: entry["attributes"] as? [String: Any] ?? [:], output: try #require(try tensors("outputs")[0]),
        cotangent: try tensors("cotangents")[0], gradients: try tensors("gradients"),
        tolerance: try #require(entry["tolerance"] as? Double))
    }
  }

  var reduction: LossReduction {
    switch attributes["reduction"] as? String {
    case "sum": .sum
    case "none": .none
    default: .mean
    }
  }

  func agrees(_ a: Tensor, _ b: Tensor) -> Bool {
    a.shape == b.shape
      && zip(a.toArray(of: Double.self), b.toArray(of: Double.self)).allSatisfy {
        abs($0 - $1) <= tolerance * (1 + abs($1)) || $0.isNaN && $1.isNaN
      }
  }

  /// Value and gradients of a loss of the two inputs.
  func check(_ loss: (Tensor, Tensor) -> Tensor) {
    let operands = inputs.map { $0.dtype.isFloatingPoint ? $0.requiringGradient() : $0 }
    let value = loss(operands[0], operands[1])
    #expect(agrees(value, output), "\(name): \(value) is not \(output)")
    value.backward(gradient: cotangent)
    for (operand, gradient) in zip(operands, gradients) {
      guard let gradient else { continue }
      #expect(operand.gradient.map { agrees($0, gradient) } == true, "\(name): gradient")
    }
  }
}

@Suite struct LossTests {
  @Test func crossEntropyIsTorchs() throws {
    let cases = try ReferenceCase.all("cross_entropy")
    #expect(cases.count == 22)
    for reference in cases {
      let smoothing = try #require(reference.attributes["label_smoothing"] as? Double)
      let ignored = try #require(reference.attributes["ignore_index"] as? Int)
      reference.check {
        crossEntropy($0, $1, labelSmoothing: smoothing, ignoreIndex: ignored, reduction: reference.reduction)
      }
    }
  }

  @Test func meanSquaredErrorIsTorchs() throws {
    for reference in try ReferenceCase.all("mse_loss") {
      reference.check { meanSquaredError($0, $1, reduction: reference.reduction) }
    }
  }

  @Test func crossEntropyTakesFurtherAxesAndDTypes() {
    let logits = Tensor.normal([2, 5, 3, 4], generator: Generator(seed: 1))
    let labels = Tensor.randomIntegers([2, 3, 4], in: 0..<5, generator: Generator(seed: 2))
    let flat = crossEntropy(
      logits.permuted(0, 2, 3, 1).reshape([24, 5]), labels.cast(to: .uint8).reshape([24]))
    #expect(abs(crossEntropy(logits, labels).item() - flat.item()) < 1e-6)
    #expect(crossEntropy(logits, labels, reduction: .none).shape == [2, 3, 4])
    #expect(abs(crossEntropy(Tensor([0.0, 0]), Tensor(1)).item() - 0.6931472) < 1e-6)
  }

  /// Where all labels are ignored there is nothing to learn: 0, and gradients of 0.
  @Test func nothingButIgnoredLabels() {
    for (smoothing, dtype) in [(0.0, DType.float32), (0.2, .float64)] {
      let shapes: [Shape] = [[3, 4], [2, 4, 2]]
      for (shape, labels) in zip(shapes, [Tensor([-1, -1, -1]), Tensor([[-1, -1], [-1, -1]])]) {
        let logits = Tensor.normal(shape, generator: Generator(seed: 5)).cast(to: dtype).requiringGradient()
        let loss = crossEntropy(logits, labels, labelSmoothing: smoothing, ignoreIndex: -1)
        #expect(loss.item() == 0)
        loss.backward()
        #expect(logits.gradient?.abs().max().item() == 0)
      }
    }
  }

  @Test func others() {
    let x = Tensor([-1.0, 0, 2, 100]).requiringGradient()
    let y = Tensor([1, 0, 1, 0])
    // −log σ(−1), log 2, −log σ(2), 100.
    let expected = [1.3132617, 0.6931472, 0.1269280, 100]
    let values = binaryCrossEntropyWithLogits(x, y, reduction: .none).toArray(of: Double.self)
    for (a, b) in zip(values, expected) { #expect(abs(a - b) < 1e-5) }
    binaryCrossEntropyWithLogits(x, y, reduction: .sum).backward()
    for (a, b) in zip(x.gradient?.toArray(of: Double.self) ?? [], [-0.7310586, 0.5, -0.1192029, 1]) {
      #expect(abs(a - b) < 1e-6)
    }
    // Both are smooth where they are computed by cases: second derivatives are PyTorch's.
    func curvature(_ at: [Double], _ loss: @escaping (Tensor) -> Tensor) -> [Double] {
      gradient(at: Tensor(at, dtype: .float64)) { gradient(at: $0, loss).sum() }.toArray(of: Double.self)
    }
    let targets = Tensor([0.0, 1.0], dtype: .float64)
    let bent = curvature([0, 1.5]) { binaryCrossEntropyWithLogits($0, targets, reduction: .sum) }
    #expect(abs(bent[0] - 0.25) < 1e-12 && abs(bent[1] - 0.14914645) < 1e-8)
    let round = curvature([0, 0.5, 2]) { huberLoss($0, Tensor.zeros([3], dtype: .float64), reduction: .sum) }
    #expect(round == [1, 1, 0])
    #expect(huberLoss(Tensor([0.5, -3.0]), Tensor([0.0, 0.0]), delta: 2, reduction: .none).toArray() == [0.125, 4])
    #expect(meanAbsoluteError(Tensor([1.0, -3.0]), Tensor([0.0, 0.0])).item() == 2)
    #expect(Loss.mse(Tensor([1.0, 3.0]), Tensor([0, 0])).item() == 5)
    #expect(abs(Loss.categoricalCrossEntropy(Tensor([[0.0, 0]]), Tensor([[0, 1]])).item() - 0.6931472) < 1e-6)
  }

  @Test func errors() {
    #expect(
      message { _ = crossEntropy(Tensor.ones([2, 3]), Tensor.ones([2])) }.hasPrefix(
        "expects logits [N, C, …] and as labels"))
    #expect(message { _ = crossEntropy(Tensor.ones([2, 3]), Tensor([1, 2, 0])) }.contains("class numbers [N, …]"))
    #expect(message { _ = crossEntropy(Tensor.ones([2, 3]), Tensor([1, 3])) } != "no error")
    #expect(message { _ = meanSquaredError(Tensor.ones([2, 1]), Tensor.ones([2])) }.contains("the same shape"))
    #expect(message { _ = huberLoss(Tensor(1.0), Tensor(1.0), delta: 0) }.contains("must be positive"))
  }
}

@Suite struct InitializerReferenceTests {
  @Test func scalesAreTorchs() throws {
    for reference in try ReferenceCase.all("init") {
      let sizes = try #require(reference.attributes["shape"] as? [Int])
      let spread = reference.output.item()
      let scheme = try #require(reference.attributes["scheme"] as? String)
      let (shape, many) = (Shape(sizes), Shape([sizes[0] * 100] + sizes.dropFirst()))
      func values(_ initializer: Initializer, _ shape: Shape) -> InitializerTests.Statistics {
        .init(initializer(shape, generator: Generator(seed: 21)))
      }
      switch scheme {
      case "xavier_uniform", "kaiming_uniform", "layer_default_weight", "layer_default_bias":
        // The bound depends on both fans, so it is read off a tensor of the very shape.
        let initializer: Initializer =
          scheme == "xavier_uniform"
          ? .glorotUniform
          : scheme == "kaiming_uniform"
            ? .heUniform
            : scheme == "layer_default_bias" ? .torchBias(fan: Fan(shape).input) : .torchDefault
        let s = values(initializer, shape)
        #expect(s.largest <= spread && s.smallest >= -spread && s.largest > 0.9 * spread, "\(reference.name)")
      case "kaiming_normal":
        #expect(abs(values(.kaimingNormal(), many).deviation / spread - 1) < 0.02, "\(reference.name)")
      default:
        #expect(scheme == "xavier_normal")
        #expect(abs(values(.xavierNormal, shape).deviation / spread - 1) < 0.15, "\(reference.name)")
      }
    }
  }
}
