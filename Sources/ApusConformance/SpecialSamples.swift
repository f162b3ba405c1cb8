import ApusCore

/// Numbers at which arithmetic is decided by convention: zeros of both signs, infinities, NaN, ties, the extremes.
enum SpecialSamples {
  static let reals: [Double] = [
    0, -0.0, 1, -1, 0.5, -0.5, 1.5, 2.5, -2.5, 3, 1e-8, -1e-8, 20, -20, 88, -88, 95, -95, 104, -104, 700, -700, 1e30,
    -1e30, 1e38, -1e38, 0x1.FFFFFEp127, -0x1.FFFFFEp127, 0x1p-126, 0x1p-149, -0x1p-149, .infinity, -.infinity, .nan,
  ]
  /// Float64's own ends.
  static let extremes: [Double] = [
    .greatestFiniteMagnitude, -.greatestFiniteMagnitude, .leastNonzeroMagnitude, -.leastNonzeroMagnitude,
    .leastNormalMagnitude, 746, -746,
  ]
  /// Enough of them that any two operations meet in overflow, underflow, ∞ − ∞ and 0·∞.
  static let few: [Double] = [
    0, -0.0, 1, -3, 0x1p-149, -1e-30, 1e30, -0x1.FFFFFEp127, 1e-300, .greatestFiniteMagnitude, .infinity, -.infinity,
    .nan,
  ]
  static let integers: [Double] = [0, 1, -1, 2, 3, -3, 7, -7, 63, 127, 255, -2_147_483_648, 2_147_483_647]

  /// Every element-wise arithmetic primitive on special values: one operand on each, two on every pair.
  static func elementwise() -> [(Sample, DType)] {
    var result: [(Sample, DType)] = []
    for (values, dtypes) in [(reals, [DType.float32, .float64]), (integers, [.int32, .int64, .uint8])] {
      let count = Dim(values.count)
      let first = values.flatMap { value in values.map { _ in value } }
      let second = values.flatMap { _ in values }
      for dtype in dtypes {
        for primitive in unary { result.append((Sample(primitive, [.values(values, [count])]), dtype)) }
        for primitive in binary {
          let operands: [Sample.Operand] = [.values(first, [count * count]), .values(second, [count * count])]
          result.append((Sample(primitive, operands), dtype))
        }
      }
    }
    return result
  }

  private static let unary: [Primitive] = [
    .negate, .abs, .sign, .floor, .ceil, .round, .exp, .expm1, .log, .log1p, .sqrt, .rsqrt, .tanh, .erf, .sigmoid,
    .relu, .silu, .gelu, .tanhGELU, .normalCDF, .normalPDF, .norm(.init(axes: [], keepDims: false)),
    .max(.init(axes: [0], keepDims: false)), .min(.init(axes: [0], keepDims: false)),
    .argMax(.init(axis: 0, keepDims: false)), .argMin(.init(axis: 0, keepDims: false)),
  ]
  private static let binary: [Primitive] =
    [.add, .subtract, .multiply, .divide, .remainder, .power, .maximum, .minimum]
    + Primitive.Compare.Comparison.allCases.map { .compare(.init($0)) }

  /// Values that show how a cast rounds, wraps and saturates: ties between neighbours of each narrow format, their
  /// subnormals and largest numbers, and integers beyond what a float holds.
  static let castReals: [Double] =
    reals + [
      1 + 0x1p-11, 1 + 0x3p-11, 1 + 0x1p-8, 1 + 0x3p-8, 1 + 0x1p-24, 1 + 0x3p-24, 1.0625, 1.1875, 1.125, 1.375, 65504,
      65519.9,
      65520, 65536, 448, 464, 464.1, 480, 57344, 61440, 0x1p-24, 0x1p-25, 0x3p-26, 0x1p-16, 0x1p-17, 0x1p-9, 0x1p-10,
      0x3p-11,
      254.9, 255.5, 256, 300.7, -0.9, -1.9, 3e9, -3e9, 1e19, 2e19, -1e19, 16_777_217, 9_007_199_254_740_994, 3.4e38,
      3.5e38,
    ]
  static let castIntegers: [Int64] = [
    0, 1, -1, 7, 8, 15, 16, 127, 128, 255, 256, -128, -129, 32767, 32768, 65535, 65536, 2_147_483_647, 2_147_483_648,
    -2_147_483_649, 4_294_967_295, 4_294_967_296, 16_777_217, 16_777_219, 9_007_199_254_740_993, 9_007_199_254_740_995,
    0x4000_0040_0000_0001, 0x7FFF_FFFF_FFFF_FFFF, -0x8000_0000_0000_0000,
  ]

  /// A tensor of the values in a dtype, to be cast to every other.
  static func castSource(_ dtype: DType) throws -> Tensor {
    if dtype.isInteger || dtype == .bool {
      let type = TensorType(.int64, [Dim(castIntegers.count)])
      return try Values.cast(try Tensor(bytes: castIntegers.span.bytes, type: type), dtype)
    }
    return try Values.tensor(castReals, [Dim(castReals.count)], dtype)
  }
}
