import ApusCore

/// A graph that engines have to compile, with what it is run on.
struct GraphCase: Sendable {
  var name: String
  var graph: Graph
  /// Assignments of its symbolic sizes; one empty assignment when it has none.
  var sizes: [[String: Int]]
  /// Inputs whose memory a run may take over.
  var donated: Set<Int> = []
  /// Whether the graph fails on these inputs, at a node behind ones that compute.
  var fails = false

  /// Operands for one assignment: reals in −1…1, whole numbers in 0…3, so that they can be indices.
  func inputs(_ types: [TensorType], seed: UInt64) throws -> [Tensor] {
    try types.enumerated().map { i, type in
      let seed = seed &* 7919 &+ UInt64(i)
      if type.dtype.isFloatingPoint {
        return try Sample.Operand.real(type.shape, -1...1).tensor(seed: seed, reals: type.dtype)
      }
      if type.dtype == .bool { return try Sample.Operand.bool(type.shape).tensor(seed: seed, reals: .float32) }
      return try Sample.Operand.integer(type.shape, 0...3, type.dtype).tensor(seed: seed, reals: .float32)
    }
  }

  /// Traces a function of tensors.
  static func traced(
    _ name: String, _ types: [TensorType], sizes: [[String: Int]] = [[:]], donated: Set<Int> = [],
    _ body: @escaping @Sendable ([Tensor]) -> [Tensor]
  ) throws -> GraphCase {
    let graph = try withEngine(ReferenceEngine.shared) {
      let examples = try types.map { Tensor.zeros(try $0.resolvedShape(sizes[0]), dtype: $0.dtype) }
      return try compiled(inputs: types.map { Optional($0.shape) }, name: name, body).graph(examples)
    }
    return GraphCase(name: name, graph: graph, sizes: sizes, donated: donated)
  }

  /// Builds a graph by hand, where tracing would not give the form that is wanted.
  static func built(
    _ name: String, _ types: [TensorType], donated: Set<Int> = [], fails: Bool = false,
    _ body: (inout GraphBuilder, [ValueID]) throws -> [ValueID]
  ) throws -> GraphCase {
    var builder = GraphBuilder(graph: Graph(name: name))
    let inputs = types.enumerated().map { builder.graph.addInput("input.\($0)", $1) }
    for (i, id) in try body(&builder, inputs).enumerated() { builder.graph.addOutput("output.\(i)", id) }
    return GraphCase(name: name, graph: builder.graph, sizes: [[:]], donated: donated, fails: fails)
  }
}

struct GraphBuilder {
  var graph: Graph

  /// Appends a node with one result.
  mutating func callAsFunction(_ primitive: Primitive, _ operands: ValueID...) throws -> ValueID {
    try graph.add(primitive, operands)[0]
  }

  mutating func constant(_ value: Double, _ type: TensorType) throws -> ValueID {
    graph.addConstant(try Values.reference(.full(.init(value: .double(value), type: type)), [])[0])
  }
}

extension TensorType {
  fileprivate func resolvedShape(_ sizes: [String: Int]) throws -> Shape {
    guard let known = shape.resolved(sizes) else { throw ApusError(.shape, "\(shape) has no size under \(sizes)") }
    return known
  }
}
