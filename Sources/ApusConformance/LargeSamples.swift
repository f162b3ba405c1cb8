import ApusCore

/// Sizes around what kernels treat specially: one element, less than a vector, a tail after vectors, more than fits a
/// tile, and enough to be split over threads.
enum Sizes {
  static let element: [Int] = [1, 3, 17, 4099, 100_003]
  static let matrices: [Shape] = [[331, 302], [3, 4099], [4099, 3]]
  static let cube: Shape = [17, 31, 67]
}

extension PrimitiveKind {
  /// Samples beyond the definition's own: large, odd-sized, and shaped to reach every path of a fast kernel.
  var largeSamples: [Sample] {
    switch self {
    case .negate, .abs, .sign, .floor, .ceil, .round, .exp, .expm1, .log, .log1p, .sqrt, .rsqrt, .sin, .cos, .tanh,
      .erf,
      .sigmoid, .relu, .silu, .gelu, .tanhGELU, .normalCDF, .normalPDF, .logicalNot, .add, .subtract, .multiply,
      .divide, .remainder, .power, .maximum, .minimum,
      .logicalAnd, .logicalOr, .logicalXor, .compare, .select, .cast:
      resized(Sizes.element.map { [Dim($0)] } + [[61, 67], [331, 302]])
    case .full: types().map { Sample(.full(.init(value: .double(1.5), type: $0)), []) }
    case .iota:
      types([.float32, .int64]).map { Sample(.iota(.init(type: $0, axis: 0)), []) }
        + (0..<3).map { Sample(.iota(.init(type: TensorType(.int32, Sizes.cube), axis: $0)), []) }
    case .dimension: []
    case .randomUniform: random { .randomUniform(.init(type: $0)) }
    case .randomNormal: random { .randomNormal(.init(type: $0)) }
    case .reshape, .permute, .broadcast, .slice, .sliceUpdate, .pad, .reverse, .concatenate: largeMovement
    case .sum, .product, .norm, .max, .min, .argMax, .argMin, .softmax, .logSoftmax: largeReductions
    case .gather, .scatterAdd, .gatherAlong, .scatterAddAlong: largeIndexing
    case .matmul: LargeLinear.products
    case .convolution, .convolutionInputGradient, .convolutionWeightGradient: LargeLinear.convolutions(self)
    case .maxPool, .maxPoolGradient, .maxPoolGather, .averagePool, .averagePoolGradient: largePools
    case .batchNorm, .batchNormGradient: largeNorms
    case .custom: []
    }
  }

  /// Its own samples' operands, by their ranges, in other shapes.
  private func resized(_ shapes: [Shape]) -> [Sample] {
    var seen: Set<String> = []
    return samples.flatMap { sample -> [Sample] in
      // One sample for each primitive and kind of operands.
      let kinds = "\(sample.primitive) \(sample.operands.map(\.kind))"
      guard !sample.operands.contains(where: { $0.kind == nil }), seen.insert(kinds).inserted else { return [] }
      return shapes.map { shape in Sample(sample.primitive, sample.operands.map { $0.resized(shape) }, smooth: false) }
    }
  }

  private func types(_ dtypes: [DType] = [.float32, .float64, .int64, .uint8]) -> [TensorType] {
    dtypes.flatMap { dtype in Sizes.element.map { TensorType(dtype, [Dim($0)]) } }
  }

  private func random(_ make: (TensorType) -> Primitive) -> [Sample] {
    types([.float32, .float64]).flatMap { type in
      // The second offset's counter passes 2^32 on the way.
      [(7, 0), (-5, 4_294_967_290)].map { key, offset in
        Sample(make(type), [.values([key, offset], [2], .int64)])
      }
    }
  }

  private var largeMovement: [Sample] {
    func one(_ primitive: Primitive, _ shape: Shape) -> Sample { Sample(primitive, [.real(shape)]) }
    switch self {
    case .reshape: return [one(.reshape(.init(shape: [302, 331])), [331, 302])]
    case .permute:
      let orders = [[0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]]
      return orders.map { one(.permute(.init(permutation: Permutation($0))), Sizes.cube) }
        + [[0, 2, 3, 1], [0, 3, 1, 2]].map { one(.permute(.init(permutation: Permutation($0))), [3, 5, 28, 30]) }
        + [one(.permute(.init(permutation: Permutation([1, 0]))), [331, 302])]
    case .broadcast:
      return [[302], [331, 1], [1, 302], [1, 1], []].map { one(.broadcast(.init(shape: [331, 302])), $0) }
        + [one(.broadcast(.init(shape: [4, 17, 31, 67])), [17, 1, 67])]
    case .slice:
      return [
        one(.slice(.init(starts: [1, 2, 3], stops: [17, 30, 66], steps: [2, 1, 3])), Sizes.cube),
        one(.slice(.init(starts: [5], stops: [100_000], steps: [1])), [100_003]),
      ]
    case .sliceUpdate:
      let update = Primitive.sliceUpdate(.init(starts: [1, 2, 3], steps: [2, 1, 3]))
      return [Sample(update, [.real(Sizes.cube), .real([8, 28, 21])])]
    case .pad: return [one(.pad(.init(low: [1, 0, 3], high: [0, 2, 5], value: .int(1))), Sizes.cube)]
    case .reverse:
      return [[0], [1], [2], [0, 2]].map { one(.reverse(.init(axes: $0)), Sizes.cube) }
        + [one(.reverse(.init(axes: [0])), [100_003])]
    default:
      return (0..<3).map { axis in
        var (small, none) = (Array(Sizes.cube), Array(Sizes.cube))
        small[axis] = 5
        none[axis] = 0
        return Sample(
          .concatenate(.init(axis: axis)),
          [.real(Sizes.cube), .real(Shape(small)), .real(Shape(none)), .real(Sizes.cube)])
      }
    }
  }

  private var largeReductions: [Sample] {
    // Products of many numbers stay finite near 1 only.
    let range = self == .product ? 0.99...1.01 : -2.0...2.0
    func along(_ make: (Int) -> Primitive) -> [Sample] {
      (Sizes.matrices + [Sizes.cube, [4099]]).flatMap { shape in
        shape.indices.map { Sample(make($0), [.real(shape, range)]) }
      }
    }
    func over(_ make: (AxisSet) -> Primitive) -> [Sample] {
      let several: [(Shape, AxisSet)] = [
        ([100_003], [0]), ([331, 302], [0, 1]), (Sizes.cube, [0, 2]), (Sizes.cube, [0, 1]), (Sizes.cube, [1, 2]),
        ([8, 17, 14, 15], [0, 2, 3]),
      ]
      return along { make([$0]) } + several.map { Sample(make($1), [.real($0, range)]) }
    }
    switch self {
    case .sum: return over { .sum(.init(axes: $0, keepDims: false)) }
    case .product: return over { .product(.init(axes: $0, keepDims: false)) }
    case .norm: return over { .norm(.init(axes: $0, keepDims: false)) }
    case .max: return over { .max(.init(axes: $0, keepDims: false)) }
    case .min: return over { .min(.init(axes: $0, keepDims: true)) }
    case .argMax: return along { .argMax(.init(axis: $0, keepDims: false)) }
    case .argMin: return along { .argMin(.init(axis: $0, keepDims: true)) }
    case .softmax: return along { .softmax(.init(axis: $0)) }
    default: return along { .logSoftmax(.init(axis: $0)) }
    }
  }

  private var largeIndexing: [Sample] {
    let dtypes: [DType] = [.int64, .int32]
    return dtypes.flatMap { dtype -> [Sample] in
      switch self {
      case .gather:
        return [
          Sample(.gather(.init(axis: 0)), [.real([1000, 65]), .integer([4099], 0...999, dtype)]),
          Sample(.gather(.init(axis: 1)), [.real([31, 300, 3]), .integer([17, 7], 0...299, dtype)]),
        ]
      case .scatterAdd:
        return [
          Sample(.scatterAdd(.init(axis: 0, size: 50)), [.real([4099, 65]), .integer([4099], 0...49, dtype)]),
          Sample(
            .scatterAdd(.init(axis: 1, size: 30)), [.real([31, 17, 7, 3]), .integer([17, 7], 0...29, dtype)]),
        ]
      case .gatherAlong:
        return [0, 1].map {
          Sample(.gatherAlong(.init(axis: $0)), [.real([331, 302]), .integer([331, 302], 0...301, dtype)])
        }
      default:
        return [0, 1].map {
          let scatter = Primitive.ScatterAddAlong(axis: $0, size: 50)
          return Sample(.scatterAddAlong(scatter), [.real([331, 302]), .integer([331, 302], 0...49, dtype)])
        }
      }
    }
  }

  private var largePools: [Sample] {
    let geometries: [(Shape, Shape, Pair, Pair, Padding2D)] = [
      ([4, 16, 28, 28], [4, 16, 14, 14], 2, 2, .zero), ([4, 16, 28, 28], [4, 16, 14, 14], 3, 2, Padding2D(1, 1)),
      ([2, 17, 15, 13], [2, 17, 14, 6], Pair(2, 3), Pair(1, 2), .zero),
      ([3, 8, 9, 9], [3, 8, 9, 9], 3, 1, Padding2D(1, 1)),
    ]
    return geometries.map { x, y, kernel, strides, padding in
      switch self {
      case .maxPool: return Sample(.maxPool(.init(kernel: kernel, strides: strides, padding: padding)), [.real(x)])
      case .maxPoolGradient:
        let pool = Primitive.MaxPoolGradient(kernel: kernel, strides: strides, padding: padding)
        return Sample(.maxPoolGradient(pool), [.real(x), .real(y)])
      case .maxPoolGather:
        let pool = Primitive.MaxPoolGather(kernel: kernel, strides: strides, padding: padding)
        return Sample(.maxPoolGather(pool), [.real(x), .real(x)])
      case .averagePool:
        let pool = Primitive.AveragePool(kernel: kernel, strides: strides, padding: padding, countIncludePadding: false)
        return Sample(.averagePool(pool), [.real(x)])
      default:
        let pool = Primitive.AveragePoolGradient(
          kernel: kernel, strides: strides, padding: padding, countIncludePadding: true, inputShape: x)
        return Sample(.averagePoolGradient(pool), [.real(y)])
      }
    }
  }

  private var largeNorms: [Sample] {
    let shapes: [Shape] = [[8, 17, 14, 14], [64, 33], [4, 16, 28, 28], [5, 8, 1, 1], [3, 5, 4099]]
    return shapes.map { x in
      let channels = Shape([x[1]])
      if self == .batchNorm {
        return Sample(.batchNorm(.init(epsilon: 1e-5)), [.real(x), .real(channels), .real(channels)])
      }
      return Sample(
        .batchNormGradient(.init(epsilon: 1e-5)),
        [.real(x), .real(channels), .real(channels, -0.1...0.1), .real(channels, 0.5...2), .real(x)])
    }
  }
}

/// Matrix products and convolutions, whose shapes decide which kernel runs.
enum LargeLinear {
  static var products: [Sample] {
    let shapes: [(Shape, Shape)] = [
      ([1, 4096], [4096, 64]), ([64, 4096], [4096, 1]), ([67, 130], [130, 33]), ([256, 256], [256, 256]),
      ([5, 1], [1, 7]),
      ([8, 33, 65], [8, 65, 17]), ([2, 3, 17, 5], [2, 3, 5, 31]), ([1, 1, 300], [1, 300, 300]),
    ]
    return shapes.map { Sample(.matmul, [.real($0), .real($1)]) }
  }

  static func convolutions(_ kind: PrimitiveKind) -> [Sample] {
    let geometries: [(Primitive.Convolution, x: Shape, w: Shape)] = [
      (Primitive.Convolution(padding: Padding2D(1, 1)), [4, 1, 28, 28], [32, 1, 3, 3]),
      (Primitive.Convolution(padding: Padding2D(1, 1)), [2, 16, 14, 14], [33, 16, 3, 3]),
      (Primitive.Convolution(strides: 2, padding: Padding2D(1, 1)), [2, 17, 15, 15], [16, 17, 3, 3]),
      (Primitive.Convolution(), [3, 24, 7, 7], [40, 24, 1, 1]),
      (Primitive.Convolution(padding: Padding2D(1, 1), groups: 32), [2, 32, 14, 14], [32, 1, 3, 3]),
      (Primitive.Convolution(strides: Pair(1, 2), padding: Padding2D(2, 1), groups: 2), [2, 8, 12, 11], [6, 4, 5, 3]),
      (Primitive.Convolution(padding: Padding2D(2, 2), dilation: 2), [1, 8, 10, 10], [8, 8, 3, 3]),
    ]
    return geometries.compactMap { convolution, x, w in
      let types = [TensorType(.float32, x), TensorType(.float32, w)]
      guard let y = try? convolution.infer(types)[0].shape else { return nil }
      switch kind {
      case .convolution: return Sample(.convolution(convolution), [.real(x), .real(w)])
      case .convolutionInputGradient:
        let pullback = Primitive.ConvolutionInputGradient(
          strides: convolution.strides, padding: convolution.padding, dilation: convolution.dilation,
          groups: convolution.groups, inputShape: x)
        return Sample(.convolutionInputGradient(pullback), [.real(y), .real(w)])
      default:
        let pullback = Primitive.ConvolutionWeightGradient(
          strides: convolution.strides, padding: convolution.padding, dilation: convolution.dilation,
          groups: convolution.groups, weightShape: w)
        return Sample(.convolutionWeightGradient(pullback), [.real(x), .real(y)])
      }
    }
  }
}

extension Sample.Operand {
  /// What it is drawn from; nil for listed values, which have one shape only.
  fileprivate var kind: String? {
    switch self {
    case .real: "real"
    case .integer(_, _, let dtype): "\(dtype)"
    case .bool: "bool"
    case .values: nil
    }
  }

  fileprivate func resized(_ shape: Shape) -> Sample.Operand {
    switch self {
    case .real(_, let range): .real(shape, range)
    case .integer(_, let range, let dtype): .integer(shape, range, dtype)
    case .bool: .bool(shape)
    case .values: self
    }
  }
}
