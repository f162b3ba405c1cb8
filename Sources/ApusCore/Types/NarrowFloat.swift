/// A binary floating-point format narrower than `Float`, by its field widths; encoded with round-half-to-even.
///
/// float16 and bfloat16 follow IEEE 754's rules for such formats; the 8-bit formats follow "FP8 Formats for Deep
/// Learning" (Micikevicius et al., 2022, table 1): E4M3 has no infinity and a single NaN pattern, E5M2 is IEEE-like.
/// Values beyond the largest finite one become infinity, or NaN in a format without infinity, as in PyTorch.
struct NarrowFloat: Sendable {
  let exponentBits: Int
  let significandBits: Int
  let hasInfinity: Bool

  static let float16 = NarrowFloat(exponentBits: 5, significandBits: 10, hasInfinity: true)
  static let bfloat16 = NarrowFloat(exponentBits: 8, significandBits: 7, hasInfinity: true)
  static let e4m3fn = NarrowFloat(exponentBits: 4, significandBits: 3, hasInfinity: false)
  static let e5m2 = NarrowFloat(exponentBits: 5, significandBits: 2, hasInfinity: true)

  private var bias: Int { (1 << (exponentBits - 1)) - 1 }
  private var exponentMask: Int { (1 << exponentBits) - 1 }
  private var significandMask: Int { (1 << significandBits) - 1 }
  private var infinity: Int { exponentMask << significandBits }
  /// IEEE: a quiet NaN. E4M3: all ones, the only one.
  private var notANumber: Int {
    hasInfinity ? infinity | 1 << (significandBits - 1) : infinity | significandMask
  }
  private var largestFinite: Int { hasInfinity ? infinity - 1 : notANumber - 1 }

  /// The pattern of the nearest value; of two equally near ones that with an even significand.
  func encode(_ value: Double) -> UInt16 {
    let sign = value.sign == .minus ? 1 << (exponentBits + significandBits) : 0
    return UInt16(truncatingIfNeeded: sign | encodeMagnitude(value.magnitude))
  }

  private func encodeMagnitude(_ value: Double) -> Int {
    if value.isNaN { return notANumber }
    if value == .infinity { return hasInfinity ? infinity : notANumber }
    if value == 0 { return 0 }
    // Spacing of the format's values around `value`; subnormals share that of the smallest normal ones.
    let exponent = Swift.max(Int(value.exponent), 1 - bias)
    let units = scaled(value, by: significandBits - exponent).rounded(.toNearestOrEven)
    // A normal value's leading bit adds 1 to the exponent field by itself, and so does a carry out of rounding.
    guard exponent - 1 + bias <= exponentMask else { return overflow }
    let pattern = (exponent - 1 + bias) << significandBits + Int(units)
    return pattern > largestFinite ? overflow : pattern
  }

  private var overflow: Int { hasInfinity ? infinity : notANumber }

  func decode(_ pattern: UInt16) -> Double {
    let pattern = Int(pattern)
    let sign: Double = pattern & (1 << (exponentBits + significandBits)) == 0 ? 1 : -1
    let exponent = pattern >> significandBits & exponentMask
    let significand = pattern & significandMask
    if hasInfinity, exponent == exponentMask { return significand == 0 ? sign * .infinity : .nan }
    if !hasInfinity, exponent == exponentMask, significand == significandMask { return .nan }
    if exponent == 0 { return sign * scaled(Double(significand), by: 1 - bias - significandBits) }
    return sign * scaled(Double(significand + significandMask + 1), by: exponent - bias - significandBits)
  }

  /// value · 2^power. One factor does: every power needed here is within a Double's own range of exponents.
  private func scaled(_ value: Double, by power: Int) -> Double {
    if value < 0x1p-900 { return 0 }  // below half the smallest subnormal of each of the formats
    return Double(sign: .plus, exponent: power, significand: value)
  }
}

extension Double {
  /// The integer, inexact ones truncated and marked in the last bit ("round to odd"), so that a second rounding to a
  /// narrower format gives what rounding once would have given.
  init(roundedToOdd integer: Int64) {
    let nearest = Double(integer)
    // 2^63 itself does not fit back; it comes of rounding up, so it is not exact.
    if let back = Int64(exactly: nearest), back == integer {
      self = nearest
      return
    }
    let magnitude = integer.magnitude
    let shift = 64 - 53 - magnitude.leadingZeroBitCount
    let kept = (magnitude >> UInt64(shift)) | 1
    self = Double(sign: integer < 0 ? .minus : .plus, exponent: shift, significand: Double(kept))
  }

  init(roundedToOdd integer: UInt64) {
    if integer <= UInt64(Int64.max) {
      self = Double(roundedToOdd: Int64(integer))
    } else {
      let kept = integer >> 11
      self = Double(integer & 0x7FF == 0 ? kept : kept | 1) * 0x1p11
    }
  }
}
