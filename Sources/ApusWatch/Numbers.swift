import Glibc

func power(_ base: Double, _ exponent: Double) -> Double { pow(base, exponent) }

/// `value` with a fixed number of decimals, independent of any locale: `fixed(98.6, 2)` is "98.60".
func fixed(_ value: Double, _ decimals: Int) -> String {
  guard value.isFinite, abs(value) < 1e15 else { return "\(value)" }
  let scale = power(10, Double(decimals))
  let scaled = (abs(value) * scale).rounded()
  guard scaled < 9e15 else { return "\(value)" }
  let units = Int64(scaled)
  let divisor = Int64(scale)
  let sign = value < 0 && units > 0 ? "−" : ""
  guard decimals > 0 else { return sign + "\(units)" }
  let fraction = String(units % divisor)
  return sign + "\(units / divisor)." + String(repeating: "0", count: decimals - fraction.count) + fraction
}

/// `part` of `whole` in percent with one decimal, "–" of nothing.
func percent(_ part: Int, of whole: Int) -> String {
  whole == 0 ? "–" : fixed(100 * Double(part) / Double(whole), 1) + " %"
}
