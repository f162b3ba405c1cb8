import Testing

@testable import ApusCPU
@testable import ApusCore

/// Whole graphs against the reference engine, node by node: fusion, epilogues, layouts, memory reuse.
@Suite struct GraphTests {
  private func f32(_ shape: Shape) -> TensorType { TensorType(.float32, shape) }

  @Test func fusesChains() throws {
    for shape in [[5], [3, 40], [2, 3, 17, 16]] as [Shape] {
      var g = Graph(name: "chain \(shape)")
      let x = g.addInput("x", f32(shape))
      let y = g.addInput("y", f32(shape))
      let two = try g.add(.broadcast(.init(shape: shape)), [g.addConstant(Tensor(2.0))])[0]
      let a = try g.add(.multiply, [x, two])[0]
      let b = try g.add(.add, [a, y])[0]
      let c = try g.add(.tanh, [b])[0]
      let d = try g.add(.multiply, [c, x])[0]
      let e = try g.add(.compare(.init(.gt)), [d, y])[0]
      let f = try g.add(.select, [e, d, b])[0]
      let h = try g.add(.cast(.init(dtype: .float64)), [f])[0]
      g.addOutput("f", f)
      g.addOutput("c", c)
      g.addOutput("h", h)
      let inputs = [try random(f32(shape), seed: 1), try random(f32(shape), seed: 2)]
      #expect(UnitFormation.units(of: g).contains { $0.kind == .elementwise })
      try expectAgreement(g, inputs)
      try expectAgreement(g, inputs, donated: [0, 1])
    }
  }

  @Test func broadcastsRowsAndColumns() throws {
    for (rows, columns) in [(3, 5), (7, 64), (200, 300)] {
      let shape: Shape = [Dim(rows), Dim(columns)]
      var g = Graph(name: "rows \(rows) columns \(columns)")
      let x = g.addInput("x", f32(shape))
      let row = g.addInput("row", f32([Dim(columns)]))
      let column = g.addInput("column", f32([Dim(rows), 1]))
      let r = try g.add(.broadcast(.init(shape: shape)), [row])[0]
      let c = try g.add(.broadcast(.init(shape: shape)), [column])[0]
      let a = try g.add(.add, [x, r])[0]
      let b = try g.add(.multiply, [a, c])[0]
      g.addOutput("a", a)
      g.addOutput("b", b)
      g.addOutput("rc", try g.add(.subtract, [r, c])[0])
      g.addOutput("exp", try g.add(.exp, [c])[0])
      let inputs = [
        try random(f32(shape), seed: 1), try random(f32([Dim(columns)]), seed: 2),
        try random(f32([Dim(rows), 1]), seed: 3),
      ]
      try expectAgreement(g, inputs)
      try expectAgreement(g, inputs, donated: [0, 1, 2])
    }
  }

  /// Reading an operand twice, once as a view, must not be undone by writing the result over it.
  @Test func overwritesOnlyWhatNobodyReads() throws {
    let shape: Shape = [32, 32]
    var g = Graph(name: "aliases")
    let x = g.addInput("x", f32(shape))
    let t = try g.add(.permute(.init(permutation: Permutation([1, 0]))), [x])[0]
    let s = try g.add(.add, [x, t])[0]
    let first = try g.add(.slice(.init(starts: [0, 0], stops: [1, 32], steps: [1, 1])), [s])[0]
    let spread = try g.add(.broadcast(.init(shape: shape)), [first])[0]
    let u = try g.add(.multiply, [s, spread])[0]
    let v = try g.add(.exp, [u])[0]
    g.addOutput("v", v)
    g.addOutput("x", x)
    let input = try random(f32(shape), seed: 1)
    try expectAgreement(g, [input], donated: [0])
    try expectAgreement(g, [input])
  }

  @Test func updatesDonatedInputsInPlace() throws {
    let shape: Shape = [64, 64]
    var g = Graph(name: "momentum")
    let p = g.addInput("p", f32(shape))
    let v = g.addInput("v", f32(shape))
    let x = g.addInput("x", f32(shape))
    func scalar(_ value: Double) throws -> ValueID {
      try g.add(.broadcast(.init(shape: shape)), [g.addConstant(Tensor(value))])[0]
    }
    let gradient = try g.add(.matmul, [p, x])[0]
    let next = try g.add(.add, [g.add(.multiply, [v, scalar(0.9)])[0], gradient])[0]
    let moved = try g.add(.subtract, [p, g.add(.multiply, [next, scalar(0.01)])[0]])[0]
    g.addOutput("p", moved)
    g.addOutput("v", next)
    let inputs = [try random(f32(shape), seed: 1), try random(f32(shape), seed: 2), try random(f32(shape), seed: 3)]
    try expectAgreement(g, inputs, donated: [0, 1])

    let executable = try CPUEngine.shared.compile(g)
    var operands = try inputs.map { try $0.copied() }
    let identities = operands.map { ObjectIdentifier($0) }
    let results = try executable.run(&operands, donated: [0, 1])
    #expect(results.map { ObjectIdentifier($0) } == Array(identities.prefix(2)))
    // Somebody else holds the first: it must stay as it is.
    operands = try inputs.map { try $0.copied() }
    let held = operands[0]
    let before = held.doubles
    _ = try executable.run(&operands, donated: [0, 1])
    #expect(held.doubles == before)
  }

  @Test func failingRunsLeaveDonatedInputsAlone() throws {
    var g = Graph(name: "fails")
    let p = g.addInput("p", f32([4]))
    let i = g.addInput("i", TensorType(.int64, [1]))
    let doubled = try g.add(.add, [p, p])[0]
    let x = g.addInput("x", f32([4]))
    let picked = try g.add(.gather(.init(axis: 0)), [x, i])[0]
    g.addOutput("p", doubled)
    g.addOutput("picked", picked)
    let executable = try CPUEngine.shared.compile(g)
    var inputs = [
      try Storage.of([1, 2, 3, 4], f32([4])), try Storage.of([9], TensorType(.int64, [1])),
      try Storage.of([1, 2, 3, 4], f32([4])),
    ]
    #expect(throws: ApusError.self) { _ = try executable.run(&inputs, donated: [0]) }
    #expect(inputs[0].doubles == [1, 2, 3, 4])
    inputs[1] = try .of([3], TensorType(.int64, [1]))
    let results = try executable.run(&inputs, donated: [0])
    #expect(results[0].doubles == [2, 4, 6, 8])
    #expect(results[1].doubles == [4])
  }

  @Test func addsBiasOnTheWayOut() throws {
    for (m, k, n) in [(4, 5, 6), (64, 128, 96), (1, 700, 512)] {
      var g = Graph(name: "linear \(m) \(k) \(n)")
      let x = g.addInput("x", f32([Dim(m), Dim(k)]))
      let w = g.addInput("w", f32([Dim(n), Dim(k)]))
      let b = g.addInput("b", f32([Dim(n)]))
      let t = try g.add(.permute(.init(permutation: Permutation([1, 0]))), [w])[0]
      let product = try g.add(.matmul, [x, t])[0]
      let spread = try g.add(.broadcast(.init(shape: [Dim(m), Dim(n)])), [b])[0]
      let sum = try g.add(.add, [product, spread])[0]
      g.addOutput("y", try g.add(.relu, [sum])[0])
      #expect(UnitFormation.units(of: g).contains { $0.kind == .epilogue && $0.nodes.count == 2 })
      try expectAgreement(
        g,
        [
          try random(f32([Dim(m), Dim(k)]), seed: 1), try random(f32([Dim(n), Dim(k)]), seed: 2),
          try random(f32([Dim(n)]), seed: 3),
        ])
    }
  }

  /// Two convolutions with bias, relu and pooling, and all their gradients: layouts stay blocked between them.
  @Test(arguments: [(1, 16, 24), (3, 10, 7), (16, 32, 32)])
  func convolutionStack(_ channels: (Int, Int, Int)) throws {
    let (c0, c1, c2) = channels
    let n = 3
    let x0: Shape = [Dim(n), Dim(c0), 13, 12]
    let h1: Shape = [Dim(n), Dim(c1), 13, 12]
    let p1: Shape = [Dim(n), Dim(c1), 6, 6]
    let h2: Shape = [Dim(n), Dim(c2), 4, 4]
    let (w1, w2): (Shape, Shape) = ([Dim(c1), Dim(c0), 3, 3], [Dim(c2), Dim(c1), 3, 3])
    let padding = Padding2D(1, 1)
    let pool = Primitive.MaxPool(kernel: 2, strides: 2)
    var g = Graph(name: "stack \(channels)")
    let x = g.addInput("x", f32(x0))
    let (a, b) = (g.addInput("w1", f32(w1)), g.addInput("w2", f32(w2)))
    let (ba, bb) = (g.addInput("b1", f32([Dim(c1)])), g.addInput("b2", f32([Dim(c2)])))
    let top = g.addInput("g", f32(h2))
    func bias(_ b: ValueID, _ count: Int, _ shape: Shape) throws -> ValueID {
      let column = try g.add(.reshape(.init(shape: [1, Dim(count), 1, 1])), [b])[0]
      return try g.add(.broadcast(.init(shape: shape)), [column])[0]
    }
    let first = try g.add(.convolution(.init(padding: padding)), [x, a])[0]
    let active = try g.add(.relu, [g.add(.add, [first, bias(ba, c1, h1)])[0]])[0]
    let pooled = try g.add(.maxPool(pool), [active])[0]
    let second = try g.add(.convolution(.init()), [pooled, b])[0]
    let out = try g.add(.tanh, [g.add(.add, [second, bias(bb, c2, h2)])[0]])[0]
    g.addOutput("out", out)
    // Backwards.
    let slope = try g.add(
      .subtract,
      [g.add(.broadcast(.init(shape: h2)), [g.addConstant(Tensor(1.0))])[0], g.add(.multiply, [out, out])[0]])[0]
    let g2 = try g.add(.multiply, [top, slope])[0]
    let dw2 = try g.add(
      .convolutionWeightGradient(.init(strides: 1, padding: .zero, dilation: 1, groups: 1, weightShape: w2)),
      [pooled, g2])[
        0]
    let db2 = try g.add(.sum(.init(axes: [0, 2, 3], keepDims: false)), [g2])[0]
    let dp = try g.add(
      .convolutionInputGradient(.init(strides: 1, padding: .zero, dilation: 1, groups: 1, inputShape: p1)), [g2, b])[0]
    let da = try g.add(.maxPoolGradient(.init(kernel: 2, strides: 2)), [active, dp])[0]
    let zero = try g.add(.broadcast(.init(shape: h1)), [g.addConstant(Tensor(0.0))])[0]
    let mask = try g.add(.compare(.init(.gt)), [active, zero])[0]
    let g1 = try g.add(.select, [mask, da, zero])[0]
    let db1 = try g.add(.sum(.init(axes: [0, 2, 3], keepDims: true)), [g1])[0]
    let dw1 = try g.add(
      .convolutionWeightGradient(.init(strides: 1, padding: padding, dilation: 1, groups: 1, weightShape: w1)), [x, g1])[
        0]
    let dx = try g.add(
      .convolutionInputGradient(.init(strides: 1, padding: padding, dilation: 1, groups: 1, inputShape: x0)), [g1, a])[
        0]
    for (name, id) in [("dw2", dw2), ("db2", db2), ("db1", db1), ("dw1", dw1), ("dx", dx)] { g.addOutput(name, id) }
    let inputs = [
      try random(f32(x0), seed: 1), try random(f32(w1), seed: 2), try random(f32(w2), seed: 3),
      try random(f32([Dim(c1)]), seed: 4), try random(f32([Dim(c2)]), seed: 5), try random(f32(h2), seed: 6),
    ]
    #expect(UnitFormation.units(of: g).filter { $0.kind == .convolutionGradients }.count == 2)
    try expectAgreement(g, inputs, tolerance: 1e-4)
  }

  @Test func batchNormBetweenConvolutions() throws {
    let shape: Shape = [4, 16, 8, 8]
    var g = Graph(name: "norm")
    let x = g.addInput("x", f32(shape))
    let w = g.addInput("w", f32([20, 16, 3, 3]))
    let (scale, shift) = (g.addInput("scale", f32([20])), g.addInput("shift", f32([20])))
    let y = try g.add(.convolution(.init(padding: Padding2D(1, 1))), [x, w])[0]
    let norm = try g.add(.batchNorm(.init(epsilon: 1e-5)), [y, scale, shift])
    let act = try g.add(.relu, [norm[0]])[0]
    let pooled = try g.add(.averagePool(.init(kernel: 3, strides: 2, padding: Padding2D(1, 1))), [act])[0]
    let back = try g.add(.batchNormGradient(.init(epsilon: 1e-5)), [y, scale, norm[1], norm[2], act])
    for (i, id) in ([act, pooled] + norm + back).enumerated() { g.addOutput("o\(i)", id) }
    try expectAgreement(
      g,
      [
        try random(f32(shape), seed: 1), try random(f32([20, 16, 3, 3]), seed: 2), try random(f32([20]), seed: 3),
        try random(f32([20]), seed: 4),
      ], tolerance: 1e-4)
  }

  /// Convolutions with groups, stride, dilation and uneven padding, and both gradients.
  @Test(arguments: [
    (Primitive.Convolution(strides: 2, padding: Padding2D(top: 1, left: 0, bottom: 2, right: 1)), 8, 12),
    (Primitive.Convolution(strides: 1, padding: Padding2D(2, 2), dilation: 2, groups: 4), 8, 12),
    (Primitive.Convolution(strides: Pair(2, 1), padding: Padding2D(1, 1), dilation: 1, groups: 16), 16, 16),
    (Primitive.Convolution(strides: 1, padding: .zero, dilation: Pair(1, 3), groups: 2), 2, 6),
  ])
  func convolutionAttributes(_ convolution: Primitive.Convolution, _ input: Int, _ output: Int) throws {
    let x: Shape = [2, Dim(input), 11, 10]
    let w: Shape = [Dim(output), Dim(input / convolution.groups), 3, 3]
    var g = Graph(name: "\(convolution)")
    let (xi, wi) = (g.addInput("x", f32(x)), g.addInput("w", f32(w)))
    let y = try g.add(.convolution(convolution), [xi, wi])[0]
    let active = try g.add(.relu, [y])[0]
    g.addOutput("y", active)
    let d = convolution
    g.addOutput(
      "dx",
      try g.add(
        .convolutionInputGradient(
          .init(
            strides: d.strides, padding: d.padding, dilation: d.dilation, groups: d.groups, inputShape: x)),
        [active, wi])[0])
    g.addOutput(
      "dw",
      try g.add(
        .convolutionWeightGradient(
          .init(
            strides: d.strides, padding: d.padding, dilation: d.dilation, groups: d.groups, weightShape: w)),
        [xi, active])[0])
    try expectAgreement(g, [try random(f32(x), seed: 1), try random(f32(w), seed: 2)])
  }

  /// A weight's gradient, transposed: one product, no copy.
  @Test func transposesGoToTheOperands() throws {
    for batch in [[], [3]] as [[Dim]] {
      func type(_ rows: Dim, _ columns: Dim) -> TensorType { f32(Shape(dims: batch + [rows, columns])) }
      let swap = Primitive.Permute(permutation: Permutation(batch.isEmpty ? [1, 0] : [0, 2, 1]))
      var g = Graph(name: "transposed \(batch)")
      let x = g.addInput("x", type(40, 80))
      let y = g.addInput("y", type(40, 60))
      let product = try g.add(.matmul, [g.add(.permute(swap), [x])[0], y])[0]
      let gradient = try g.add(.permute(swap), [product])[0]
      g.addOutput("g", try g.add(.add, [gradient, gradient])[0])
      try expectAgreement(g, [try random(type(40, 80), seed: 1), try random(type(40, 60), seed: 2)])
      let executable = try CPUExecutable(g, options: CompileOptions())
      #expect(
        try Planner.plan(executable.graph, donated: [], options: CompileOptions(), constants: PackedConstants()).steps
          .count == 2)
    }
  }

  @Test func productsJoinSums() throws {
    let shape: Shape = [70, 30]
    for dtype in [DType.float32, .float64, .int32] {
      let type = TensorType(dtype, shape)
      var g = Graph(name: "multiply-add \(dtype)")
      let (x, y, z) = (g.addInput("x", type), g.addInput("y", type), g.addInput("z", type))
      let a = try g.add(.add, [g.add(.multiply, [x, y])[0], z])[0]
      let b = try g.add(.add, [x, g.add(.multiply, [a, y])[0]])[0]
      let c = try g.add(.subtract, [b, g.add(.multiply, [z, z])[0]])[0]
      let d = try g.add(.subtract, [g.add(.multiply, [c, y])[0], a])[0]
      let e = try g.add(.add, [g.add(.multiply, [x, d])[0], g.add(.multiply, [d, d])[0]])[0]
      g.addOutput("e", e)
      g.addOutput("c", c)
      try expectAgreement(
        g, [try random(type, seed: 1, -3...3), try random(type, seed: 2, -3...3), try random(type, seed: 3, -3...3)],
        tolerance: 1e-5)
    }
  }

  @Test func constantsArePrepackedOnce() throws {
    var g = Graph(name: "prepacked")
    let x = g.addInput("x", f32([2, 16, 9, 9]))
    let weights = try random(f32([32, 16, 3, 3]), seed: 2)
    let w = g.addConstant(Tensor(storage: weights))
    g.addOutput("y", try g.add(.convolution(.init()), [x, w])[0])
    try expectAgreement(g, [try random(f32([2, 16, 9, 9]), seed: 1)])
    let plan = try Planner.plan(g, donated: [], options: CompileOptions(), constants: PackedConstants())
    // Reorder the image, convolve, reorder the result: nothing for the weights.
    #expect(plan.steps.count <= 3)
  }

  @Test func viewsAsOutputs() throws {
    var g = Graph(name: "views")
    let x = g.addInput("x", f32([4, 6]))
    let y = try g.add(.exp, [x])[0]
    g.addOutput("y", y)
    g.addOutput("y again", y)
    g.addOutput("flat", try g.add(.reshape(.init(shape: [24])), [y])[0])
    g.addOutput("x", x)
    g.addOutput("x again", x)
    g.addOutput("t", try g.add(.permute(.init(permutation: Permutation([1, 0]))), [x])[0])
    g.addOutput("back", try g.add(.reverse(.init(axes: [0, 1])), [x])[0])
    g.addOutput("c", g.addConstant(Tensor([1.0, 2.0])))
    try expectAgreement(g, [try random(f32([4, 6]), seed: 1)])
    try expectAgreement(g, [try random(f32([4, 6]), seed: 1)], donated: [0])
  }

  @Test func overlappingRunsAreIndependent() async throws {
    let shape: Shape = [64, 64]
    var g = Graph(name: "overlap")
    let x = g.addInput("x", f32(shape))
    let y = try g.add(.matmul, [x, g.add(.tanh, [x])[0]])[0]
    g.addOutput("y", try g.add(.multiply, [y, x])[0])
    let executable = try CPUEngine.shared.compile(g)
    try await withThrowingTaskGroup { group in
      for seed in 0..<8 {
        group.addTask {
          let input = try random(TensorType(.float32, [64, 64]), seed: UInt64(seed))
          var inputs = [input]
          let expected = try executable.run(&inputs, donated: [])[0].doubles
          for _ in 0..<20 {
            var again = [input]
            #expect(try executable.run(&again, donated: [])[0].doubles == expected)
          }
        }
      }
      try await group.waitForAll()
    }
  }
}

/// Eager operations on what convolutions leave in their own layout.
@Suite struct EagerLayoutTests {
  private func run(_ primitive: Primitive, _ inputs: [Storage]) throws -> [Storage] {
    try CPUEngine.shared.execute(primitive, inputs, outputs: primitive.definition.infer(inputs.map(\.type)))
  }
  private func reference(_ primitive: Primitive, _ inputs: [Storage]) throws -> [Storage] {
    try ReferenceEngine.shared.execute(primitive, inputs, outputs: primitive.definition.infer(inputs.map(\.type)))
  }

  @Test(arguments: [16, 20, 32])
  func layersFollowAConvolution(_ channels: Int) throws {
    let x = try random(TensorType(.float32, [2, 16, 10, 10]), seed: 1)
    let w = try random(TensorType(.float32, [Dim(channels), 16, 3, 3]), seed: 2)
    let y = try run(.convolution(.init()), [x, w])[0]
    let plain = try reference(.convolution(.init()), [x, w])[0]
    if channels % 16 == 0 { #expect(y.opaque != nil, "oneDNN blocks channels on every processor it has kernels for") }
    let vector = try random(TensorType(.float32, [Dim(channels)]), seed: 3)
    var strides = InlineArray<8, Int>(repeating: 0)
    strides[1] = 1
    let spread = Storage(view: vector, dtype: .float32, shape: y.shape, strides: strides, offset: 0)
    for op in [Primitive.add, .subtract, .multiply, .maximum] {
      expectEqual(try run(op, [y, spread]), try reference(op, [plain, spread]), tolerance: 1e-5, "\(op)")
      expectEqual(try run(op, [spread, y]), try reference(op, [spread, plain]), tolerance: 1e-5, "\(op) swapped")
      expectEqual(try run(op, [y, y]), try reference(op, [plain, plain]), tolerance: 1e-5, "\(op) itself")
      expectEqual(try run(op, [y, plain]), try reference(op, [plain, plain]), tolerance: 1e-5, "\(op) mixed")
    }
    let unary: [Primitive] = [
      .relu, .maxPool(.init(kernel: 3, strides: 2, padding: Padding2D(1, 1))),
      .permute(.init(permutation: Permutation([3, 1, 0, 2]))),
      .averagePool(.init(kernel: 2, strides: 2)), .sum(.init(axes: [1], keepDims: false)),
      .slice(.init(starts: [0, 1, 2, 3], stops: [2, 9, 8, 7], steps: [1, 2, 1, 3])), .softmax(.init(axis: 1)),
    ]
    for op in unary { expectEqual(try run(op, [y]), try reference(op, [plain]), tolerance: 1e-5, op.name) }
    let compared = try run(.compare(.init(.gt)), [y, spread])
    expectEqual(compared, try reference(.compare(.init(.gt)), [plain, spread]), tolerance: 0, "compare")
  }

  @Test func manyThreadsReadOneBlockedTensor() async throws {
    let x = try random(TensorType(.float32, [2, 16, 12, 12]), seed: 1)
    let w = try random(TensorType(.float32, [32, 16, 3, 3]), seed: 2)
    for _ in 0..<10 {
      let y = try run(.convolution(.init()), [x, w])[0]
      let expected = try reference(.convolution(.init()), [x, w])[0].doubles
      await withTaskGroup { group in
        for _ in 0..<8 { group.addTask { #expect(difference(y.doubles, expected) < 1e-5) } }
        await group.waitForAll()
      }
    }
  }
}
