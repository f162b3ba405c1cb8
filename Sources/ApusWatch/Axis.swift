import Glibc

/// One axis of a chart: the range it shows and its ticks.
///
/// Linear steps are 1, 2, 2.5 or 5 times a power of ten, the range is widened to whole steps (after P. Heckbert, "Nice
/// numbers for graph labels", Graphics Gems, 1990). A logarithmic axis ticks at 1, 2 and 5 times the powers of ten.
struct Axis: Sendable {
  var lower: Double
  var upper: Double
  var ticks: [Double]
  var isLogarithmic: Bool

  /// What axes are computed with: within it no sum, quotient or power of ten overflows or vanishes. Values beyond it lie at
  /// the axis's ends.
  private static let magnitudes = 1e-300...1e300
  /// Of epochs: whole numbers that a double holds, with room to count on.
  private static let integers = -(1 << 52)...(1 << 52)

  /// A number of an epoch as near as axes count.
  static func countable(_ epoch: Int) -> Int { min(max(epoch, integers.lowerBound), integers.upperBound) }

  /// Covers `values` (only finite ones count). `including` values belong to the range too; `limit` caps the widening.
  init(covering values: [Double], including: [Double] = [], limit: Double? = nil, tickCount: Int = 5) {
    let largest = Axis.magnitudes.upperBound
    let shown = (values + including).filter(\.isFinite).map { min(max($0, -largest), largest) }
    var low = shown.min() ?? 0
    var high = shown.max() ?? 1
    if high - low <= 1e-9 * max(abs(high), abs(low)) || high - low < Axis.magnitudes.lowerBound {
      // One value only: a range around it, so that it is not drawn on the frame.
      let magnitude = max(abs(high), abs(low))
      let margin = magnitude < Axis.magnitudes.lowerBound ? 1 : magnitude * 0.1
      low -= margin
      high += margin
    }
    let step = Axis.step(span: high - low, tickCount: tickCount)
    var first = (low / step + 1e-9).rounded(.down)
    let last = (high / step - 1e-9).rounded(.up)
    if let limit, limit >= high { high = min(last * step, limit) } else { high = last * step }
    var ticks: [Double] = []
    lower = first * step
    // A handful of ticks; counted, so that nothing that a number does can keep this going.
    for _ in 0..<4 * tickCount where first <= last {
      if first * step <= high * (1 + 1e-12) || high <= 0 { ticks.append(first * step) }
      first += 1
    }
    upper = high
    self.ticks = ticks
    isLogarithmic = false
  }

  /// A logarithmic axis over positive `values`.
  init(logarithmicCovering values: [Double]) {
    let (least, largest) = (Axis.magnitudes.lowerBound, Axis.magnitudes.upperBound)
    let shown = values.filter { $0.isFinite && $0 > 0 }.map { min(max($0, least), largest) }
    let low = shown.min() ?? 0.1
    let high = shown.max() ?? 1
    let candidates = Axis.decades(from: low, to: high)
    lower = candidates.last { $0 <= low * (1 + 1e-9) } ?? low
    upper = candidates.first { $0 >= high * (1 - 1e-9) } ?? high
    if lower == upper { upper = lower * 10 }
    let (lowest, highest) = (lower, upper)
    let inside = candidates.filter { $0 >= lowest && $0 <= highest }
    // Beyond two decades or so the labels at 2 and 5 crowd the axis.
    let powersOnly = inside.filter { abs(log10($0) - log10($0).rounded()) < 1e-9 }
    ticks = powersOnly.count >= 4 ? powersOnly : inside
    isLogarithmic = true
  }

  /// Whole numbers from `first` to `last`, as epochs are counted.
  init(integersFrom first: Int, to last: Int, tickCount: Int = 7) {
    let first = Axis.countable(first)
    let last = max(Axis.countable(last), first)
    let step = max(1, Int(Axis.step(span: Double(max(last - first, 1)), tickCount: tickCount).rounded(.up)))
    // A single epoch stands in the middle.
    lower = Double(first) - (last > first ? 0 : 0.5)
    upper = last > first ? Double(last) : Double(first) + 0.5
    var ticks: [Double] = []
    // Multiples of the step read best; the first epoch is always one.
    var tick = (first + step - 1) / step * step
    if tick - first > step / 2 || tick == first { ticks.append(Double(first)) }
    if tick == first { tick += step }
    while tick <= last {
      ticks.append(Double(tick))
      tick += step
    }
    self.ticks = ticks
    isLogarithmic = false
  }

  /// Where `value` lies: 0 at the lower, 1 at the upper end. Nil for what the axis cannot show.
  func position(of value: Double) -> Double? {
    guard value.isFinite, !isLogarithmic || value > 0 else { return nil }
    let largest = Axis.magnitudes.upperBound
    let value = isLogarithmic ? max(value, Axis.magnitudes.lowerBound) : min(max(value, -largest), largest)
    let share =
      isLogarithmic
      ? (log10(value) - log10(lower)) / (log10(upper) - log10(lower)) : (value - lower) / (upper - lower)
    return share.isFinite ? min(max(share, 0), 1) : nil
  }

  /// The label of a tick, with as many decimals as tell the ticks apart.
  func label(_ tick: Double) -> String {
    if tick == 0 { return "0" }
    let magnitude = log10(abs(tick))
    if magnitude >= 6 || magnitude < -5 {
      let exponent = magnitude.rounded(.down)
      return fixed(tick / power(10, exponent), 1) + "e\(Int(exponent))"
    }
    if isLogarithmic { return fixed(tick, max(0, Int(-magnitude.rounded(.down)))) }
    let step = ticks.count > 1 ? ticks[1] - ticks[0] : abs(tick)
    var decimals = 0
    while decimals < 8, abs(step * power(10, Double(decimals)) - (step * power(10, Double(decimals))).rounded()) > 1e-6
    {
      decimals += 1
    }
    return fixed(tick, decimals)
  }

  private static func step(span: Double, tickCount: Int) -> Double {
    let raw = span / Double(max(tickCount - 1, 1))
    let unit = power(10, log10(raw).rounded(.down))
    let nice = [1, 2, 2.5, 5, 10].first { $0 * unit >= raw * (1 - 1e-9) } ?? 10
    return nice * unit
  }

  private static func decades(from low: Double, to high: Double) -> [Double] {
    let first = Int(log10(low).rounded(.down))
    let last = Int(log10(high).rounded(.up))
    return (first...max(first, last)).flatMap { exponent in [1, 2, 5].map { $0 * power(10, Double(exponent)) } }
  }
}
