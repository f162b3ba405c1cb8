/// Floating-point numbers as NumPy 2 writes them with its default options, in the fewest digits that name a value in its
/// own dtype; bfloat16 and the eight-bit formats by the same rules.
struct FloatText {
  private static let precision = 8

  private let dtype: DType

  init(_ dtype: DType) { self.dtype = dtype }

  /// A single number, as `numpy.float32.__str__`: all its digits, positional from 1e-4 up to what the dtype's digits tell
  /// apart.
  func scalar(_ value: Double) -> String {
    if let special = special(value) { return special }
    let digits = DecimalDigits(shortest: value, dtype)
    let sign = value.sign == .minus ? "-" : ""
    let most = dtype == .float64 ? 1e16 : power(dtype.decimalPrecision)
    if value != 0, value.magnitude < 1e-4 || value.magnitude >= most {
      let (whole, fraction, exponent) = digits.scientific
      return sign + whole + (fraction.isEmpty ? "" : "." + fraction) + "e" + exponent
    }
    let (whole, fraction) = digits.positional
    return "\(sign)\(whole).\(fraction.isEmpty ? "0" : fraction)"
  }

  /// An array's elements in words of equal width, as NumPy's `FloatingFormat`: at most eight digits after the point.
  func column(_ values: [Double]) -> [String] {
    let words = needsExponent(values) ? exponential(values) : positional(values)
    let width = words.map(\.count).max() ?? 0
    return words.map { String(repeating: " ", count: width - $0.count) + $0 }
  }

  private func needsExponent(_ values: [Double]) -> Bool {
    let magnitudes = values.filter { $0.isFinite && $0 != 0 }.map(\.magnitude)
    guard let low = magnitudes.min(), let high = magnitudes.max() else { return false }
    // Unlike a single number's, these are compared and divided in the dtype.
    return high >= power(Swift.min(Self.precision, dtype.decimalPrecision)) || low < dtype.rounding(1e-4)
      || dtype.rounding(high / low) > 1000
  }

  /// 10^exponent, exact.
  private func power(_ exponent: Int) -> Double { (0..<exponent).reduce(1) { power, _ in power * 10 } }

  private func positional(_ values: [Double]) -> [String] {
    let parts = values.map { value in
      special(value) == nil ? cut(value, \.positional.fraction) { DecimalDigits($0, decimals: $1) }.positional : nil
    }
    let room = parts.map { $0?.fraction.count ?? 0 }.max() ?? 0
    return zip(values, parts).map { value, part in
      guard let part else { return special(value) ?? "" }
      // Trailing zeros of the column stay blank.
      let blanks = String(repeating: " ", count: room - part.fraction.count)
      return "\(value.sign == .minus ? "-" : "")\(part.whole).\(part.fraction)\(blanks)"
    }
  }

  private func exponential(_ values: [Double]) -> [String] {
    let digits = values.map { value in
      special(value) == nil ? cut(value, \.scientific.fraction) { DecimalDigits($0, mantissaDecimals: $1) } : nil
    }
    let room = digits.map { $0?.scientific.fraction.count ?? 0 }.max() ?? 0
    let parts = zip(values, digits).map { value, digits in
      // Where the column has room for more digits than the value needs, they are its own.
      let isShort = (digits?.scientific.fraction.count ?? 0) < room
      return isShort && digits != nil ? DecimalDigits(value, mantissaDecimals: room).scientific : digits?.scientific
    }
    let exponentRoom = parts.map { $0?.exponent.count ?? 0 }.max() ?? 0
    return zip(values, parts).map { value, part in
      guard let part else { return special(value) ?? "" }
      let zeros = String(repeating: "0", count: room - part.fraction.count)
      let exponentZeros = String(repeating: "0", count: exponentRoom - part.exponent.count)
      return "\(value.sign == .minus ? "-" : "")\(part.whole).\(part.fraction)\(zeros)e"
        + "\(part.exponent.prefix(1))\(exponentZeros)\(part.exponent.dropFirst())"
    }
  }

  /// The shortest digits, or where those are more than `precision` after the point, the number rounded to so many.
  private func cut(
    _ value: Double, _ fraction: (DecimalDigits) -> String, _ round: (Double, Int) -> DecimalDigits
  ) -> DecimalDigits {
    let shortest = DecimalDigits(shortest: value, dtype)
    return fraction(shortest).count <= Self.precision ? shortest : round(value, Self.precision)
  }

  private func special(_ value: Double) -> String? {
    value.isNaN ? "nan" : value == .infinity ? "inf" : value == -.infinity ? "-inf" : nil
  }
}
