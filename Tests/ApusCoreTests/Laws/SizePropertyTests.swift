import ApusConformance
import Testing

@testable import ApusCore

/// Sizes, axes, counts, strides and paddings that nobody could mean: an error or a valid result, never the end of the
/// process.
@Suite struct SizePropertyTests {
  /// Either a handful, or more than any machine holds: what lies between would only take memory.
  private static let numbers = [
    Int.max, Int.min, Int.max - 1, Int.min + 1, -1, -2, 0, 1, 2, 3, 1 << 40, 1 << 62, -(1 << 62),
  ]
  private static let shapes: [Shape] = [
    [], [0], [3], [2, 3], [Int.max, 0], [0, Int.max], [1 << 62, 0, 4], [2, 0, Int.max, 1 << 62], [1, 2, 4, 4],
    [0, 1, Int.max, 5], [1, 1, 1, 1, 1, 1, 1, 1],
  ]

  struct Draw {
    var generator: SplitMix
    init(_ seed: Int) { generator = SplitMix(seed: UInt64(seed)) }

    mutating func n() -> Int { numbers.randomElement(using: &generator) ?? 0 }
    mutating func pair() -> (Int, Int) { (n(), n()) }
    mutating func list(_ count: Int? = nil) -> [Int] {
      (0..<(count ?? Int.random(in: 0...4, using: &generator))).map { _ in n() }
    }
    mutating func shape() -> Shape { Shape(list().map { Swift.max($0, 0) }) }
    mutating func bool() -> Bool { Bool.random(using: &generator) }
    /// A tensor, or a view that has more elements than memory.
    mutating func tensor() -> Tensor {
      if Int.random(in: 0..<6, using: &generator) == 0 { return Tensor.ones([1, 1]).broadcast(to: [2, 1 << 40]) }
      return Tensor.ones(shapes.randomElement(using: &generator) ?? [])
    }
    mutating func index() -> TensorIndex {
      switch Int.random(in: 0..<4, using: &generator) {
      case 0: .at(n())
      case 1: .newAxis
      case 2: .ellipsis
      default: .range(start: bool() ? n() : nil, stop: bool() ? n() : nil, step: n())
      }
    }
    mutating func padding() -> ImagePadding {
      switch Int.random(in: 0..<3, using: &generator) {
      case 0: .same
      case 1: .valid
      default: .explicit(top: n(), left: n(), bottom: n(), right: n())
      }
    }
  }

  struct Operation: Sendable, CustomTestStringConvertible {
    let name: String
    let body: @Sendable (_ x: Tensor, inout Draw) throws -> [Tensor]
    init(_ name: String, _ body: @escaping @Sendable (_ x: Tensor, inout Draw) throws -> [Tensor]) {
      self.name = name
      self.body = body
    }
    var testDescription: String { name }
  }

  static let operations: [Operation] = [
    Operation("reshape") { [$0.reshape($1.list()), $0.reshape($1.shape())] },
    Operation("flattened") { [$0.flattened(from: $1.n())] },
    Operation("permuted") { [$0.permuted($1.list($0.rank)), $0.transposed($1.n(), $1.n())] },
    Operation("squeezed") { [$0.squeezed($1.n()), $0.unsqueezed($1.n())] },
    Operation("broadcast") { [$0.broadcast(to: $1.shape())] },
    Operation("reversed") { [$0.reversed($1.n())] },
    Operation("padded") { x, draw in [x.padded((0..<x.rank).map { _ in draw.pair() }), x.padded([draw.pair()])] },
    Operation("slice") { x, draw in
      let (a, b) = draw.pair()
      return [x.slice(axis: draw.n(), Swift.min(a, b)..<Swift.max(a, b))]
    },
    Operation("sliced") { [$0.sliced(starts: $1.list($0.rank), stops: $1.list($0.rank), steps: $1.list($0.rank))] },
    Operation("steps") { x, draw in
      let steps = draw.list(x.rank).map { Swift.max($0, 1) }
      return [x.sliced(starts: steps.map { _ in 0 }, stops: Array(x.shape), steps: steps)]
    },
    Operation("split") { Array($0.split(into: $1.n(), axis: $1.bool() ? 0 : $1.n()).prefix(3)) },
    Operation("split into sizes") { Array($0.split(sizes: $1.list(), axis: $1.bool() ? 0 : $1.n()).prefix(3)) },
    Operation("subscript") { x, draw in
      [x[(0..<Int.random(in: 0...3, using: &draw.generator)).map { _ in draw.index() }]]
    },
    Operation("subscript's write") { x, draw in
      var y = x + 0
      y[[draw.index()]] = Tensor(1.0)
      return [y]
    },
    Operation("concatenate") { [concatenate([$0, $0], axis: $1.n()), stack([$0, $0], axis: $1.n())] },
    Operation("sum") { [$0.sum(axes: $1.list()), $0.sum()] },
    Operation("product") { x, draw in
      [gradient(at: x) { $0.product(axes: [draw.bool() ? 0 : draw.n()]).sum() }]
    },
    Operation("mean") { [$0.mean(axes: $1.list()), $0.variance(axes: [0], correction: $1.n())] },
    Operation("max") { [$0.max(axes: $1.list()), $0.argMax(axis: $1.n()), $0.argMin(axis: 0)] },
    Operation("softmax") { [$0.softmax(axis: $1.n()), $0.logSumExp(axis: $1.n())] },
    Operation("gathered") { [$0.gathered(Tensor($1.list(2)), axis: $1.n()), $0.gathered(Tensor($1.list(2)))] },
    Operation("gatheredAlong") { x, draw in
      let indices = Tensor([draw.n()]).reshape(Shape(repeating: 1, count: x.rank))
      return [x.gatheredAlong(indices, axis: draw.n()), x.scatterAddedAlong(x, at: indices, axis: draw.n())]
    },
    Operation("scatterAdded") { [$0.scatterAdded($0, at: Tensor($1.list(2)), axis: $1.n())] },
    Operation("oneHot") { [Tensor([0, 1]).oneHot($1.n())] },
    Operation("convolution2D") { x, draw in
      let weight = Tensor.ones([draw.bool() ? 2 : 0, 2, 2, 2])
      return [
        x.convolution2D(
          weight, stride: draw.pair(), padding: draw.padding(), dilation: draw.pair(), groups: draw.n()),
        Tensor.ones([1, 2, 4, 4]).convolution2D(weight, stride: (1, draw.n()), padding: draw.padding()),
      ]
    },
    Operation("maxPool2D") { x, draw in
      let image = draw.bool() ? x : Tensor.ones([1, 2, 4, 4])
      return [
        image.maxPool2D(
          kernelSize: draw.pair(), stride: draw.bool() ? nil : draw.pair(), padding: draw.padding(),
          dilation: draw.pair()),
        image.maxPool2D(kernelSize: (2, 2), stride: draw.pair(), padding: draw.padding(), dilation: (1, draw.n())),
      ]
    },
    Operation("averagePool2D") { x, draw in
      let image = draw.bool() ? x : Tensor.ones([1, 2, 4, 4])
      return [
        image.averagePool2D(kernelSize: draw.pair(), stride: draw.pair(), padding: draw.padding()),
        image.averagePool2D(kernelSize: (2, 2), stride: (draw.n(), 1), padding: draw.padding()),
      ]
    },
    Operation("creation") { x, draw in
      [
        Tensor.zeros(draw.shape()), Tensor.full(draw.shape(), 2, dtype: .int8), Tensor.eye(draw.n()),
        Tensor.iota(draw.shape(), axis: draw.n()),
        Tensor.arange(draw.n(), draw.n(), step: [1, -1, 3, .max, .min, 0].randomElement(using: &draw.generator) ?? 1),
        Tensor.linspace(0, 1, count: draw.n()), Tensor([1.0], shape: draw.shape()), Tensor.zeros(Shape(draw.list())),
      ]
    },
    Operation("random") { x, draw in
      [
        Tensor.uniform(draw.shape()), Tensor.normal(draw.shape()), Tensor.bernoulli(draw.shape()),
        Tensor.randomIntegers(draw.shape(), in: Swift.min(0, draw.n())..<Swift.max(1, draw.n())),
        Tensor.randomPermutation(draw.n()),
      ]
    },
    Operation("matmul") { x, _ in [x.matmul(x), x.matmul(x.transposed(-1, -2)), x.dot(x)] },
    Operation("layerNorm") { x, _ in [x.layerNorm(), x + x, (x * 2).exp(), select(x .> 0, x, 1)] },
    Operation("vectorized") { x, draw in
      let axis = draw.n()
      return [try vectorized { (x: Tensor) in x.sum(axes: [axis]) }(x), try vectorized { (x: Tensor) in x * 2 }(x)]
    },
    Operation("shapes") { x, draw in
      let n: Dim = "n"
      let (a, b) = (draw.n(), draw.n())
      _ = (n * a + b, n - b, (n * a) / (n * b), (n + a) / b, n * n * a * b, Dim(Swift.max(a, 0)) / b)
      _ = ((n * a + b) / n).resolved(["n": b])
      _ = (x.dimension(a), x.shape[b], AxisSet([a]), Permutation([a, b]), x.shape.dim(a))
      _ = Shape.broadcast(x.shape, draw.shape())
      return []
    },
  ]

  private func use(_ results: [Tensor]) {
    for result in results { _ = (result.description, result.shape.elementCount, result.type.description) }
  }

  @Test("inside checked, on both engines", arguments: operations)
  func eager(_ operation: Operation) {
    for engine in [Engines.embedded, ReferenceEngine.shared] as [any Engine] {
      for seed in 0..<150 {
        var draw = Draw(seed)
        try? checked(operationLimit: 10_000) {
          try withEngine(engine) { use(try operation.body(draw.tensor(), &draw)) }
        }
      }
    }
  }

  @Test("inside a trace, with sizes known and not", arguments: operations)
  func traced(_ operation: Operation) {
    for seed in 0..<60 {
      for isOpen in [false, true] {
        var draw = Draw(seed)
        let x = draw.tensor()
        let inputs: [Shape?] = isOpen && x.rank > 0 ? [Shape(dims: (0..<x.rank).map { Dim.symbol("n\($0)") })] : []
        let later = draw
        let function = compiled(inputs: inputs) { (x: Tensor) throws -> [Tensor] in
          var draw = later
          return try operation.body(x, &draw)
        }
        if let results = try? function(x) { try? checked { use(results) } }
      }
    }
  }

  @Test("tensors without elements print, whatever their other sizes", arguments: shapes)
  func printing(_ shape: Shape) {
    for dtype in DType.allCases {
      guard let x = try? checked({ Tensor.zeros(shape, dtype: dtype) }) else { continue }
      let text = "\(x)"
      if x.elementCount == 0, !dtype.isComplex { #expect(text == "[]", "\(x.type)") }
    }
    // So do views that are larger than memory.
    let wide = Tensor([1.0, 2]).reshape([2, 1]).broadcast(to: [2, 1 << 40])
    #expect("\(wide)" == "[[1. 1. 1. ... 1. 1. 1.]\n [2. 2. 2. ... 2. 2. 2.]]")
  }

  @Test("parts of an axis: as many as there are, or one error")
  func parts() throws {
    #expect(Tensor.zeros([0, 2]).split(into: 3).map(\.shape) == [[0, 2], [0, 2], [0, 2]])
    #expect(Tensor.arange(6).split(into: 3).map { $0.toArray(of: Int.self) } == [[0, 1], [2, 3], [4, 5]])
    for count in [Int.max, Int.min, 0, 1 << 40] {
      let failure = #expect(throws: ApusError.self) { try checked { Tensor.zeros([0]).split(into: count) } }
      #expect(failure?.operation == "split")
    }
  }
}
