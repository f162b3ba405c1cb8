import Testing

@testable import ApusCPU
@testable import ApusCore

/// Every primitive's samples, on this engine and on the reference engine: eager and compiled, contiguous and strided.
@Suite struct ConformanceTests {
  static let definitions: [any PrimitiveDefinition.Type] = [
    Negate.self, Abs.self, Sign.self, Floor.self, Ceil.self, Round.self, Exp.self, Expm1.self, Log.self, Log1p.self,
    Sqrt.self, Rsqrt.self, Sin.self, Cos.self, Tanh.self, Erf.self, Sigmoid.self, Relu.self, LogicalNot.self, Add.self,
    Subtract.self, Multiply.self, Divide.self, Remainder.self, Power.self, Maximum.self, Minimum.self, LogicalAnd.self,
    LogicalOr.self, LogicalXor.self, Compare.self, Select.self, Cast.self, Full.self, Iota.self, Dimension.self,
    Reshape.self, Permute.self, Broadcast.self, Slice.self, SliceUpdate.self, Pad.self, Reverse.self, Concatenate.self,
    Sum.self, Product.self, Max.self, Min.self, ArgMax.self, ArgMin.self, Gather.self, ScatterAdd.self,
    GatherAlong.self, ScatterAddAlong.self, Matmul.self, Convolution.self, ConvolutionInputGradient.self,
    ConvolutionWeightGradient.self, MaxPool.self, MaxPoolGradient.self, MaxPoolGather.self, AveragePool.self,
    AveragePoolGradient.self, Softmax.self, LogSoftmax.self, BatchNorm.self, BatchNormGradient.self,
    RandomUniform.self, RandomNormal.self,
  ]

  static func operands(_ sample: Sample, real: DType) throws -> [Storage] {
    try sample.operands.enumerated().map { i, operand in
      switch operand {
      case .real(let shape, let range): return try random(TensorType(real, shape), seed: UInt64(i + 1), range)
      case .integer(let shape, let range, let dtype):
        return try random(
          TensorType(dtype, shape), seed: UInt64(i + 1), Double(range.lowerBound)...(Double(range.upperBound) + 0.999))
      case .bool(let shape):
        var numbers = Numbers(UInt64(i + 7))
        let values = (0..<shape.elementCount).map { _ in numbers.next(0...1) < 0.5 ? 0.0 : 1.0 }
        return try .of(values, TensorType(.bool, shape))
      case .values(let values, let shape, let dtype):
        return try .of(values, TensorType(dtype == .float64 ? real : dtype, shape))
      }
    }
  }

  @Test(arguments: definitions.indices, [DType.float32, .float64])
  func agreesWithReference(_ index: Int, _ real: DType) throws {
    let type = Self.definitions[index]
    for (number, sample) in type.samples.enumerated() {
      let primitive = sample.primitive
      let inputs = try Self.operands(sample, real: real)
      guard let outputs = try? primitive.definition.infer(inputs.map(\.type)) else { continue }
      let expected = try ReferenceEngine.shared.execute(primitive, inputs, outputs: outputs)
      let tolerance = outputs.contains { $0.dtype == .float64 } ? 1e-12 : 1e-5
      let name = "\(primitive.name) sample \(number) \(real)"

      let eager = try CPUEngine.shared.execute(primitive, inputs, outputs: outputs)
      expectEqual(eager, expected, tolerance: tolerance, "\(name) eager")

      let strided = try inputs.map { try $0.transposedInMemory() }
      let fromViews = try CPUEngine.shared.execute(primitive, strided, outputs: outputs)
      expectEqual(fromViews, expected, tolerance: tolerance, "\(name) strided")

      var graph = Graph(name: name)
      let ids = inputs.enumerated().map { graph.addInput("x\($0.offset)", $0.element.type) }
      for (k, id) in try graph.add(primitive, ids).enumerated() { graph.addOutput("y\(k)", id) }
      try expectAgreement(graph, inputs, tolerance: tolerance)
      try expectAgreement(graph, inputs, donated: Set(inputs.indices), tolerance: tolerance, "\(name) donated")
    }
  }

  @Test func fastPathAgrees() throws {
    let unary: [Primitive] = [
      .negate, .abs, .sign, .floor, .ceil, .round, .exp, .expm1, .sqrt, .sin, .cos, .tanh, .erf, .sigmoid, .relu,
    ]
    let binary: [Primitive] = [.add, .subtract, .multiply, .divide, .power, .maximum, .minimum]
    for count in [1, 7, 100_000] {
      let type = TensorType(.float32, [Dim(count)])
      let (a, b) = (try random(type, seed: 3, 0.1...2), try random(type, seed: 4, 0.1...2))
      for primitive in unary {
        let expected = try ReferenceEngine.shared.execute(primitive, [a], outputs: [type])
        let found = try #require(try CPUEngine.shared.executeUnary(primitive, a, output: type, reuse: false))
        expectEqual([found], expected, tolerance: 1e-6, primitive.name)
        let copy = try a.copied()
        let reused = try #require(try CPUEngine.shared.executeUnary(primitive, copy, output: type, reuse: true))
        #expect(reused === copy)
        expectEqual([reused], expected, tolerance: 1e-6, primitive.name)
      }
      for primitive in binary {
        let expected = try ReferenceEngine.shared.execute(primitive, [a, b], outputs: [type])
        for reuse in [ReusableOperand.none, .first, .second] {
          let (x, y) = (try a.copied(), try b.copied())
          let found = try #require(try CPUEngine.shared.executeBinary(primitive, x, y, output: type, reuse: reuse))
          expectEqual([found], expected, tolerance: 2e-6, "\(primitive.name) \(reuse)")
        }
        // A scalar seen over the whole shape.
        let uniform = Storage(
          view: b, dtype: .float32, shape: type.shape, strides: InlineArray(repeating: 0), offset: 0)
        let scalar = try ReferenceEngine.shared.execute(primitive, [a, uniform], outputs: [type])
        let found = try #require(try CPUEngine.shared.executeBinary(primitive, a, uniform, output: type, reuse: .none))
        expectEqual([found], scalar, tolerance: 2e-6, "\(primitive.name) scalar")
      }
    }
  }
}
