/// The type of a tensor's elements.
///
/// Raw values are stable: packages store them and the C kernels use the same codes. Arithmetic is defined for
/// ``bool``, ``uint8``, ``int32``, ``int64``, ``float32`` and ``float64``; the others can be stored, moved and cast.
public enum DType: UInt8, Hashable, Codable, Sendable, BitwiseCopyable, CaseIterable {
  /// A truth value, one byte.
  case bool = 0
  /// Whole numbers of so many bits; the signed ones in two's complement.
  case uint8, int8, int16, uint16, int32, uint32, int64, uint64
  /// IEEE 754's binary16, 32 and 64; bfloat16 is the upper half of a float32.
  case float16, bfloat16, float32, float64
  /// Two float32 or two float64: the real part, then the imaginary one.
  case complex64, complex128
  /// Four-bit integers, two an octet, low nibble first.
  case int4, uint4
  /// 8-bit floats of "FP8 Formats for Deep Learning" (Micikevicius et al., 2022).
  case float8e4m3fn, float8e5m2

  /// Bits an element takes in memory.
  public var bitWidth: Int {
    switch self {
    case .int4, .uint4: 4
    case .bool, .uint8, .int8, .float8e4m3fn, .float8e5m2: 8
    case .int16, .uint16, .float16, .bfloat16: 16
    case .int32, .uint32, .float32: 32
    case .int64, .uint64, .float64, .complex64: 64
    case .complex128: 128
    }
  }

  /// Bytes that `count` contiguous elements take; nil when the figure does not fit an `Int`.
  public func byteCount(_ count: Int) -> Int? {
    let (bits, overflow) = count.multipliedReportingOverflow(by: bitWidth)
    return overflow || bits > Int.max - 7 ? nil : (bits + 7) / 8
  }

  /// Whether it is a real type, of any width.
  public var isFloatingPoint: Bool {
    switch self {
    case .float16, .bfloat16, .float32, .float64, .float8e4m3fn, .float8e5m2: true
    default: false
    }
  }
  /// Whether it is ``complex64`` or ``complex128``.
  public var isComplex: Bool { self == .complex64 || self == .complex128 }
  /// Whether it is a whole-number type, signed or not; bool is none.
  public var isInteger: Bool { !isFloatingPoint && !isComplex && self != .bool }

  /// Whether the arithmetic primitives are defined on it: bool, uint8, int32, int64, float32 and float64.
  public var hasArithmetic: Bool {
    switch self {
    case .bool, .uint8, .int32, .int64, .float32, .float64: true
    default: false
    }
  }

  /// Bytes of one element for the types that have whole bytes.
  var stride: Int { max(bitWidth / 8, 1) }

  /// The common type of two strong operands, as `torch.promote_types` gives it.
  /// https://docs.pytorch.org/docs/stable/tensor_attributes.html#type-promotion-doc
  ///
  /// ```swift
  /// DType.promote(.int64, .float32)      // float32
  /// DType.promote(.uint8, .int8)         // int16
  /// ```
  public static func promote(_ a: DType, _ b: DType) -> DType {
    if a == b { return a }
    let (low, high) = a.category < b.category ? (a, b) : (b, a)
    if low.category < high.category {
      // A complex type must be wide enough for a float64 operand.
      return high == .complex64 && low == .float64 ? .complex128 : high
    }
    switch high.category {
    case 1: return promoteIntegers(a, b)
    case 2:
      if a.bitWidth == b.bitWidth { return a.bitWidth == 8 ? .float16 : .float32 }  // float16 with bfloat16
      return a.bitWidth > b.bitWidth ? a : b
    default: return .complex128
    }
  }

  /// The result type when a Swift number of category `scalar` meets a tensor of this type: the tensor's own
  /// type unless the scalar is of a higher category (a Double with an integer tensor gives float32).
  func promotedWithWeak(_ scalar: DType) -> DType {
    scalar.category > category ? (scalar == .float64 ? .float32 : scalar) : self
  }

  /// The whole numbers that elements can be, as far as `Int64` has them; nil for other dtypes.
  var integerRange: ClosedRange<Int64>? {
    guard isInteger else { return nil }
    let bits = min(isSigned ? bitWidth - 1 : bitWidth, 63)
    let end = Int64.max >> Int64(63 - bits)
    return (isSigned ? -end - 1 : 0)...end
  }

  /// The least magnitude that is rounded to none of its finite numbers; infinite where `Double`'s all fit, and for what
  /// is not real.
  var overflow: Double {
    switch self {
    case .float32, .complex64: 0x1.FFFFFFp127
    case .float16: 65520
    case .bfloat16: 0x1.FFp127
    case .float8e4m3fn: 464.0.nextUp
    case .float8e5m2: 61440
    default: .infinity
    }
  }

  /// The largest finite number of a real dtype.
  var largest: Double {
    switch self {
    case .float32, .complex64: Double(Float.greatestFiniteMagnitude)
    case .float16: 65504
    case .bfloat16: 0x1.FEp127
    case .float8e4m3fn: 448
    case .float8e5m2: 57344
    default: .greatestFiniteMagnitude
    }
  }

  /// The whole numbers up to which every one is an element, as far as `Int64` has them.
  var wholeNumbers: ClosedRange<Int64> {
    func bits(_ count: Int64) -> ClosedRange<Int64> { -(1 << count)...(1 << count) }
    switch self {
    case .bool: return 0...1
    case .float32, .complex64: return bits(24)
    case .float64, .complex128: return bits(53)
    case .float16: return bits(11)
    case .bfloat16: return bits(8)
    case .float8e4m3fn: return bits(4)
    case .float8e5m2: return bits(3)
    default: return integerRange ?? 0...0
    }
  }

  private var category: Int { self == .bool ? 0 : isInteger ? 1 : isFloatingPoint ? 2 : 3 }

  private static func promoteIntegers(_ a: DType, _ b: DType) -> DType {
    if a.isSigned == b.isSigned { return a.bitWidth > b.bitWidth ? a : b }
    let (signed, unsigned) = a.isSigned ? (a, b) : (b, a)
    if signed.bitWidth > unsigned.bitWidth { return signed }
    switch unsigned.bitWidth {
    case 4: return .int8
    case 8: return .int16
    case 16: return .int32
    default: return .int64
    }
  }

  private var isSigned: Bool {
    switch self {
    case .uint8, .uint16, .uint32, .uint64, .uint4, .bool: false
    default: true
    }
  }
}

extension DType: CustomStringConvertible {
  public var description: String {
    switch self {
    case .bool: "bool"
    case .uint8: "uint8"
    case .int8: "int8"
    case .int16: "int16"
    case .uint16: "uint16"
    case .int32: "int32"
    case .uint32: "uint32"
    case .int64: "int64"
    case .uint64: "uint64"
    case .float16: "float16"
    case .bfloat16: "bfloat16"
    case .float32: "float32"
    case .float64: "float64"
    case .complex64: "complex64"
    case .complex128: "complex128"
    case .int4: "int4"
    case .uint4: "uint4"
    case .float8e4m3fn: "float8_e4m3fn"
    case .float8e5m2: "float8_e5m2"
    }
  }
}
