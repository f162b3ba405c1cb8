/// A Swift number that can be an element of a tensor, or stand beside one in a formula (`x * 2`).
///
/// In formulas a scalar is weak: `x * 2` keeps `x`'s dtype; only a higher category widens it (`Int` tensor × `0.5`
/// gives float32). On its own, without `dtype:`, `Double` makes float32, `Int` makes int64, `Bool` makes bool.
public protocol TensorScalar: Sendable, BitwiseCopyable {
  /// The dtype with the same memory layout.
  static var dtype: DType { get }
  /// The dtype of a tensor made from such values when none is asked for.
  static var defaultDType: DType { get }
  /// The value without its Swift type. A `UInt64` from 2⁶³ on comes out as a real, rounded.
  var scalar: Scalar { get }
  /// The value converted: to integers truncated toward zero, saturated, NaN as 0; to bool whether it is not 0.
  init(_ scalar: Scalar)
}

extension TensorScalar {
  /// NaN, 0 or false: what a host read of a failed tensor gives.
  static var nothing: Self { Self(dtype.isFloatingPoint ? .double(.nan) : .int(0)) }
}

/// One element's value outside a tensor: exact for every dtype with arithmetic.
public enum Scalar: Hashable, Codable, Sendable {
  /// Of a bool.
  case bool(Bool)
  /// Of an integer.
  case int(Int64)
  /// Of a real.
  case double(Double)

  /// The value as a real: true is 1; integers beyond 2⁵³ are rounded.
  public var doubleValue: Double {
    switch self {
    case .bool(let b): b ? 1 : 0
    case .int(let i): Double(i)
    case .double(let d): d
    }
  }

  /// The value as an integer: truncated toward zero, saturated, NaN as 0.
  public var intValue: Int64 {
    switch self {
    case .bool(let b): return b ? 1 : 0
    case .int(let i): return i
    case .double(let d):
      if d.isNaN { return 0 }
      return d >= 0x1p63 ? .max : d < -0x1p63 ? .min : Int64(d)
    }
  }

  /// Whether the value is not 0; NaN is not.
  public var boolValue: Bool {
    switch self {
    case .bool(let b): b
    case .int(let i): i != 0
    case .double(let d): d != 0
    }
  }

  /// Whether the value can be an element of a dtype. What lies between two elements is rounded or cut off; what is beyond
  /// all of them does not fit, nor does infinity or NaN among integers.
  @inline(__always)
  func fits(_ dtype: DType) -> Bool {
    switch self {
    case .bool: true
    case .int(let value):
      if let range = dtype.integerRange { range.contains(value) } else { Double(value).magnitude < dtype.overflow }
    case .double(let value):
      if let range = dtype.integerRange {
        Int64(exactly: value.rounded(.towardZero)).map(range.contains) ?? false
      } else {
        value.magnitude < dtype.overflow || !value.isFinite
      }
    }
  }

  /// - Throws: ``ApusError`` (argument) that names the dtype's range, for a value beyond it.
  func checkFits(_ dtype: DType) throws {
    if fits(dtype) { return }
    let range = dtype.integerRange.map { "\($0.lowerBound) to \($0.upperBound)" } ?? "±\(dtype.largest)"
    throw ApusError(.argument, "\(self) is no \(dtype): \(range) fit; a wider dtype holds more")
  }

  /// The nearest number that a dtype holds; NaN is left as it is.
  func saturated(_ dtype: DType) -> Scalar {
    // Infinity is what it is in a dtype that has it.
    if fits(dtype) || doubleValue.isNaN { return self }
    guard let range = dtype.integerRange else { return .double(doubleValue < 0 ? -dtype.largest : dtype.largest) }
    return .int(Swift.min(Swift.max(intValue, range.lowerBound), range.upperBound))
  }

  /// Category of a weak operand: bool < int64 < float64.
  var weakDType: DType {
    switch self {
    case .bool: .bool
    case .int: .int64
    case .double: .float64
    }
  }
}

extension Scalar {
  /// By bits: a function of 0.0 is another one than of -0.0, and a NaN is itself.
  public static func == (a: Scalar, b: Scalar) -> Bool {
    switch (a, b) {
    case (.bool(let a), .bool(let b)): a == b
    case (.int(let a), .int(let b)): a == b
    case (.double(let a), .double(let b)): a.bitPattern == b.bitPattern
    default: false
    }
  }

  public func hash(into hasher: inout Hasher) {
    switch self {
    case .bool(let b): hasher.combine(b)
    case .int(let i): hasher.combine(i)
    case .double(let d): hasher.combine(d.bitPattern)
    }
  }
}

extension Scalar: CustomStringConvertible {
  public var description: String {
    switch self {
    case .bool(let b): "\(b)"
    case .int(let i): "\(i)"
    case .double(let d): "\(d)"
    }
  }
}

extension Bool: TensorScalar {
  /// The dtype with the same memory layout.
  public static var dtype: DType { .bool }
  /// The dtype of a tensor made from such values.
  public static var defaultDType: DType { .bool }
  /// The value without its Swift type.
  public var scalar: Scalar { .bool(self) }
  /// The value converted to this type.
  public init(_ scalar: Scalar) { self = scalar.boolValue }
}

extension Double: TensorScalar {
  /// The dtype with the same memory layout.
  public static var dtype: DType { .float64 }
  /// The dtype of a tensor made from such values.
  public static var defaultDType: DType { .float32 }
  /// The value without its Swift type.
  public var scalar: Scalar { .double(self) }
  /// The value converted to this type.
  public init(_ scalar: Scalar) { self = scalar.doubleValue }
}

extension Float: TensorScalar {
  /// The dtype with the same memory layout.
  public static var dtype: DType { .float32 }
  /// The dtype of a tensor made from such values.
  public static var defaultDType: DType { .float32 }
  /// The value without its Swift type.
  public var scalar: Scalar { .double(Double(self)) }
  /// The value converted to this type.
  public init(_ scalar: Scalar) { self = Float(scalar.doubleValue) }
}

#if !(os(macOS) && arch(x86_64))
  extension Float16: TensorScalar {
    /// The dtype with the same memory layout.
    public static var dtype: DType { .float16 }
    /// The dtype of a tensor made from such values.
    public static var defaultDType: DType { .float16 }
    /// The value without its Swift type.
    public var scalar: Scalar { .double(Double(self)) }
    /// The value converted to this type.
    public init(_ scalar: Scalar) { self = Float16(scalar.doubleValue) }
  }
#endif

extension TensorScalar where Self: FixedWidthInteger {
  /// The dtype of a tensor made from such values.
  public static var defaultDType: DType { dtype }
  /// The value without its Swift type.
  public var scalar: Scalar { .int(Int64(truncatingIfNeeded: self)) }
  /// The value converted to this type.
  public init(_ scalar: Scalar) { self = Self(clamping: scalar.intValue) }
}
extension Int: TensorScalar { public static var dtype: DType { .int64 } }
extension Int64: TensorScalar { public static var dtype: DType { .int64 } }
extension Int32: TensorScalar { public static var dtype: DType { .int32 } }
extension Int16: TensorScalar { public static var dtype: DType { .int16 } }
extension Int8: TensorScalar { public static var dtype: DType { .int8 } }
extension UInt8: TensorScalar { public static var dtype: DType { .uint8 } }
extension UInt16: TensorScalar { public static var dtype: DType { .uint16 } }
extension UInt32: TensorScalar { public static var dtype: DType { .uint32 } }
extension UInt64: TensorScalar {
  public static var dtype: DType { .uint64 }
  /// The value without its Swift type: from 2⁶³ on a real.
  public var scalar: Scalar { self <= Int64.max ? .int(Int64(self)) : .double(Double(self)) }
}
