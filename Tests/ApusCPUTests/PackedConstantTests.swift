import ApusCore
import Testing

@testable import ApusCPU

/// Constants in the layouts that kernels want.
@Suite struct PackedConstantTests {
  @Test("plans of all sizes share the converted weights")
  func shared() throws {
    var graph = Graph(name: "convolution")
    let x = graph.addInput("x", TensorType(.float32, ["batch", 32, 20, 20]))
    let weight = graph.addConstant(Tensor.ones([32, 32, 3, 3]))
    graph.addOutput("y", try graph.add(.convolution(.init()), [x, weight])[0])
    let constants = PackedConstants()
    var counts: [Int] = []
    for batch in [1, 2, 3, 8] {
      _ = try Planner.plan(
        graph.resolved(["batch": batch]), donated: [], options: CompileOptions(threads: 1), constants: constants)
      counts.append(constants.count)
    }
    // oneDNN may choose another layout for another batch, but not for each.
    #expect(counts[0] >= 1 && counts[3] <= 2, "\(counts)")
  }
}
