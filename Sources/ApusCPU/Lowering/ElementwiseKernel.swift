import ApusCore
import CKernels

extension DType {
  /// The kernels' code; nil for types they don't know.
  var kernelCode: ck_dtype? {
    switch self {
    case .bool: CK_BOOL
    case .uint8: CK_UINT8
    case .int8: CK_INT8
    case .int16: CK_INT16
    case .uint16: CK_UINT16
    case .int32: CK_INT32
    case .uint32: CK_UINT32
    case .int64: CK_INT64
    case .uint64: CK_UINT64
    case .float16: CK_FLOAT16
    case .bfloat16: CK_BFLOAT16
    case .float32: CK_FLOAT32
    case .float64: CK_FLOAT64
    case .complex64, .complex128, .int4, .uint4, .float8e4m3fn, .float8e5m2: nil
    }
  }
}

/// An element-wise primitive as the kernels name it.
enum ElementwiseKernel: Sendable {
  case unary(ck_op)
  case binary(ck_op)
  /// The result is bool.
  case comparison(ck_op)
  case select
  case cast
  /// a · b + c or c − a · b, in fused programs only.
  case multiplyAdd(ck_op)

  /// nil: the primitive is not element-wise.
  init?(_ primitive: Primitive) {
    switch primitive {
    case .negate: self = .unary(CK_NEGATE)
    case .abs: self = .unary(CK_ABS)
    case .sign: self = .unary(CK_SIGN)
    case .floor: self = .unary(CK_FLOOR)
    case .ceil: self = .unary(CK_CEIL)
    case .round: self = .unary(CK_ROUND)
    case .exp: self = .unary(CK_EXP)
    case .expm1: self = .unary(CK_EXPM1)
    case .log: self = .unary(CK_LOG)
    case .log1p: self = .unary(CK_LOG1P)
    case .sqrt: self = .unary(CK_SQRT)
    case .rsqrt: self = .unary(CK_RSQRT)
    case .sin: self = .unary(CK_SIN)
    case .cos: self = .unary(CK_COS)
    case .tanh: self = .unary(CK_TANH)
    case .erf: self = .unary(CK_ERF)
    case .sigmoid: self = .unary(CK_SIGMOID)
    case .relu: self = .unary(CK_RELU)
    case .silu: self = .unary(CK_SILU)
    case .gelu: self = .unary(CK_GELU_ERF)
    case .tanhGELU: self = .unary(CK_GELU_TANH)
    case .normalCDF: self = .unary(CK_NORMAL_CDF)
    case .normalPDF: self = .unary(CK_NORMAL_PDF)
    case .logicalNot: self = .unary(CK_LOGICAL_NOT)
    case .add: self = .binary(CK_ADD)
    case .subtract: self = .binary(CK_SUBTRACT)
    case .multiply: self = .binary(CK_MULTIPLY)
    case .divide: self = .binary(CK_DIVIDE)
    case .remainder: self = .binary(CK_REMAINDER)
    case .power: self = .binary(CK_POWER)
    case .maximum: self = .binary(CK_MAXIMUM)
    case .minimum: self = .binary(CK_MINIMUM)
    case .logicalAnd: self = .binary(CK_LOGICAL_AND)
    case .logicalOr: self = .binary(CK_LOGICAL_OR)
    case .logicalXor: self = .binary(CK_LOGICAL_XOR)
    case .compare(let definition): self = .comparison(definition.kernelCode)
    case .select: self = .select
    case .cast: self = .cast
    default: return nil
    }
  }

  /// Rough nanoseconds an element takes on one thread, out of cache.
  var cost: Double {
    switch self {
    case .unary(let op):
      switch op {
      case CK_NEGATE, CK_ABS, CK_SIGN, CK_RELU, CK_FLOOR, CK_CEIL, CK_ROUND, CK_LOGICAL_NOT, CK_SQRT: 0.3
      default: 1
      }
    case .binary(CK_POWER): 3
    case .binary(CK_REMAINDER): 1
    case .binary, .comparison, .select, .cast, .multiplyAdd: 0.4
    }
  }
}

/// A kernel looked up once. Called with up to three operands (extra ones ignored) and the result.
struct PreparedKernel: Sendable {
  private enum Call: Sendable {
    case unary(ck_unary_fn)
    case binary(ck_binary_fn)
    case select(elementBytes: Int64, ck_mode)
    case cast(ck_dtype, ck_dtype)
  }
  private let call: Call

  /// - Parameter isScalar: which operands are one element; nil: none.
  /// - Returns: nil where the kernels have nothing for these dtypes.
  static func lookUp(
    _ kernel: ElementwiseKernel, _ operands: [DType], _ result: DType, isScalar: [Bool]? = nil
  ) throws -> PreparedKernel? {
    guard let code = operands.last?.kernelCode else { return nil }
    func mode(_ a: Int, _ b: Int) -> ck_mode {
      guard let isScalar else { return CK_VECTOR_VECTOR }
      return switch (isScalar[a], isScalar[b]) {
      case (false, false): CK_VECTOR_VECTOR
      case (false, true): CK_VECTOR_SCALAR
      case (true, false): CK_SCALAR_VECTOR
      case (true, true): CK_SCALAR_SCALAR
      }
    }
    switch kernel {
    case .unary(let op): return ck_unary(op, code).map { PreparedKernel(call: .unary($0)) }
    case .binary(let op): return ck_binary(op, code, mode(0, 1)).map { PreparedKernel(call: .binary($0)) }
    case .comparison(let op): return ck_compare(op, code, mode(0, 1)).map { PreparedKernel(call: .binary($0)) }
    case .select:
      guard let bytes = result.elementBytes else { return nil }
      return PreparedKernel(call: .select(elementBytes: Int64(bytes), mode(1, 2)))
    case .cast:
      guard let target = result.kernelCode else { return nil }
      return PreparedKernel(call: .cast(code, target))
    case .multiplyAdd: return nil
    }
  }

  func callAsFunction(
    _ count: Int64, _ a: UnsafeMutableRawPointer, _ b: UnsafeMutableRawPointer, _ c: UnsafeMutableRawPointer,
    _ result: UnsafeMutableRawPointer
  ) {
    switch call {
    case .unary(let function): function(count, a, result)
    case .binary(let function): function(count, a, b, result)
    case .select(let bytes, let mode): _ = ck_select(bytes, mode, count, a, b, c, result)
    case .cast(let from, let to): _ = ck_cast(from, to, count, a, result)
    }
  }
}
