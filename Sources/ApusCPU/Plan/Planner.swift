import ApusCore
import CKernels

/// Turns a static graph into a plan.
struct Planner {
  private let graph: Graph
  private let donated: Set<Int>

  /// Work below this many nanoseconds stays on the caller's thread: a hop to the team would cost more than it brings.
  private static let teamThreshold = 25_000.0

  static func plan(
    _ graph: Graph, donated: Set<Int>, options: CompileOptions, constants: PackedConstants
  ) throws -> Plan {
    try Planner(graph: graph, donated: donated).plan(options, constants)
  }

  /// One primitive applied to storages as they lie (eager).
  static func plan(_ primitive: Primitive, _ inputs: [Storage], _ outputs: [TensorType]) throws -> Plan {
    let types = inputs.map(\.type) + outputs
    let threads = Cost.of(primitive, inputs.map(\.type), outputs) > teamThreshold ? Int(ck_threads()) : 1
    let builder = PlanBuilder(types: types, threads: threads, donated: [])
    for (i, storage) in inputs.enumerated() { builder.addInput(i, i, like: storage) }
    let results = Array(inputs.count..<types.count)
    for result in results { builder.setReaders(result, 0, isOutput: true) }
    // The operands belong to the caller.
    try builder.lower(primitive, Array(inputs.indices), results)
    return try builder.finish(outputs: results, keepsLayouts: true)
  }

  private func plan(_ options: CompileOptions, _ constants: PackedConstants) throws -> Plan {
    let types = graph.types.indices.map { graph.type(ValueID($0)) }
    let work = graph.nodes.reduce(0.0) { sum, node in
      sum + Cost.of(node.primitive, node.inputs.map { types[$0.index] }, node.outputs.map { types[$0.index] })
    }
    let threads = work > Self.teamThreshold && options.threads != 1 ? Int(ck_threads()) : 1
    let builder = PlanBuilder(types: types, threads: threads, donated: donated, constants: constants)
    for (i, port) in graph.inputs.enumerated() { builder.addInput(i, port.value.index) }
    for (id, tensor) in graph.constants { try builder.addConstant(tensor.storage, id.index) }
    let units = UnitFormation.units(of: graph)
    var readers = [Int](repeating: 0, count: types.count)
    for unit in units { for value in unit.inputs { readers[value] += 1 } }
    let results = Set(graph.outputs.map(\.value.index))
    for (value, count) in readers.enumerated() {
      builder.setReaders(value, count, isOutput: results.contains(value))
    }
    let (first, rest) = split(units)
    for unit in first { try lower(unit, builder) }
    builder.mayOverwriteInputs = true
    for unit in rest { try lower(unit, builder) }
    return try builder.finish(outputs: graph.outputs.map(\.value.index), keepsLayouts: false)
  }

  /// What can fail and all it depends on, then the rest: donated inputs are overwritten only in the rest.
  private func split(_ units: [Unit]) -> (first: [Unit], rest: [Unit]) {
    var needed = [Bool](repeating: false, count: graph.types.count)
    var isFirst = [Bool](repeating: false, count: units.count)
    for (i, unit) in units.enumerated().reversed() {
      let fails = unit.nodes.contains { canFail(graph.nodes[$0]) }
      let made = unit.nodes.flatMap { graph.nodes[$0].outputs }
      guard fails || made.contains(where: { needed[$0.index] }) else { continue }
      isFirst[i] = true
      for value in unit.inputs { needed[value] = true }
    }
    let numbered = units.enumerated()
    return (
      numbered.filter { isFirst[$0.offset] }.map(\.element), numbered.filter { !isFirst[$0.offset] }.map(\.element)
    )
  }

  /// Whether a node can fail once it runs: by an index, in a user's closure, or for want of the memory that the
  /// reference engine takes where the kernels lack a dtype.
  private func canFail(_ node: Graph.Node) -> Bool {
    func all(_ dtypes: DType...) -> Bool {
      (node.inputs + node.outputs).allSatisfy { dtypes.contains(graph.type($0).dtype) }
    }
    switch node.primitive {
    case let primitive where primitive.canFail: return true
    case .convolution, .convolutionInputGradient, .convolutionWeightGradient: return !all(.float32)
    case .matmul: return PlanBuilder.lacksKernel(graph.type(node.inputs[0]), graph.type(node.inputs[1]))
    case .maxPool, .maxPoolGradient, .maxPoolGather, .averagePool, .averagePoolGradient, .softmax, .logSoftmax,
      .batchNorm, .batchNormGradient, .norm:
      return !all(.float32) && !all(.float64)
    default: return (node.inputs + node.outputs).contains { !graph.type($0).dtype.hasArithmetic }
    }
  }

  private func lower(_ unit: Unit, _ builder: PlanBuilder) throws {
    for value in unit.inputs { builder.consume(value) }
    builder.name = unit.nodes.map { graph.nodes[$0].primitive.name }.joined(separator: " ")
    switch unit.kind {
    case .single: try lower(unit.nodes[0], builder)
    case .elementwise:
      let nodes = unit.nodes.compactMap { i -> FusedCode.Node? in
        let node = graph.nodes[i]
        guard let kernel = ElementwiseKernel(node.primitive) else { return nil }
        return FusedCode.Node(kernel: kernel, inputs: node.inputs.map(\.index), output: node.outputs[0].index)
      }
      if try !builder.lowerFused(nodes, outputs: unit.outputs) { try lowerOneByOne(unit, builder) }
    case .epilogue:
      if try !lowerEpilogue(unit, builder) { try lowerOneByOne(unit, builder) }
    case .convolutionGradients:
      if try !lowerConvolutionGradients(unit, builder) { try lowerOneByOne(unit, builder) }
    }
  }

  /// The nodes of a unit that has no kernel of its own. Several of them may read one operand, so none is overwritten.
  private func lowerOneByOne(_ unit: Unit, _ builder: PlanBuilder) throws {
    builder.mayReuse = false
    defer { builder.mayReuse = true }
    for node in unit.nodes { try lower(node, builder) }
  }

  private func lower(_ i: Int, _ builder: PlanBuilder) throws {
    let node = graph.nodes[i]
    let traced = TracedNode(node: node, operands: node.inputs.map { graph.type($0) })
    builder.node = traced
    defer { builder.node = nil }
    do {
      try builder.lower(node.primitive, node.inputs.map(\.index), node.outputs.map(\.index))
    } catch {
      throw traced.naming(error)
    }
  }

  private func lowerEpilogue(_ unit: Unit, _ builder: PlanBuilder) throws -> Bool {
    let product = graph.nodes[unit.nodes[0]]
    let sum = graph.nodes[unit.nodes[1]]
    let bias = sum.inputs[sum.inputs[0] == product.outputs[0] ? 1 : 0].index
    let operands = product.inputs.map(\.index)
    let output = sum.outputs[0].index
    switch product.primitive {
    case .matmul: return try builder.lowerMatmulEpilogue(operands, bias: bias, output)
    case .convolution(let d):
      guard let slot = try builder.biasSlot(bias, axis: 1) else { return false }
      return try builder.lowerConvolution(d, operands, bias: slot, output)
    default: return false
    }
  }

  private func lowerConvolutionGradients(_ unit: Unit, _ builder: PlanBuilder) throws -> Bool {
    for (weights, sum) in [(unit.nodes[0], unit.nodes[1]), (unit.nodes[1], unit.nodes[0])] {
      let node = graph.nodes[weights]
      guard case .convolutionWeightGradient(let d) = node.primitive else { continue }
      return try builder.lowerConvolutionWeightGradient(
        d, node.inputs.map(\.index), node.outputs[0].index, bias: graph.nodes[sum].outputs[0].index)
    }
    return false
  }
}
