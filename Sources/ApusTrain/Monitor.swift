import ApusCore

/// Follows a value of the history.
struct Monitor: Sendable {
  let name: String
  /// Which values are better; nil: the metric says it.
  let mode: MonitorMode?
  let minimumChange: Double

  init(_ name: String, _ mode: MonitorMode?, minimumChange: Double = 0) {
    self.name = name
    self.mode = mode
    self.minimumChange = abs(minimumChange)
  }

  /// - Throws: `ApusError` (argument) when the trainer measures no such value, or nobody says which way is better.
  func check(_ trainer: Trainer) throws { _ = try direction(trainer) }

  private func direction(_ trainer: Trainer) throws -> MonitorMode {
    let own = name.hasPrefix("val_") ? String(name.dropFirst(4)) : name
    if own == "loss" { return mode ?? .min }
    guard let metric = trainer.metrics.first(where: { $0.name == own }) else {
      let known = trainer.sums.names
      throw missing(known + known.map { "val_" + $0 })
    }
    guard let direction = mode ?? metric.mode else {
      throw ApusError(
        .argument,
        "which values of \"\(name)\" are better is not said: give the metric a mode, Metric(\"\(own)\", mode: .max), or one to "
          + "what watches it, mode: .min")
    }
    return direction
  }

  private func missing(_ names: [String]) -> ApusError {
    ApusError(.argument, "there is no value \"\(name)\" to watch; there are \(names.joined(separator: ", "))")
  }

  /// The place of the best value among the history's epochs from number `start` on, counted from 0. Earlier runs' epochs
  /// need not have it.
  /// - Throws: `ApusError` (argument) when the last epoch has no such value.
  func best(_ history: History, _ trainer: Trainer, from start: Int = 0) throws -> Int? {
    let direction = try direction(trainer)
    guard let last = history.epochs.last else { return nil }
    guard last.values[name] != nil else {
      var latest = history
      latest.epochs = [last]
      throw missing(latest.names)
    }
    var best: (place: Int, value: Double)?
    let epochs = history.epochs.dropFirst(start)
    for (place, epoch) in zip(epochs.indices, epochs) {
      guard let value = epoch.values[name] else { continue }
      // NaN is worse than any number, and no better than another NaN.
      if let known = best, value.isNaN || (!known.value.isNaN && !isBetter(value, than: known.value, direction)) {
        continue
      }
      best = (place, value)
    }
    return best?.place
  }

  private func isBetter(_ a: Double, than b: Double, _ direction: MonitorMode) -> Bool {
    direction == .max ? a > b + minimumChange : a < b - minimumChange
  }
}
