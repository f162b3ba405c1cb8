import ApusConformance
import Testing

@testable import ApusCore

/// The intermediate representation: its verifier, its text, its passes.
@Suite struct GraphTests {
  private let vector = TensorType(.float32, [3])

  private func sample() throws -> Graph {
    var graph = Graph(name: "sample")
    let x = graph.addInput("x", vector)
    let y = try graph.add(.exp, [x])[0]
    graph.addOutput("y", try graph.add(.add, [x, y], scope: "layer.0")[0])
    return graph
  }

  private func message(_ graph: Graph) -> String? {
    do {
      try graph.verify()
      return nil
    } catch {
      return "\(error)"
    }
  }

  @Test("the verifier accepts what tracing and building make")
  func accepts() throws {
    #expect(message(try sample()) == nil)
    let step = compiled { (x: Tensor) in gradient(at: x) { ($0.softmax() * $0).sum() } }
    #expect(message(try step.graph(Tensor.ones([2, 5]))) == nil)
  }

  @Test("the verifier says which node is wrong, and how")
  func refuses() throws {
    var graph = try sample()
    graph.nodes.swapAt(0, 1)
    #expect(message(graph)?.contains("before it is defined") == true)

    graph = try sample()
    graph.nodes.append(graph.nodes[0])
    #expect(message(graph)?.contains("second time") == true)

    graph = try sample()
    graph.nodes[1].primitive = .sum(.init(axes: [0], keepDims: false))
    #expect(message(graph) != nil)

    graph = try sample()
    graph.nodes[0].primitive = .cast(.init(dtype: .int64))
    #expect(message(graph)?.contains("declared") == true)

    graph = try sample()
    graph.addOutput("y", graph.inputs[0].value)
    #expect(message(graph)?.contains("repeat") == true)

    graph = try sample()
    graph.types[1] = .string([3])
    #expect(message(graph)?.contains("where a tensor fits") == true)

    graph = try sample()
    graph.addOutput("z", ValueID(99))
    #expect(message(graph) != nil)

    #expect(throws: ApusError.self) {
      var wrong = Graph()
      let a = wrong.addInput("a", TensorType(.float32, [2]))
      let b = wrong.addInput("b", TensorType(.float32, [3]))
      try wrong.add(.add, [a, b])
    }
  }

  @Test("the text form names every value, type and scope")
  func text() throws {
    let text = try sample().description
    #expect(
      text == """
        graph sample(%0 x: float32[3]) {
          %1 = exp(%0) : float32[3]
          %2 = add(%0, %1) : float32[3]  // layer.0
          return y: %2
        }
        """)
    let dot = try sample().dot()
    #expect(dot.hasPrefix("digraph \"sample\" {") && dot.contains("cluster_layer.0") && dot.contains("in0 -> n0;"))
  }

  @Test("symbolic sizes are part of types until they are resolved")
  func symbolic() throws {
    let function = compiled(inputs: [["batch", 4]]) { (x: Tensor) in x.flattened().sum() + x.mean() }
    let graph = try function.graph(Tensor.ones([2, 4]))
    #expect(graph.symbols == ["batch"])
    #expect(!graph.isStatic)
    let fixed = try graph.resolved(["batch": 7])
    #expect(fixed.isStatic)
    #expect(fixed.inputTypes == [TensorType(.float32, [7, 4])])
    #expect(message(fixed) == nil)
    #expect(throws: ApusError.self) { try graph.resolved([:]) }
  }

  // MARK: Passes

  @Test("dead code goes, inputs and outputs stay")
  func deadCode() throws {
    var graph = try sample()
    _ = try graph.add(.tanh, [graph.inputs[0].value])
    _ = graph.addConstant(Tensor([1.0, 2, 3]))
    let cleaned = DeadCodeElimination().run(graph)
    #expect(cleaned.nodes.count == 2)
    #expect(cleaned.constants.isEmpty)
    #expect(cleaned.inputs == graph.inputs && cleaned.outputs == graph.outputs)
    #expect(message(cleaned) == nil)
  }

  @Test("equal nodes are merged, draws from different states are not")
  func commonSubexpressions() throws {
    var graph = Graph()
    let x = graph.addInput("x", vector)
    let (a, b) = (try graph.add(.exp, [x])[0], try graph.add(.exp, [x])[0])
    graph.addOutput("sum", try graph.add(.add, [a, b])[0])
    graph.addOutput("b", b)
    let state = graph.addInput("state", TensorType(.int64, [2]))
    let draw = Primitive.randomUniform(.init(type: vector))
    let first = try graph.add(draw, [state])
    let second = try graph.add(draw, [first[1]])
    graph.addOutput("noise", try graph.add(.subtract, [first[0], second[0]])[0])
    let merged = try CommonSubexpressionElimination().run(graph)
    #expect(merged.nodes.map(\.primitive.name) == ["exp", "add", "randomUniform", "randomUniform", "subtract"])
    #expect(message(merged) == nil)
  }

  @Test("constants are folded, small ones only")
  func constants() throws {
    var graph = Graph()
    let x = graph.addInput("x", vector)
    let c = graph.addConstant(Tensor([1.0, 2, 3]))
    let folded = try graph.add(.add, [c, c])[0]
    graph.addOutput("y", try graph.add(.multiply, [x, folded])[0])
    let result = try ConstantFolding().run(graph)
    #expect(result.nodes.count == 1)
    #expect(result.constants.count == 1 && result.constants[result.nodes[0].inputs[1]]?.toArray() == [2, 4, 6])
    #expect(message(result) == nil)
    #expect(try ConstantFolding(byteLimit: 4).run(graph).nodes.count == 2)
  }

  @Test("passes keep the values of a step with its gradient")
  func passesKeepValues() throws {
    let step = compiled { (x: Tensor, w: Tensor) in
      let (loss, gradient) = valueAndGradient(at: w) { w in (x.matmul(w).tanh() + x.matmul(w).tanh()).sum() }
      return [loss, gradient, w - gradient * (Tensor(0.1) * 2)]
    }
    let (x, w) = (Tensor.arange(6).reshape(2, 3).cast(to: .float32), Tensor.ones([3, 4]) * 0.1)
    let graph = try step.graph(x, w)
    let rewritten = try PassPipeline.standard.run(graph, verifies: true)
    #expect(rewritten.nodes.count < graph.nodes.count)
    #expect(message(rewritten) == nil)
    for (a, b) in zip(try graph([x, w]), try rewritten([x, w])) { expectClose(a, b, 1e-6) }
  }

  // MARK: Rewriting

  @Test("a rule sees operands renamed by what it did before, and dead nodes go")
  func rewriting() throws {
    var graph = Graph()
    let x = graph.addInput("x", vector)
    let first = try graph.add(.negate, [x])[0]
    let second = try graph.add(.negate, [first])[0]
    let third = try graph.add(.negate, [second])[0]
    graph.addOutput("y", try graph.add(.exp, [third], scope: "head")[0])
    graph.addOutput("x", second)
    // −−x as x: the second becomes x, so the third is −x, and the first is read by nobody.
    let rewritten = try graph.rewritten { node, graph in
      guard case .negate = node.primitive, let inner = graph.definition(node.inputs[0]),
        case .negate = inner.primitive
      else { return .keep }
      return .replace(inner.inputs)
    }
    #expect(rewritten.nodes.map(\.primitive.name) == ["negate", "exp"])
    #expect(rewritten.outputs.map(\.name) == ["y", "x"] && rewritten.outputs[1].value == x)
    #expect(message(rewritten) == nil)
  }

  @Test("a rule's new nodes stand before the node, in its scope, detached as it was")
  func rewritingAdds() throws {
    var graph = Graph()
    let x = graph.addInput("x", vector)
    graph.addOutput("y", try graph.add(.add, [x, x], scope: "layer.0")[0])
    graph.nodes[0].isDetached = true
    let rewritten = try graph.rewritten { node, graph in
      guard case .add = node.primitive else { return .keep }
      let two = graph.add(Tensor([2.0, 2, 2]))
      return .replace(try graph.add(.multiply, [two, node.inputs[0]]))
    }
    #expect(rewritten.nodes.map(\.scope) == ["layer.0"] && rewritten.nodes[0].isDetached)
    #expect(try rewritten([Tensor([1.0, 2, 3])])[0].toArray(of: Float.self) == [2, 4, 6])
  }

  @Test("what a rule does wrong is named")
  func rewritingRefuses() throws {
    let graph = try sample()
    #expect(throws: ApusError.self) {
      try graph.rewritten { node, graph in
        .replace([graph.add(Tensor.zeros([4]))])
      }
    }
    let dropped = #expect(throws: ApusError.self) {
      try graph.rewritten { node, _ in
        if case .exp = node.primitive { .drop } else { .keep }
      }
    }
    #expect(dropped.map { "\($0)" }?.contains("%1 was dropped and is read by add") == true)
    var other = graph
    #expect(throws: ApusError.self) { try other.replaceUses(of: ValueID(0), with: other.addConstant(Tensor(1.0))) }
  }

  @Test("uses and definitions lead from values to nodes and back")
  func uses() throws {
    var graph = try sample()
    let (x, y) = (ValueID(0), ValueID(1))
    #expect(graph.uses[x.index] == [.operand(node: 0, operand: 0), .operand(node: 1, operand: 0)])
    #expect(graph.uses[2] == [.output(0)] && graph.useCounts == [2, 1, 1])
    #expect(graph.definitions == [nil, 0, 1])
    try graph.replaceUses(of: y, with: x)
    #expect(graph.nodes[1].inputs == [x, x] && graph.withoutDeadCode().nodes.count == 1)
  }

  /// A pass that breaks what it is given.
  private struct Breaking: Pass {
    let name = "breaking"
    let harm: @Sendable (inout Graph) -> Void
    func run(_ graph: Graph) throws -> Graph {
      var graph = graph
      harm(&graph)
      return graph
    }
  }

  @Test("a pipeline verifies after each pass and names the one that broke the graph")
  func pipeline() throws {
    let harms: [@Sendable (inout Graph) -> Void] = [
      { $0.nodes.reverse() }, { $0.outputs.removeAll() }, { $0.inputs[0].name = "z" }, { $0.nodes[0].inputs = [] },
    ]
    for harm in harms {
      let broken = #expect(throws: ApusError.self) {
        try PassPipeline.standard.appending(Breaking(harm: harm)).run(try sample(), verifies: true)
      }
      #expect(broken.map { "\($0)" }?.contains("breaking") == true)
    }
    #expect(PassPipeline.standard.description == "common-subexpressions, constant-folding, dead-code")
  }
}
