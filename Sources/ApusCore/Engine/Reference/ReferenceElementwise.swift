#if canImport(Glibc)
  import Glibc
#endif

/// Element-wise arithmetic of the reference engine: floats in `Double`, integers in wrapping `Int64`; both are brought
/// to the dtype when the result is stored.
enum ReferenceElementwise {
  // MARK: One operand

  /// A function of reals only.
  static func map(_ x: ReferenceArray, _ function: (Double) -> Double) throws -> ReferenceArray {
    ReferenceArray(x.type, try x.reals().map(function))
  }

  /// A function of reals with its counterpart on integers.
  static func map(
    _ x: ReferenceArray, _ real: (Double) -> Double, integer: (Int64) -> Int64
  ) throws -> ReferenceArray {
    if case .integer(let values) = x.elements { return ReferenceArray(x.type, integers: values.map(integer)) }
    return try map(x, real)
  }

  static func sign(_ x: Double) -> Double { x > 0 ? 1 : x < 0 ? -1 : x.isNaN ? x : 0 }

  static func sigmoid(_ x: Double) -> Double {
    // Of the two equal forms the one whose exponential can't overflow.
    x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x))
  }

  /// x times a gate that closes faster than x falls.
  static func gated(_ x: Double, _ gate: Double) -> Double { x == -.infinity ? -0.0 : x * gate }

  /// 2√(2/π)·(x + 0.044715 x³), whose sigmoid stands for Φ(x).
  static func tanhGELUGate(_ x: Double) -> Double { 1.5957691216057308 * (x + 0.044715 * x * x * x) }

  /// Φ(x) = ½ erfc(t), t = −x/√2, less what the rounding of t makes of it.
  static func normalCDF(_ x: Double) -> Double {
    let root = 0.5.squareRoot()
    let t = -x * root
    guard t > 0, t < 40 else { return 0.5 * erfc(t) }
    let lost = (-t).addingProduct(-x, root) + x * 4.8336466567264567e-17
    return 0.5 * erfc(t) * (1 - lost * (t + (t * t + 4 / Double.pi).squareRoot()))
  }

  /// e^(−x²/2)/√(2π), less what the rounding of x² makes of it.
  static func normalPDF(_ x: Double) -> Double {
    let square = x * x
    guard square < 1600 else { return x.isNaN ? x : 0 }
    let lost = (-square).addingProduct(x, x)
    return exp(-0.5 * square) * (1 - 0.5 * lost) / (2 * Double.pi).squareRoot()
  }

  // MARK: Two operands

  static func zip(
    _ a: ReferenceArray, _ b: ReferenceArray, _ real: (Double, Double) -> Double, integer: (Int64, Int64) -> Int64
  ) throws -> ReferenceArray {
    switch (a.elements, b.elements) {
    case (.integer(let x), .integer(let y)): ReferenceArray(a.type, integers: Swift.zip(x, y).map(integer))
    case (.real(let x), .real(let y)): ReferenceArray(a.type, Swift.zip(x, y).map(real))
    default: throw ApusError(.dtype, "not defined on \(a.type.dtype) with \(b.type.dtype)")
    }
  }

  /// Truncated toward zero; 0 where the divisor is.
  static func quotient(_ a: Int64, _ b: Int64) -> Int64 { b == 0 ? 0 : a.dividedReportingOverflow(by: b).partialValue }

  /// With the divisor's sign; 0 where the divisor is.
  static func remainder(_ a: Int64, _ b: Int64) -> Int64 {
    if b == 0 || b == -1 { return 0 }
    let rest = a % b
    return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest
  }

  static func remainder(_ a: Double, _ b: Double) -> Double {
    let rest = fmod(a, b)
    if rest == 0 { return copysign(rest, b) }
    return (rest < 0) != (b < 0) ? rest + b : rest
  }

  /// Wraps; a negative exponent gives what truncating the fraction would: 0 unless the base is 1 or −1.
  static func power(_ base: Int64, _ exponent: Int64) -> Int64 {
    if exponent < 0 { return base == 1 ? 1 : base == -1 ? (exponent & 1 == 0 ? 1 : -1) : 0 }
    var result: Int64 = 1
    var square = base
    var left = exponent
    while left > 0 {
      if left & 1 == 1 { result &*= square }
      square &*= square
      left >>= 1
    }
    return result
  }

  /// NaN wins, and −0 is below 0.
  static func maximum(_ a: Double, _ b: Double) -> Double {
    if a.isNaN || b.isNaN { return a.isNaN ? a : b }
    return a == b ? (a.sign == .plus ? a : b) : Swift.max(a, b)
  }
  static func minimum(_ a: Double, _ b: Double) -> Double {
    if a.isNaN || b.isNaN { return a.isNaN ? a : b }
    return a == b ? (a.sign == .minus ? a : b) : Swift.min(a, b)
  }

  static func logical(
    _ a: ReferenceArray, _ b: ReferenceArray, _ output: TensorType, _ function: (Bool, Bool) -> Bool
  ) -> ReferenceArray {
    ReferenceArray(output, integers: Swift.zip(a.truths, b.truths).map { function($0, $1) ? 1 : 0 })
  }

  static func compare(
    _ comparison: Primitive.Compare.Comparison, _ a: ReferenceArray, _ b: ReferenceArray, _ output: TensorType
  ) throws -> ReferenceArray {
    let bools: [Bool]
    switch (a.elements, b.elements) {
    case (.real(let x), .real(let y)): bools = Swift.zip(x, y).map { holds(comparison, $0, $1) }
    case (.integer(let x), .integer(let y)):
      bools =
        a.type.dtype == .uint64
        ? Swift.zip(x, y).map { holds(comparison, UInt64(bitPattern: $0), UInt64(bitPattern: $1)) }
        : Swift.zip(x, y).map { holds(comparison, $0, $1) }
    default: throw ApusError(.dtype, "not defined on \(a.type.dtype) with \(b.type.dtype)")
    }
    return ReferenceArray(output, integers: bools.map { $0 ? 1 : 0 })
  }

  private static func holds<T: Comparable>(_ comparison: Primitive.Compare.Comparison, _ a: T, _ b: T) -> Bool {
    switch comparison {
    case .eq: a == b
    case .ne: a != b
    case .lt: a < b
    case .le: a <= b
    case .gt: a > b
    case .ge: a >= b
    }
  }

  // MARK: Three operands

  static func select(_ condition: ReferenceArray, _ a: ReferenceArray, _ b: ReferenceArray) -> ReferenceArray {
    let both = ReferenceStructure.concatenated([a, b])
    let picked = condition.truths.enumerated().map { i, holds in holds ? i : a.count + i }
    return both.picking(picked, as: a.type)
  }
}
