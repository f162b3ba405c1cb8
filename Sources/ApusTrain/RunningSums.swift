import ApusCore
import ApusNN
import Synchronization

/// Running sums of the loss and the metrics over an epoch, kept in variables: a compiled step adds to them without
/// the host waiting for a value.
final class RunningSums: Sendable {
  let names: [String]
  private let loss: Loss
  private let metrics: [Metric]
  /// Of the loss and each metric.
  private let sums: Mutex<[Sums]>

  private struct Sums {
    /// float64 scalars; none before the first batch, which tells how many there are.
    var variables: [Variable] = []
    /// What those begin with: sums of a checkpoint; none: zeros.
    var first: [Double] = []
  }

  init(_ loss: Loss, _ metrics: [Metric]) {
    self.loss = loss
    self.metrics = metrics.map { metric in
      guard metric.ignoreIndex == nil, let index = loss.ignoreIndex else { return metric }
      return metric.ignoring(index)
    }
    names = ["loss"] + metrics.map(\.name)
    sums = Mutex(names.map { _ in Sums() })
  }

  func reset() { restore(names.map { _ in [] }) }

  /// Adds a batch.
  /// - Parameter value: the loss, a mean.
  func add(loss value: Tensor, _ predictions: Tensor, _ targets: Tensor) {
    let predictions = predictions.detached()
    let count = loss.count(predictions, targets)
    let total = value.detached().cast(to: .float64) * count
    // A mean over nothing is no number.
    add([select(count .> 0, total, Tensor.zerosLike(total)), count], at: 0, "the loss")
    for (i, metric) in metrics.enumerated() {
      add(metric.sums(predictions, targets), at: i + 1, "the metric \(metric.name)")
    }
  }

  private func add(_ values: [Tensor], at place: Int, _ name: String) {
    let (variables, count) = sums.withLock { sums in
      let first = sums[place].first
      let count = sums[place].variables.isEmpty ? first.count : sums[place].variables.count
      if sums[place].variables.isEmpty, first.isEmpty || first.count == values.count {
        sums[place].variables = outsideTrace {
          values.indices.map { Variable(Tensor(first.isEmpty ? 0 : first[$0], dtype: .float64)) }
        }
      }
      return (sums[place].variables, count == 0 ? values.count : count)
    }
    require(count == values.count, "\(name) gives \(values.count) sums of a batch and gave \(count) before")
    for (variable, value) in zip(variables, values) { variable.value = variable.value + value }
  }

  var values: [[Double]] {
    sums.withLock { $0 }.map { $0.variables.isEmpty ? $0.first : $0.variables.map { $0.value.item() } }
  }

  /// Whether such values may be what this trainer's were.
  func fits(_ values: [[Double]]) -> Bool {
    let known = sums.withLock { $0.map(\.variables.count) }
    return values.count == known.count
      && zip(values, known).allSatisfy { $0.isEmpty || $1 == 0 || $0.count == $1 }
      && zip(values.dropFirst(), metrics).allSatisfy { $0.isEmpty || $1.sumCount ?? $0.count == $0.count }
      && (values[0].isEmpty || values[0].count == 2)
  }

  /// Sets them to what ``values`` was, or to zeros where that is empty.
  func restore(_ values: [[Double]]) {
    let all = sums.withLock { sums in
      for (place, values) in zip(sums.indices, values) { sums[place].first = values }
      return sums
    }
    for sum in all {
      for (place, variable) in sum.variables.enumerated() {
        variable.value = Tensor(place < sum.first.count ? sum.first[place] : 0, dtype: .float64)
      }
    }
  }

  /// The loss and the metrics over all that was added; NaN where nothing counted.
  var means: [(name: String, value: Double)] {
    let values = values
    let loss = values[0].count == 2 && values[0][1] > 0 ? values[0][0] / values[0][1] : .nan
    return [("loss", loss)] + zip(metrics, values.dropFirst()).map { ($0.name, $0.value($1)) }
  }
}
