@testable import ApusCore

/// PyTorch's operations in terms of the public surface.
enum FixtureOperations {
  typealias Attributes = [String: Attribute]
  typealias Function = @Sendable (_ x: [Tensor], _ attributes: Attributes) throws -> [Tensor]

  struct Missing: Error, CustomStringConvertible {
    var description: String
  }

  /// nil: an operation nobody here knows.
  static func named(_ op: String) -> Function? { table[op] }

  private static let table: [String: Function] = elementwise.merging(reductions) { a, _ in a }
    .merging(movement) { a, _ in a }.merging(indexing) { a, _ in a }.merging(neural) { a, _ in a }

  private static func unary(_ f: @escaping @Sendable (Tensor) -> Tensor) -> Function { { x, _ in [f(x[0])] } }
  private static func binary(_ f: @escaping @Sendable (Tensor, Tensor) -> Tensor) -> Function {
    { x, _ in [f(x[0], x[1])] }
  }

  private static func int(_ name: String, _ a: Attributes) throws -> Int {
    guard let value = a[name]?.int else { throw Missing(description: "no number \(name)") }
    return value
  }
  private static func ints(_ name: String, _ a: Attributes) throws -> [Int] {
    guard let value = a[name]?.ints else { throw Missing(description: "no list \(name)") }
    return value
  }
  private static func pair(_ name: String, _ a: Attributes, _ other: Int? = nil) throws -> (Int, Int) {
    if a[name] == nil, let other { return (other, other) }
    let values = try ints(name, a)
    return (values[0], values[1])
  }
  private static func double(_ name: String, _ a: Attributes) throws -> Double {
    guard let value = a[name]?.double else { throw Missing(description: "no number \(name)") }
    return value
  }

  private static let elementwise: [String: Function] = [
    "exp": unary { $0.exp() }, "log": unary { $0.log() }, "log1p": unary { $0.log1p() }, "expm1": unary { $0.expm1() },
    "sqrt": unary { $0.sqrt() }, "rsqrt": unary { $0.rsqrt() }, "tanh": unary { $0.tanh() }, "erf": unary { $0.erf() },
    "sin": unary { $0.sin() }, "cos": unary { $0.cos() }, // The sign of NaN is NaN, as in NumPy; PyTorch says 0.
    "sign": unary { x in x.dtype.isFloatingPoint ? select(x .!= x, 0, x.sign()) : x.sign() }, "abs": unary { $0.abs() },
    "neg": unary { -$0 }, "reciprocal": unary { 1 / $0 }, "floor": unary { $0.floor() }, "ceil": unary { $0.ceil() },
    "round": unary { $0.round() }, "relu": unary { $0.relu() }, "sigmoid": unary { $0.sigmoid() },
    "silu": unary { $0.silu() }, "softplus": unary { $0.softplus() },
    "gelu": { x, a in [x[0].gelu(approximation: a["approximate"]?.text == "tanh" ? .tanh : .none)] },
    "add": binary(+), "sub": binary(-), "mul": binary(*), "div": binary(/), "remainder": binary(%),
    "pow": { x, a in [x.count == 2 ? x[0] ** x[1] : x[0] ** (try double("exponent", a))] },
    "maximum": binary { maximum($0, $1) }, "minimum": binary { minimum($0, $1) },
    "eq": binary { $0 .== $1 }, "ne": binary { $0 .!= $1 }, "lt": binary { $0 .< $1 }, "le": binary { $0 .<= $1 },
    "gt": binary { $0 .> $1 }, "ge": binary { $0 .>= $1 },
    "logical_and": binary { $0 .&& $1 }, "logical_or": binary { $0 .|| $1 },
    "logical_xor": binary { $0.logicalXor($1) },
    "logical_not": unary { .!$0 }, "where": { x, _ in [select(x[0], x[1], x[2])] },
    "cast": { x, a in
      guard let dtype = DType.allCases.first(where: { $0.description == a["dtype"]?.text }) else {
        throw Missing(description: "no dtype \(String(describing: a["dtype"]))")
      }
      return [x[0].cast(to: dtype)]
    },
  ]

  private static func reduction(_ f: @escaping @Sendable (Tensor, [Int], Bool) -> Tensor) -> Function {
    { x, a in [f(x[0], a["dim"]?.ints ?? Array(0..<x[0].rank), a["keepdim"]?.bool ?? false)] }
  }
  private static let reductions: [String: Function] = [
    "sum": reduction { $0.sum(axes: $1, keepDims: $2) }, "mean": reduction { $0.mean(axes: $1, keepDims: $2) },
    "amax": reduction { $0.max(axes: $1, keepDims: $2) }, "amin": reduction { $0.min(axes: $1, keepDims: $2) },
    "prod": reduction { $0.product(axes: $1, keepDims: $2) },
    "argmax": { x, a in [x[0].argMax(axis: a["dim"]?.int, keepDims: a["keepdim"]?.bool ?? false)] },
    "argmin": { x, a in [x[0].argMin(axis: a["dim"]?.int, keepDims: a["keepdim"]?.bool ?? false)] },
    "softmax": { x, a in [x[0].softmax(axis: try int("dim", a))] },
    "log_softmax": { x, a in [x[0].logSoftmax(axis: try int("dim", a))] },
  ]

  private static let movement: [String: Function] = [
    "matmul": binary { $0.matmul($1) },
    "reshape": { x, a in [x[0].reshape(try ints("shape", a))] },
    "permute": { x, a in [x[0].permuted(try ints("dims", a))] },
    "expand": { x, a in [x[0].broadcast(to: Shape(try ints("size", a)))] },
    "slice": { x, a in [x[0].sliced(a["slices"]?.list ?? [])] },
    "pad": { x, a in
      let widths = (a["widths"]?.list ?? []).compactMap(\.ints).map { ($0[0], $0[1]) }
      return [x[0].padded(widths, value: try double("value", a))]
    },
    "concat": { x, a in [concatenate(x, axis: try int("dim", a))] },
    "stack": { x, a in [stack(x, axis: try int("dim", a))] },
  ]

  /// The indices' sizes, the operand's own along `axis`.
  private static func corner(_ x: [Tensor], _ axis: Int) -> [Int] {
    (0..<x[0].rank).map { $0 == axis ? x[0].shape[$0] : x[1].shape[$0] }
  }

  private static let indexing: [String: Function] = [
    "index_select": { x, a in [x[0].gathered(x[1], axis: try int("dim", a))] },
    "embedding": { x, _ in [x[0].gathered(x[1])] },
    // PyTorch lets the indices cover a corner of the operand; here they cover all of it but along the axis.
    "gather": { x, a in
      let axis = try int("dim", a)
      return [x[0].sliced(starts: [Int](repeating: 0, count: x[0].rank), stops: corner(x, axis)).gatheredAlong(x[1], axis: axis)]
    },
    "scatter_add": { x, a in
      let axis = try int("dim", a)
      let sizes = corner(x, axis)
      let sums = Tensor.zeros(Shape(sizes)).scatterAddedAlong(x[2], at: x[1], axis: axis)
      return [x[0] + sums.padded(zip(x[0].shape, sizes).map { (0, $0 - $1) })]
    },
    "one_hot": { x, a in [x[0].oneHot(try int("num_classes", a), dtype: .int64)] },
  ]

  private static let neural: [String: Function] = [
    "conv2d": { x, a in
      let padding = try pair("padding", a)
      return [
        x[0].convolution2D(
          x[1], bias: x.count > 2 ? x[2] : nil, stride: try pair("stride", a),
          padding: .symmetric(padding.0, padding.1),
          dilation: try pair("dilation", a), groups: try int("groups", a))
      ]
    },
    "max_pool2d": { x, a in
      let padding = try pair("padding", a)
      return [
        x[0].maxPool2D(
          kernelSize: try pair("kernel_size", a), stride: try pair("stride", a),
          padding: .symmetric(padding.0, padding.1),
          dilation: try pair("dilation", a, 1))
      ]
    },
    "avg_pool2d": { x, a in
      let padding = try pair("padding", a)
      return [
        x[0].averagePool2D(
          kernelSize: try pair("kernel_size", a), stride: try pair("stride", a),
          padding: .symmetric(padding.0, padding.1),
          countIncludePadding: a["count_include_pad"]?.bool ?? true)
      ]
    },
    "batch_norm": { x, a in
      let epsilon = try double("eps", a)
      guard a["training"]?.bool == true else {
        let y = x[0].batchNormInference(mean: x[3], variance: x[4], scale: x[1], shift: x[2], epsilon: epsilon)
        return [y, x[3], x[4]]
      }
      // PyTorch's running statistics: the variance unbiased.
      let (y, mean, variance) = x[0].batchNorm(scale: x[1], shift: x[2], epsilon: epsilon)
      let momentum = try double("momentum", a)
      let count = Double(x[0].elementCount / x[1].elementCount)
      return [
        y, x[3] * (1 - momentum) + mean.detached() * momentum,
        x[4] * (1 - momentum) + variance.detached() * (momentum * count / (count - 1)),
      ]
    },
    "layer_norm": { x, a in
      let width = try ints("normalized_shape", a).reduce(1, *)
      let rows = x[0].reshape([x[0].elementCount / width, width])
      let y = rows.layerNorm(scale: x[1].flattened(), shift: x[2].flattened(), epsilon: try double("eps", a))
      return [y.reshape(x[0].shape)]
    },
  ]
}
