import ApusCore
import Synchronization

#if canImport(Glibc)
  import Glibc
#endif

/// Where progress goes.
public enum ProgressOutput: Hashable, Sendable {
  case standardOutput, standardError

  var descriptor: Int32 { self == .standardOutput ? 1 : 2 }
}

extension Callback {
  /// Shows progress on standard output: a live bar with rate, remaining time, loss and metrics on a terminal. Elsewhere
  /// (a pipe, a log file) a line an epoch, and in long epochs the same as the bar says every ten seconds.
  public static let progress = progress(to: .standardOutput)

  /// As ``progress``, where one says: `.progress(to: .standardError)` leaves standard output to the program's results.
  public static func progress(to output: ProgressOutput) -> Callback {
    Callback { ProgressBar(output.descriptor) }
  }
}

final class ProgressBar: TrainingObserver {
  private let descriptor: Int32
  private let isTerminal: Bool
  private let interval: Duration
  private let state = Mutex(State())

  private struct State {
    var epoch = -1
    var epochStart = ContinuousClock.now
    /// Steps and examples that an earlier process made in this epoch.
    var stepsBefore = 0
    var examplesBefore = 0
    var lastDrawn = ContinuousClock.now
  }

  /// - Parameter interval: between drawings. They read the metrics, for which the step must have ended: ten times a
  ///   second is enough for a terminal.
  init(_ descriptor: Int32, interval: Duration? = nil) {
    self.descriptor = descriptor
    isTerminal = isatty(descriptor) == 1
    self.interval = interval ?? .milliseconds(isTerminal ? 100 : 10_000)
  }

  func stepWillBegin(_ moment: TrainingMoment) {
    state.withLock { state in
      guard state.epoch != moment.epoch else { return }
      state = State(epoch: moment.epoch, stepsBefore: moment.step, examplesBefore: moment.examples)
    }
  }

  func stepDidEnd(_ moment: TrainingMoment) {
    let now = ContinuousClock.now
    let shown = state.withLock { state -> State? in
      if state.lastDrawn.duration(to: now) < interval { return nil }
      state.lastDrawn = now
      return state
    }
    guard let shown else { return }
    let seconds = shown.epochStart.duration(to: now).seconds
    let steps = moment.step - shown.stepsBefore
    let remaining = steps > 0 ? seconds / Double(steps) * Double(moment.stepsPerEpoch - moment.step) : 0
    let rate = seconds > 0 ? Double(moment.examples - shown.examplesBefore) / seconds : 0
    let line =
      "\(title(moment)) \(ProgressText.bar(moment.step, of: moment.stepsPerEpoch)) \(moment.step)/\(moment.stepsPerEpoch) · "
      + "\(ProgressText.rate(rate)) · ETA \(ProgressText.duration(remaining))\(ProgressText.values(moment.values))"
    put(isTerminal ? "\r" + String(line.prefix(width - 1)) + "\u{1B}[K" : line + "\n")
  }

  func epochDidEnd(_ moment: TrainingMoment) {
    guard let record = moment.history.epochs.last else { return }
    let rate = record.seconds > 0 ? Double(record.examples) / record.seconds : 0
    let names = moment.history.names.filter { record.values[$0] != nil }
    let values = names.map { (name: $0, value: record.values[$0] ?? .nan) }
    let line =
      "\(title(moment)) · \(record.steps) steps in \(ProgressText.duration(record.seconds)) · \(ProgressText.rate(rate))"
      + ProgressText.values(values)
    put((isTerminal ? "\r" : "") + line + (isTerminal ? "\u{1B}[K" : "") + "\n")
  }

  func trainingDidEnd(_ moment: TrainingMoment) {
    // A run stopped within an epoch leaves its bar standing.
    if isTerminal && moment.step > 0 { put("\n") }
  }

  private func title(_ moment: TrainingMoment) -> String { "Epoch \(moment.epoch + 1)/\(moment.endEpoch)" }

  private var width: Int {
    var size = winsize()
    guard ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 20 else { return 100 }
    return Int(size.ws_col)
  }

  private func put(_ text: String) {
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
      let count = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
      if count < 0 && errno == EINTR { continue }
      if count <= 0 { return }
      bytes = bytes.dropFirst(count)
    }
  }
}

/// The parts of a progress line.
enum ProgressText {
  /// `━━━━━━╸───────`, twenty characters.
  static func bar(_ done: Int, of total: Int) -> String {
    let width = 20
    let halves = total > 0 ? min(done, total) * width * 2 / total : 0
    let full = String(repeating: "━", count: halves / 2)
    let half = halves % 2 == 1 ? "╸" : ""
    return full + half + String(repeating: "─", count: width - halves / 2 - halves % 2)
  }

  /// `0.4 s`, `42 s`, `3:05`, `1:02:03`.
  static func duration(_ seconds: Double) -> String {
    guard seconds.isFinite && seconds >= 0 && seconds < 1e9 else { return "–" }
    if seconds < 9.95 { return "\(decimal(seconds, 1)) s" }
    let whole = Int(seconds.rounded())
    if whole < 60 { return "\(whole) s" }
    let (hours, minutes, rest) = (whole / 3600, whole / 60 % 60, whole % 60)
    let tail = (rest < 10 ? "0" : "") + "\(rest)"
    return hours > 0 ? "\(hours):\(minutes < 10 ? "0" : "")\(minutes):\(tail)" : "\(minutes):\(tail)"
  }

  /// Examples a second.
  static func rate(_ rate: Double) -> String { rate < 10 ? "\(decimal(rate, 1))/s" : "\(Int(min(rate, 1e15)))/s" }

  static func values(_ values: [(name: String, value: Double)]) -> String {
    values.map { " · \($0.name) \(number($0.value))" }.joined()
  }

  /// Four decimals, or an exponent where those would show nothing.
  static func number(_ value: Double) -> String {
    guard value.isFinite else { return "\(value)" }
    if value != 0 && abs(value) < 5e-4 || abs(value) >= 1e9 {
      let exponent = Int(log10(abs(value)).rounded(.down))
      // In two steps: 10^-324 would be 0.
      return
        "\(decimal(value / pow(10, Double(exponent / 2)) / pow(10, Double(exponent - exponent / 2)), 2))e\(exponent)"
    }
    return decimal(value, 4)
  }

  static func decimal(_ value: Double, _ places: Int) -> String {
    let scale = pow(10, Double(places))
    let scaled = Int((abs(value) * scale).rounded())
    let fraction = String(scaled % Int(scale))
    let sign = value < 0 && scaled != 0 ? "-" : ""
    return "\(sign)\(scaled / Int(scale))." + String(repeating: "0", count: places - fraction.count) + fraction
  }
}
