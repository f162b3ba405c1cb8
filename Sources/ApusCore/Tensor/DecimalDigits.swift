#if canImport(Glibc)
  import Glibc
#endif

/// A finite number's magnitude in decimal: d.ddd… · 10^exponent, without zeros at the end; no digits are 0.
struct DecimalDigits {
  private(set) var digits: [UInt8] = []
  private(set) var exponent = 0

  /// The fewest digits that name a value of a floating-point dtype among all values of that dtype, and the nearest to it
  /// of those.
  init(shortest value: Double, _ dtype: DType) {
    let magnitude = value.magnitude
    switch dtype {
    case .float64: self.init(text: "\(magnitude)")
    case .float32: self.init(text: "\(Float(magnitude))")
    default: self.init(magnitude, nearestIn: dtype.rounding)
    }
  }

  /// The value with so many digits after the point, half to even.
  init(_ value: Double, decimals: Int) { self.init(text: Self.c("%.*f", decimals, value.magnitude)) }

  /// d.ddd… · 10^exponent with so many digits after the point, half to even.
  init(_ value: Double, mantissaDecimals: Int) { self.init(text: Self.c("%.*e", mantissaDecimals, value.magnitude)) }

  /// Tries one digit, two, and so on: narrow formats need five at most.
  private init(_ magnitude: Double, nearestIn rounding: (Double) -> Double) {
    for count in 0..<17 {
      let nearest = DecimalDigits(magnitude, mantissaDecimals: count)
      // Values below a power of two lie closer: there only the next decimal above may name the value.
      let candidates = [nearest] + nearest.neighbours(digitCount: count + 1)
      let fits = candidates.filter { rounding($0.value) == magnitude }
      if let best = fits.min(by: { abs($0.value - magnitude) < abs($1.value - magnitude) }) {
        self = best
        return
      }
    }
    self.init(text: "\(magnitude)")
  }

  /// Those that differ by one in the last of so many digits.
  private func neighbours(digitCount: Int) -> [DecimalDigits] {
    let padded = digits + [UInt8](repeating: 0, count: Swift.max(digitCount - digits.count, 0))
    let number = padded.reduce(0) { $0 * 10 + Int($1) }
    return [number - 1, number + 1].filter { $0 > 0 }.map {
      DecimalDigits(text: "\($0)e\(exponent - digitCount + 1)")
    }
  }

  private var value: Double {
    Double("\(digits.isEmpty ? "0" : digits.map(String.init).joined())e\(exponent - digits.count + 1)") ?? .nan
  }

  /// Reads what Swift or C wrote: `12.50`, `1e-05`, `1.5e+20`.
  private init(text: String) {
    let halves = text.split(separator: "e")
    var point = halves.count > 1 ? Int(halves[1]) ?? 0 : 0
    var seenPoint = false
    for character in (halves.first ?? "").utf8 {
      if character == UInt8(ascii: ".") {
        seenPoint = true
        continue
      }
      if !seenPoint { point += 1 }
      let digit = character - UInt8(ascii: "0")
      if digits.isEmpty && digit == 0 {
        point -= 1
      } else {
        digits.append(digit)
      }
    }
    while digits.last == 0 { digits.removeLast() }
    exponent = digits.isEmpty ? 0 : point - 1
  }

  // MARK: Text

  /// Digits before and after the decimal point.
  var positional: (whole: String, fraction: String) {
    if digits.isEmpty { return ("0", "") }
    if exponent < 0 { return ("0", String(repeating: "0", count: -exponent - 1) + Self.text(digits[...])) }
    let split = Swift.min(exponent + 1, digits.count)
    let zeros = String(repeating: "0", count: exponent + 1 - split)
    return (Self.text(digits[..<split]) + zeros, Self.text(digits[split...]))
  }

  /// The first digit, those after it, and the exponent with its sign.
  var scientific: (whole: String, fraction: String, exponent: String) {
    (
      Self.text(digits.prefix(1).isEmpty ? [0] : digits.prefix(1)), Self.text(digits.dropFirst()),
      (exponent < 0 ? "-" : "+") + (abs(exponent) < 10 ? "0" : "") + "\(abs(exponent))"
    )
  }

  private static func text(_ digits: ArraySlice<UInt8>) -> String { digits.map(String.init).joined() }

  /// C's `printf` of a precision and a number: exact, half to even.
  private static func c(_ format: String, _ precision: Int, _ value: Double) -> String {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 512) { buffer in
      guard let start = buffer.baseAddress else { return "" }
      let count = Int(withVaList([Int32(clamping: precision), value]) { vsnprintf(start, 512, format, $0) })
      return String(
        decoding: UnsafeRawBufferPointer(start: start, count: Swift.min(Swift.max(count, 0), 511)), as: UTF8.self)
    }
  }
}

extension DType {
  /// A floating-point dtype's nearest value to a number.
  var rounding: (Double) -> Double {
    func narrow(_ format: NarrowFloat) -> (Double) -> Double { { format.decode(format.encode($0)) } }
    switch self {
    case .float16: return narrow(.float16)
    case .bfloat16: return narrow(.bfloat16)
    case .float8e4m3fn: return narrow(.e4m3fn)
    case .float8e5m2: return narrow(.e5m2)
    case .float32: return { Double(Float($0)) }
    default: return { $0 }
    }
  }

  /// How many decimal digits any number keeps (NumPy's `finfo(dtype).precision`).
  var decimalPrecision: Int {
    switch self {
    case .float64: 15
    case .float32: 6
    case .float16: 3
    // ⌊−log₁₀ ε⌋ is 2 for bfloat16; the eight-bit formats, of which it would leave nothing, are shown like it.
    default: 2
    }
  }
}
