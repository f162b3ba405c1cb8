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
    graph.nodes[1].operation = .primitive(.sum(Sum(axes: [0], keepDims: false)))
    #expect(message(graph) != nil)

    graph = try sample()
    graph.nodes[0].operation = .primitive(.cast(Cast(dtype: .int64)))
    #expect(message(graph)?.contains("declared") == true)

    graph = try sample()
    graph.addOutput("y", graph.inputs[0].value)
    #expect(message(graph)?.contains("repeat") == true)

    graph = try sample()
    graph.values[1].type = .string([3])
    #expect(message(graph)?.contains("where a tensor fits") == true)

    graph = try sample()
    var body = try sample()
    body.nodes.swapAt(0, 1)
    graph.nodes[0].subgraphs = [body]
    #expect(message(graph)?.contains("before it is defined") == true)

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
    let draw = Primitive.randomUniform(RandomUniform(type: vector))
    let first = try graph.add(draw, [state])
    let second = try graph.add(draw, [first[1]])
    graph.addOutput("noise", try graph.add(.subtract, [first[0], second[0]])[0])
    let merged = CommonSubexpressionElimination().run(graph)
    #expect(merged.nodes.map(\.operation.name) == ["exp", "add", "randomUniform", "randomUniform", "subtract"])
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
    #expect(result.constants[folded]?.toArray() == [2, 4, 6])
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
    let passes: [any Pass] = [ConstantFolding(), CommonSubexpressionElimination(), DeadCodeElimination()]
    let rewritten = try passes.reduce(graph) { try $1.run($0) }
    #expect(rewritten.nodes.count < graph.nodes.count)
    #expect(message(rewritten) == nil)
    for (a, b) in zip(try graph([x, w]), try rewritten([x, w])) { expectClose(a, b, 1e-6) }
  }
}
