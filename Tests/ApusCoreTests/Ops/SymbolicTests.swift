import Testing

@testable import ApusCore

/// Graphs with symbolic sizes: no rule may read a size as a number, and the graph must hold for every size.
@Suite struct SymbolicTests {
  /// Traces `f` with the leading size symbolic and holds the graph against the eager function at several sizes.
  private func check(
    _ shapes: [Shape], sizes: [Int] = [1, 3, 6], _ location: SourceLocation = #_sourceLocation,
    _ f: ([Tensor]) -> [Tensor]
  ) throws {
    let symbolic = shapes.map { TensorType(.float64, $0) }
    let captured = try Program.capture(name: "symbolic", symbolic, sizes: ["n": 3], { f($0) })
    #expect(captured.guards.specialisations.isEmpty, "\(captured.guards.specialisations)", sourceLocation: location)
    for n in sizes {
      let graph = try captured.graph.resolved(["n": n])
      let inputs = try shapes.enumerated().map { i, shape in
        try random(TensorType(.float64, #require(shape.resolved(["n": n]))), seed: UInt64(i))
      }
      let expected = f(inputs)
      let actual = try graph(inputs)
      for (i, (a, e)) in zip(actual, expected).enumerated() {
        expectClose(a, e, 1e-12, "n = \(n), result \(i)", location)
      }
    }
  }

  private let n: Dim = "n"

  @Test("element-wise, movement and reductions")
  func basics() throws {
    try check([[n, 4], [4]]) { [($0[0] * $0[1] + 1).relu().flattened(), $0[0].reshape([-1]), $0[0].T] }
    try check([[n, 4]]) { [$0[0].mean(), $0[0].variance(), $0[0].mean(0), $0[0].standardDeviation(1)] }
    try check([[n, 4]]) { [$0[0].softmax(axis: 0), $0[0].logSoftmax(), $0[0].logSumExp(axis: 0)] }
    try check([[n, 4]]) { [concatenate([$0[0], $0[0] * 2]), stack([$0[0], $0[0]]), $0[0].padded([(1, 2), (0, 0)])] }
    try check([[n, 4]]) { [$0[0].reversed(0), $0[0].unsqueezed(0).squeezed(0), $0[0].max(0), $0[0].product(1)] }
    try check([[n, 4]]) { [$0[0].argMax(axis: 1), ($0[0] .> 0).any(0), $0[0].layerNorm()] }
    try check([[n, 2, 6]]) { $0[0].split(into: 3, axis: 2) + $0[0].split(sizes: [1, 1], axis: 1) }
    try check([[n * 2, 3]]) { $0[0].split(into: 2) }
  }

  @Test("gradients of everything a network is made of")
  func network() throws {
    let images: Shape = [n, 2, 8, 8]
    try check([images, [4, 2, 3, 3], [4], [64, 5]]) { v in
      let (value, gradients) = valueAndGradients(at: v) { v in
        let h = v[0].convolution2D(v[1], bias: v[2], padding: 1)
        let normal = h.batchNorm(scale: v[2], shift: v[2]).y.relu()
        let pooled = normal.maxPool2D(kernelSize: 2).averagePool2D(
          kernelSize: 2, stride: 1, padding: .explicit(top: 0, left: 0, bottom: 1, right: 1))
        let logits = pooled.flattened(from: 1).matmul(v[3])
        return -logits.logSoftmax().mean()
      }
      return [value] + gradients
    }
  }

  @Test("gradients of indexing, slices and products over symbolic sizes")
  func indexing() throws {
    try check([[n, 4]]) { v in
      let labels = v[0].argMax(axis: 1)
      return [gradient(at: v[0]) { ($0.gatheredAlong(labels.unsqueezed(-1), axis: 1) ** 2).sum() }]
    }
    try check([[n, 4]]) { v in [gradient(at: v[0]) { ($0.gathered(Tensor([0, 0])) * 3).sum() }] }
    try check([[n, 4]]) { v in [gradient(at: v[0]) { $0.slice(axis: 1, 1..<3).sum() }] }
    try check([[n, 4]]) { v in [gradient(at: v[0]) { $0.product(0).sum() }] }
    try check([[n, 4]]) { v in [gradient(at: v[0]) { $0.variance() + $0.max(0).sum() }] }
    try check([[n, 3, 4], [n, 4, 2]]) { v in [gradient(at: v[0]) { ($0.matmul(v[1]) ** 2).sum() }] }
    try check([[n, 3, 4], [4, 2]]) { v in [gradient(at: v[1]) { (v[0].matmul($0) ** 2).sum() }] }
    try check([[n, 4]]) { v in [gradient(at: v[0]) { (concatenate([$0, $0 * $0], axis: 0) ** 3).sum() }] }
  }

  @Test("symbolic image sizes")
  func imageSizes() throws {
    try check([[1, 1, n, n], [2, 1, 3, 3]], sizes: [5, 8]) { v in
      let (value, gradients) = valueAndGradients(at: v) { v in
        let h = v[0].convolution2D(v[1], stride: (2, 1), padding: 1)
        return (h.maxPool2D(kernelSize: 2, stride: 1) ** 2).mean()
      }
      return [value] + gradients
    }
  }

  @Test("a power's exponent is still known inside a trace")
  func constantExponent() throws {
    let captured = try Program.capture(name: "power", [TensorType(.float64, [n])], sizes: ["n": 2]) { v in
      [gradient(at: v[0]) { ($0 ** 3).sum() }]
    }
    let names = Set(captured.graph.nodes.map(\.primitive.name))
    #expect(!names.contains("select") && !names.contains("log"), "\(names)")
  }

  @Test("symbols that differ do not fit, and the error names both")
  func mismatches() throws {
    func fault(_ a: Shape, _ b: Shape, _ f: @escaping (Tensor, Tensor) -> Tensor) throws -> String {
      let types = [TensorType(.float32, a), TensorType(.float32, b)]
      let error = #expect(throws: ApusError.self) {
        try Program.capture(name: "misfit", types, sizes: ["n": 3, "m": 3]) { [f($0[0], $0[1])] }
      }
      return error?.message ?? ""
    }
    let m: Dim = "m"
    let sum = try fault([n, 2], [m, 2]) { $0 + $1 }
    #expect(sum.contains("n") && sum.contains("m"))
    let product = try fault([2, n], [5, 2]) { $0.matmul($1) }
    #expect(product.contains("n and 5"))
    let joined = try fault([n, 2], [m, 2]) { concatenate([$0, $1], axis: 1) }
    #expect(joined.contains("n and m"))
  }
}
