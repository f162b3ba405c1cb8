import ApusCore

/// Graphs chosen for what a compiler's planning of memory, fusion and layouts can get wrong.
enum GraphCases {
  static func all(includesLarge: Bool) throws -> [GraphCase] {
    let sizes: [Shape] = [[], [1], [3], [17], [4099], [0], [61, 67]] + (includesLarge ? [[100_003]] : [])
    return try chains(sizes) + structure() + notANumber() + donation() + symbolic() + mixed()
      + (includesLarge ? networks() : [])
  }

  private static func f32(_ shape: Shape) -> TensorType { TensorType(.float32, shape) }
  private static func i64(_ shape: Shape) -> TensorType { TensorType(.int64, shape) }

  // MARK: What is an output

  private static func chains(_ sizes: [Shape]) throws -> [GraphCase] {
    try sizes.map { shape in
      try GraphCase.traced("chain of \(shape)", [f32(shape)]) { x in
        [(x[0] * 2 + 1).tanh() - x[0].sigmoid() * x[0]]
      }
    }
  }

  private static func structure() throws -> [GraphCase] {
    let x = f32([4099])
    return [
      try .built("an output that is also an intermediate", [x]) { g, x in
        let a = try g(.exp, x[0])
        let b = try g(.add, a, x[0])
        return [a, b, try g(.multiply, b, a)]
      },
      try .built("an input that is an output", [x, x]) { g, x in [x[1], try g(.negate, x[0]), x[0]] },
      try .built("one value three times among the outputs", [x]) { g, x in
        let a = try g(.negate, x[0])
        return [a, a, x[0], a, x[0]]
      },
      try .built("constants, folded, returned and dead", [x]) { g, x in
        let c = try g.constant(2.5, f32([4099]))
        let folded = try g(.sqrt, try g(.add, c, c))
        _ = try g(.exp, try g(.add, x[0], c))  // Nobody reads it.
        return [try g(.multiply, x[0], folded), c, folded]
      },
      try .built("an input that nothing reads", [x, i64([3])]) { g, x in [try g(.negate, x[0])] },
      try .built("no inputs", []) { g, _ in
        let a = try g(.full(.init(value: .double(1.5), type: f32([17]))))
        return [a, try g(.exp, a), try g(.iota(.init(type: i64([5]), axis: 0)))]
      },
      try .built("equal nodes", [x]) { g, x in
        let (a, b) = (try g(.exp, x[0]), try g(.exp, x[0]))
        return [try g(.add, a, b), try g(.subtract, a, b), a, b]
      },
      try .built("wide: every partial result used again", [f32([331])]) { g, x in
        var parts = [x[0]]
        for i in 1..<40 {
          parts.append(try g(i % 3 == 0 ? .multiply : .maximum, parts[i - 1], try g(.tanh, parts[i / 2])))
        }
        return [parts[39], parts[20], parts[1]]
      },
      try .traced("deep: two hundred nodes", [f32([331])]) { x in
        [(0..<100).reduce(x[0]) { y, i in i % 10 == 9 ? y.tanh() : y * 0.9 + x[0] }]
      },
    ]
  }

  /// What is not a number stays none, also in kernels that take their neighbours in: (x − x)/(x − x) is NaN everywhere.
  private static func notANumber() throws -> [GraphCase] {
    @Sendable func nan(_ x: Tensor) -> Tensor { (x - x) / (x - x) }
    return [
      try .traced("NaN through a dense layer with relu", [f32([80, 80]), f32([80, 80]), f32([80])]) { t in
        [(nan(t[0]).matmul(t[1]) + t[2]).relu(), (t[0].matmul(t[1]) + t[2]).relu()]
      },
      try .traced("NaN through a convolution with relu", [f32([2, 8, 9, 9]), f32([16, 8, 3, 3]), f32([16])]) { t in
        let bias = t[2].reshape(1, 16, 1, 1)
        return [
          (nan(t[0]).convolution2D(t[1]) + bias).relu(),
          (t[0].convolution2D(t[1]) + bias).relu().maxPool2D(kernelSize: 2),
        ]
      },
      try .traced("one weight in two layouts", [f32([1, 8, 6, 6]), f32([1, 4, 6, 6]), f32([8, 4, 3, 3])]) { t in
        [t[0].convolution2D(t[2], groups: 2), t[1].convolution2D(t[2])]
      },
      try .traced("a product of two repeated matrices", [f32([70, 70]), f32([70, 70])]) { t in
        [t[0].broadcast(to: [3, 70, 70]).matmul(t[1].broadcast(to: [3, 70, 70]))]
      },
    ]
  }

  // MARK: Donated memory

  private static func donation() throws -> [GraphCase] {
    let x = f32([4099])
    return [
      try .traced("update of a donated weight", [x, x], donated: [0]) { t in [t[0] - t[1] * 0.1] },
      try .traced("donated, read again after its update", [x, x], donated: [0]) { t in
        let next = t[0] - t[1] * 0.1
        return [next, (next * t[0]).sum(), t[0].exp().sum()]
      },
      try .built("donated, each in the other's update", [x, x], donated: [0, 1]) { g, x in
        let a = try g(.subtract, x[0], x[1])
        return [try g(.add, x[1], a), try g(.multiply, x[0], x[1]), a]
      },
      try .built("donated and swapped", [x, x], donated: [0, 1]) { _, x in [x[1], x[0]] },
      try .built("donated and returned unchanged", [x, x], donated: [0]) { g, x in [x[0], try g(.add, x[0], x[1])] },
      try .built("donated, read through views", [f32([61, 67]), f32([61, 67])], donated: [0]) { g, x in
        let turned = try g(.permute(.init(permutation: Permutation([1, 0]))), x[0])
        let flat = try g(.reshape(.init(shape: [4087])), turned)
        let next = try g(.add, x[0], x[1])
        return [next, try g(.exp, flat)]
      },
      try .traced("optimizer with momentum", [x, x, x], donated: [0, 1]) { t in
        let momentum = t[1] * 0.9 + t[2]
        return [t[0] - momentum * 0.01, momentum, (t[2] * t[2]).sum()]
      },
      try .built("donated, and a later index is out of range", [x, i64([3])], donated: [0], fails: true) { g, x in
        let next = try g(.negate, x[0])
        let far = try g(.add, x[1], try g.constant(4099, i64([3])))
        return [next, try g(.gather(.init(axis: 0)), next, far)]
      },
      try .built("donated, and an earlier index is out of range", [x, i64([3])], donated: [0], fails: true) { g, x in
        let far = try g(.subtract, x[1], try g.constant(9, i64([3])))
        let picked = try g(.gather(.init(axis: 0)), x[0], far)
        let total = try g(.sum(.init(axes: [0], keepDims: false)), picked)
        return [try g(.add, x[0], try g(.broadcast(.init(shape: [4099])), total))]
      },
    ]
  }

  // MARK: Symbolic sizes

  private static func symbolic() throws -> [GraphCase] {
    let sizes = [["batch": 4], ["batch": 1], ["batch": 33], ["batch": 0]]
    return [
      try .traced("dense layers with a symbolic batch", [f32(["batch", 16]), f32([16, 9]), f32([9])], sizes: sizes) {
        t in
        let y = (t[0].matmul(t[1]) + t[2]).relu()
        return [y, y.softmax(axis: -1), y.sum(axes: [0], keepDims: false)]
      },
      try .traced("reshaped over a symbolic batch", [f32(["batch", 4, 6])], sizes: sizes) { t in
        [t[0].flattened(from: 1) * 2, t[0].permuted(1, 0, 2) + 1]
      },
      try .traced("convolution with a symbolic batch", [f32(["batch", 3, 9, 9]), f32([5, 3, 3, 3])], sizes: sizes) {
        t in
        [t[0].convolution2D(t[1]).relu().maxPool2D(kernelSize: 2).flattened(from: 1)]
      },
      try .traced(
        "gradient with a symbolic batch", [f32(["batch", 8]), f32([8, 5]), i64(["batch"])],
        sizes: [["batch": 4], ["batch": 1], ["batch": 33]]
      ) { t in
        let (loss, gradients) = valueAndGradients(at: [t[1]]) { w in
          let logits = t[0].matmul(w[0]).logSoftmax(axis: 1)
          return -logits.gatheredAlong(t[2].unsqueezed(1), axis: 1).mean()
        }
        return [loss] + gradients
      },
    ]
  }

  // MARK: Networks

  private static func networks() throws -> [GraphCase] {
    let image = f32([2, 3, 8, 8])
    let weights = [f32([16, 3, 3, 3]), f32([16]), f32([16, 16, 3, 3]), f32([16]), f32([16 * 16, 7])]
    @Sendable func block(_ x: Tensor, _ w: [Tensor]) -> (Tensor, Tensor) {
      let first = x.convolution2D(w[0], bias: w[1], padding: 1).relu()
      let second = first.convolution2D(w[2], bias: w[3], padding: 1) + first
      return (first, second)
    }
    return [
      try .traced("convolutions whose intermediates are shared and returned", [image] + weights) { t in
        let (first, second) = block(t[0], Array(t[1...]))
        let pooled = second.maxPool2D(kernelSize: 2)
        return [pooled.flattened(from: 1).matmul(t[5]), first, second, pooled, first.permuted(0, 2, 3, 1) * 2]
      },
      try .traced("training step of a small convolutional network", weights + [image], donated: [0, 1, 2, 3, 4]) { t in
        let (loss, gradients) = valueAndGradients(at: Array(t[..<5])) { w in
          let pooled = block(t[5], w).1.maxPool2D(kernelSize: 2)
          return pooled.flattened(from: 1).matmul(w[4]).logSoftmax(axis: 1)[0..., 0].mean()
        }
        return zip(t, gradients).map { $0 - $1 * 0.1 } + [loss]
      },
      try .traced("batch norm, forward and back", [f32([4, 5, 6, 7]), f32([5]), f32([5])], donated: [1, 2]) { t in
        let (loss, gradients) = valueAndGradients(at: t) { t in
          let (y, mean, variance) = t[0].batchNorm(scale: t[1], shift: t[2], epsilon: 1e-5)
          return (y * y * y).sum() + mean.sum() * 2 + variance.sum()
        }
        // Damped: fed back as scale and shift they would overflow within a few steps, and inf − inf proves nothing.
        return [loss] + gradients.map { $0 * 0.001 }
      },
      try .traced("average pooling, forward and back", [f32([2, 3, 9, 9])]) { t in
        let (loss, gradients) = valueAndGradients(at: t) { t in
          let y = t[0].averagePool2D(kernelSize: 3, stride: 2, padding: 1)
          return (y * y).sum()
        }
        return [loss] + gradients
      },
      try .traced("attention", [f32([2, 3, 17, 8]), f32([2, 3, 17, 8]), f32([2, 3, 17, 8])]) { t in
        let scores = t[0].matmul(t[1].transposed(-1, -2)) * 0.35
        return [scores.softmax(axis: -1).matmul(t[2])]
      },
    ]
  }

  // MARK: Views, dtypes, random numbers

  private static func mixed() throws -> [GraphCase] {
    [
      try .traced("views of views", [f32([6, 8, 10])]) { t in
        let turned = t[0].permuted(2, 0, 1)
        let part = turned[1..<9, 2..., 3..<7]
        return [
          part + 1, part.sum(axes: [1], keepDims: true) * part,
          turned.reshape([10, 48]).matmul(turned.reshape([48, 10])),
        ]
      },
      try .traced("views as outputs", [f32([6, 8])]) { t in
        let y = t[0].exp()
        return [t[0].T, y.T, y[1..<3], t[0].reshape([48]), y.broadcast(to: [2, 6, 8])]
      },
      try .traced("dtypes", [f32([4099]), i64([4099]), TensorType(.bool, [4099]), TensorType(.float64, [4099])]) { t in
        let half = t[0] * 3 + t[1]
        let chosen = select(t[2], half, t[0])
        return [
          chosen, chosen.cast(to: .int32), (t[1] * 7 % 5).cast(to: .uint8), chosen .> 0.25, t[3] + t[0], t[1].sum(),
          (t[2] .&& (t[0] .< 0)).cast(to: .float32).mean(), t[3].exp().cast(to: .float32),
        ]
      },
      try .traced("indexing", [f32([50, 7]), i64([33]), i64([33, 7])]) { t in
        let rows = t[0].gathered(t[1], axis: 0)
        return [
          rows, rows.argMax(axis: 1), rows.gatheredAlong(t[2], axis: 1) + rows, rows.max(axes: [0], keepDims: false),
        ]
      },
      try .built("two draws from one random state", [i64([2])], donated: [0]) { g, x in
        let first = try g.graph.add(.randomUniform(.init(type: f32([1001]))), x)
        let second = try g.graph.add(.randomUniform(.init(type: f32([1001]))), [first[1]])
        let third = try g.graph.add(.randomNormal(.init(type: f32([1001]))), [second[1]])
        return [try g(.add, first[0], second[0]), third[0], third[1]]
      },
      try .built("the same draw twice from one state", [i64([2])]) { g, x in
        let first = try g.graph.add(.randomUniform(.init(type: f32([101]))), x)
        let again = try g.graph.add(.randomUniform(.init(type: f32([101]))), x)
        return [first[0], again[0], again[1], first[1]]
      },
    ]
  }
}
