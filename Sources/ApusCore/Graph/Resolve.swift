extension Graph {
  /// The graph with every symbolic size replaced by a number.
  /// - Throws: ``ApusError`` when a size is missing, or the numbers don't fit together.
  public func resolved(_ sizes: [String: Int]) throws -> Graph {
    var result = self
    for i in types.indices {
      if case .tensor(let type) = types[i] { result.types[i] = .tensor(try type.resolved(sizes)) }
    }
    for i in nodes.indices {
      result.nodes[i].primitive = try nodes[i].primitive.resolved(sizes)
      try result.checkSizes(of: result.nodes[i])
    }
    return result
  }

  /// The nodes of this graph that a rewriting of it no longer has, without outputs; nil: it has them all. Resolving it
  /// checks them for sizes.
  package func leavingOut(_ rewritten: Graph) -> Graph? {
    var isKept = [Bool](repeating: false, count: types.count)
    for node in rewritten.nodes {
      for id in node.outputs where id.index < isKept.count { isKept[id.index] = true }
    }
    var result = self
    result.nodes.removeAll { node in node.outputs.contains { isKept[$0.index] } }
    result.outputs = []
    return result.nodes.isEmpty ? nil : result
  }

  /// Asks the type rule again, now that the sizes are known: what a node does with them may be impossible.
  private func checkSizes(of node: Node) throws {
    let operands = node.inputs.map { type($0) }
    do {
      let expected = try node.primitive.definition.infer(operands)
      let actual = node.outputs.map { type($0) }
      guard expected == actual else {
        throw ApusError(.shape, "gives \(expected) with these sizes, where \(actual) was expected")
      }
    } catch {
      throw node.naming(error, operands: operands)
    }
  }
}

extension TensorType {
  func resolved(_ sizes: [String: Int]) throws -> TensorType {
    guard let shape = shape.resolved(sizes) else {
      throw ApusError(.shape, "the shape \(shape) has no size under \(sizes)")
    }
    return with(shape: shape)
  }
}

extension Primitive {
  /// The primitive with the symbolic sizes among its attributes replaced by numbers.
  func resolved(_ sizes: [String: Int]) throws -> Primitive {
    func fix(_ shape: Shape) throws -> Shape {
      guard let fixed = shape.resolved(sizes) else {
        throw ApusError(.shape, "\(name): the shape \(shape) has no size under \(sizes)")
      }
      return fixed
    }
    func fix(_ dim: Dim) throws -> Dim {
      guard let fixed = dim.resolved(sizes), fixed >= 0 else {
        throw ApusError(.shape, "\(name): \(dim) has no size under \(sizes)")
      }
      return Dim(fixed)
    }
    switch self {
    case .full(var d):
      d.type = try d.type.resolved(sizes)
      return .full(d)
    case .iota(var d):
      d.type = try d.type.resolved(sizes)
      return .iota(d)
    case .reshape(var d):
      d.shape = try fix(d.shape)
      return .reshape(d)
    case .broadcast(var d):
      d.shape = try fix(d.shape)
      return .broadcast(d)
    case .slice(var d):
      d.starts = try fix(d.starts)
      d.stops = try fix(d.stops)
      d.steps = try fix(d.steps)
      return .slice(d)
    case .sliceUpdate(var d):
      d.starts = try fix(d.starts)
      d.steps = try fix(d.steps)
      return .sliceUpdate(d)
    case .pad(var d):
      d.low = try fix(d.low)
      d.high = try fix(d.high)
      return .pad(d)
    case .scatterAdd(var d):
      d.size = try fix(d.size)
      return .scatterAdd(d)
    case .scatterAddAlong(var d):
      d.size = try fix(d.size)
      return .scatterAddAlong(d)
    case .convolutionInputGradient(var d):
      d.inputShape = try fix(d.inputShape)
      return .convolutionInputGradient(d)
    case .convolutionWeightGradient(var d):
      d.weightShape = try fix(d.weightShape)
      return .convolutionWeightGradient(d)
    case .averagePoolGradient(var d):
      d.inputShape = try fix(d.inputShape)
      return .averagePoolGradient(d)
    case .randomUniform(var d):
      d.type = try d.type.resolved(sizes)
      return .randomUniform(d)
    case .randomNormal(var d):
      d.type = try d.type.resolved(sizes)
      return .randomNormal(d)
    case .negate, .abs, .sign, .floor, .ceil, .round, .exp, .expm1, .log, .log1p, .sqrt, .rsqrt, .sin, .cos, .tanh,
      .erf,
      .sigmoid, .relu, .silu, .gelu, .tanhGELU, .normalCDF, .normalPDF, .norm, .logicalNot, .add, .subtract, .multiply,
      .divide, .remainder, .power, .maximum, .minimum,
      .logicalAnd, .logicalOr, .logicalXor, .compare, .select, .cast, .dimension, .permute, .reverse, .concatenate,
      .sum,
      .product, .max, .min, .argMax, .argMin, .gather, .gatherAlong, .matmul, .convolution, .maxPool, .maxPoolGradient,
      .maxPoolGather, .averagePool, .softmax, .logSoftmax, .batchNorm, .batchNormGradient, .custom:
      return self
    }
  }
}
