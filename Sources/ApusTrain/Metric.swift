import ApusCore
import ApusNN

/// A number that tells how good predictions are, averaged over examples.
///
/// ```swift
/// Trainer(model, optimizer: Adam(), loss: .crossEntropy, metrics: [.accuracy, .topAccuracy(5)])
/// let within = Metric("within_1") { (predictions, targets) in (predictions - targets).abs() .< 1 }
/// ```
public struct Metric: Sendable {
  /// Its name in ``History`` and logs; validation puts `val_` before it.
  public let name: String
  private let values: @Sendable (Tensor, Tensor) -> Tensor

  /// A metric of one's own.
  /// - Parameters:
  ///   - name: its name in ``History`` and logs.
  ///   - values: of predictions and targets; a number or bool for each example [N] (further axes are averaged).
  public init(_ name: String, _ values: @escaping @Sendable (_ predictions: Tensor, _ targets: Tensor) -> Tensor) {
    self.name = name
    self.values = values
  }

  /// The sum over the examples of a batch: a float64 scalar, computed without leaving the engine.
  func sum(_ predictions: Tensor, _ targets: Tensor) -> Tensor {
    var values = values(predictions, targets).cast(to: .float64)
    if values.rank > 1 { values = values.flattened(from: 1).mean(1) }
    return values.sum()
  }

  /// The share of examples whose largest score [N, C, …] is that of the target: class numbers [N, …], or probabilities
  /// of the scores' shape, whose largest counts (Keras' `SparseCategoricalAccuracy` and `CategoricalAccuracy`).
  public static let accuracy = Metric("accuracy") { predictions, targets in
    let best = predictions.argMax(axis: 1)
    if targets.shape == predictions.shape { return best .== targets.argMax(axis: 1) }
    guard targets.shape == best.shape else {
      let error = ApusError(
        .shape, "targets must be class numbers \(best.shape) or scores \(predictions.shape)", operation: "accuracy",
        operands: [predictions.type, targets.type])
      return .failure(error, as: best.type)
    }
    return best .== targets.cast(to: .int64)
  }

  /// The share of examples whose target is among the `k` largest scores [N, C]; targets are class numbers [N]
  /// (`SparseTopKCategoricalAccuracy`). Equal scores count as smaller; a target whose score is no number is not among
  /// them.
  /// - Parameter k: how many scores count. The metric's name is `top5_accuracy` for 5.
  public static func topAccuracy(_ k: Int) -> Metric {
    Metric("top\(k)_accuracy") { predictions, targets in
      let own = predictions.gatheredAlong(targets.cast(to: .int64).unsqueezed(1), axis: 1)
      return (predictions .> own).cast(to: .int64).sum(1) .< k .&& (own .== own).squeezed(1)
    }
  }

  /// The share of logits whose sign agrees with the target, 0 or 1, of the same shape (Keras' `BinaryAccuracy` takes
  /// probabilities).
  public static let binaryAccuracy = Metric("binary_accuracy") { predictions, targets in
    (predictions .> 0) .== (targets.cast(to: predictions.dtype) .> 0.5)
  }

  /// (prediction − target)², averaged over each example's elements. Both tensors have the same shape [N, …].
  public static let meanSquaredError = Metric("mean_squared_error") {
    ApusNN.meanSquaredError($0, $1, reduction: .none)
  }
  /// |prediction − target|, averaged over each example's elements. Both tensors have the same shape [N, …].
  public static let meanAbsoluteError = Metric("mean_absolute_error") {
    ApusNN.meanAbsoluteError($0, $1, reduction: .none)
  }
}

/// Running sums of the loss and the metrics over an epoch, kept in variables: a compiled step adds to them without
/// the host waiting for a value.
final class MetricSums: Sendable {
  let names: [String]
  private let metrics: [Metric]
  private let sums: [Variable]

  init(_ metrics: [Metric]) {
    self.metrics = metrics
    names = ["loss"] + metrics.map(\.name)
    sums = names.map { _ in Variable(Tensor(0.0, dtype: .float64)) }
  }

  func reset() { restore(names.map { _ in 0 }) }

  /// Adds a batch; `loss` is the mean over its examples.
  func add(loss: Tensor, _ predictions: Tensor, _ targets: Tensor) {
    let examples = Tensor.elementCount(predictions, over: [0], dtype: .float64)
    sums[0].value = sums[0].value + loss.detached().cast(to: .float64) * examples
    for (variable, metric) in zip(sums.dropFirst(), metrics) {
      variable.value = variable.value + metric.sum(predictions.detached(), targets)
    }
  }

  var values: [Double] { sums.map { $0.value.item() } }

  func restore(_ values: [Double]) {
    for (variable, value) in zip(sums, values) { variable.value = Tensor(value, dtype: .float64) }
  }

  /// Means over so many examples.
  func means(_ examples: Int) -> [(name: String, value: Double)] {
    zip(names, values).map { ($0, examples > 0 ? $1 / Double(examples) : .nan) }
  }
}
