import ApusCore
import ApusNN

/// Which values of a loss or a metric are better.
public enum MonitorMode: String, Hashable, Sendable {
  /// Small ones, as of a loss.
  case min
  /// Large ones, as of an accuracy.
  case max
}

/// A number that tells how good predictions are, over all examples: it does not depend on how they are cut into batches.
///
/// ```swift
/// Trainer(model, optimizer: Adam(), loss: .crossEntropy, metrics: [.accuracy, .topAccuracy(5)])
/// let within = Metric("within_1", mode: .max) { (predictions, targets) in (predictions - targets).abs() .< 1 }
/// ```
public struct Metric: Sendable {
  /// Its name in ``History`` and logs; validation puts `val_` before it.
  public let name: String
  /// Which values are better; nil: not said, and whoever watches it must say.
  public let mode: MonitorMode?
  /// Class number of targets that don't count; nil: all do, or those of the trainer's loss.
  private(set) var ignoreIndex: Int?
  private let kind: Kind

  private enum Kind: Sendable {
    case mean(@Sendable (Tensor, Tensor) -> Tensor)
    case sums(@Sendable (Tensor, Tensor) -> [Tensor], value: @Sendable ([Double]) -> Double)
  }

  /// A metric that is a mean.
  /// - Parameters:
  ///   - name: its name in ``History`` and logs.
  ///   - mode: which values are better: what early stopping and the best checkpoint go by.
  ///   - values: of predictions and targets; a number or bool for each example [N], or several for each [N, …], of which
  ///     the mean over all is taken. One number for a whole batch is an error (shape).
  public init(
    _ name: String, mode: MonitorMode? = nil,
    _ values: @escaping @Sendable (_ predictions: Tensor, _ targets: Tensor) -> Tensor
  ) {
    self.name = name
    self.mode = mode
    kind = .mean(values)
  }

  /// A metric that is no mean but a function of sums over the examples.
  ///
  /// ```swift
  /// let f1 = Metric("f1", mode: .max) { predictions, targets in
  ///   let (found, real) = (predictions .> 0, targets .> 0.5)
  ///   return [(found .&& real).cast(to: .float64).sum(), found.cast(to: .float64).sum(), real.cast(to: .float64).sum()]
  /// } value: { 2 * $0[0] / ($0[1] + $0[2]) }
  /// ```
  /// - Parameters:
  ///   - name: its name in ``History`` and logs.
  ///   - mode: which values are better: what early stopping and the best checkpoint go by.
  ///   - sums: of predictions and targets; scalars that are added up over the batches, always as many.
  ///   - value: the metric, of the sums over all batches.
  public init(
    _ name: String, mode: MonitorMode? = nil,
    sums: @escaping @Sendable (_ predictions: Tensor, _ targets: Tensor) -> [Tensor],
    value: @escaping @Sendable (_ sums: [Double]) -> Double
  ) {
    self.name = name
    self.mode = mode
    kind = .sums(sums, value: value)
  }

  /// The same metric without the targets of a class number (PyTorch's `ignore_index`), which don't count at all.
  ///
  /// A trainer whose loss ignores a class number does so by itself. A metric of sums is given all targets and leaves out
  /// what it will.
  /// - Parameter index: the class number; the metric's function sees class 0 in its place, and what it says of that is
  ///   dropped.
  public func ignoring(_ index: Int) -> Metric {
    var metric = self
    metric.ignoreIndex = index
    return metric
  }

  /// What a batch adds: float64 scalars, computed without leaving the engine. A mean's are the sum and the count.
  func sums(_ predictions: Tensor, _ targets: Tensor) -> [Tensor] {
    switch kind {
    case .sums(let sums, _):
      let all = sums(predictions, targets)
      return all.map { sum in
        if sum.rank == 0 { return sum.cast(to: .float64) }
        return fail("the metric \(name) adds up scalars, of which one is \(sum.type): sum it up", predictions, targets)
      }
    case .mean(let values):
      guard let ignoreIndex, targets.dtype.isInteger else {
        let values = values(predictions, targets)
        guard areByExample(values, predictions) else { return misfit(values, predictions, targets) }
        return [
          values.cast(to: .float64).sum(), .elementCount(values, over: Array(values.shape.indices), dtype: .float64),
        ]
      }
      let counts = targets .!= ignoreIndex
      let values = values(predictions, select(counts, targets, Tensor.zerosLike(targets)))
      guard areByExample(values, predictions) else { return misfit(values, predictions, targets) }
      guard values.rank >= counts.rank, zip(values.shape.dims, counts.shape.dims).allSatisfy(==) else {
        let failure = fail(
          "the metric \(name) gives \(values.type), where one value for each target fits: some targets are ignored",
          predictions, targets)
        return [failure, failure]
      }
      let ones = Shape(dims: counts.shape.dims + [Dim](repeating: 1, count: values.rank - counts.rank))
      let counted = counts.reshape(ones).broadcast(to: values.shape)
      let numbers = values.cast(to: .float64)
      return [select(counted, numbers, Tensor.zerosLike(numbers)).sum(), counted.cast(to: .float64).sum()]
    }
  }

  /// How many ``sums(_:_:)`` gives; nil: its function tells.
  var sumCount: Int? { if case .mean = kind { 2 } else { nil } }

  /// The metric, of the sums over all batches; NaN where nothing counted.
  func value(_ sums: [Double]) -> Double {
    switch kind {
    case .mean: sums.count == 2 && sums[1] > 0 ? sums[0] / sums[1] : .nan
    case .sums(_, let value): sums.isEmpty ? .nan : value(sums)
    }
  }

  private func areByExample(_ values: Tensor, _ predictions: Tensor) -> Bool {
    values.rank > 0 && predictions.rank > 0 && values.shape.dim(0) == predictions.shape.dim(0)
  }

  private func misfit(_ values: Tensor, _ predictions: Tensor, _ targets: Tensor) -> [Tensor] {
    let size = predictions.shape.first.map { _ in predictions.shape.dim(0).description } ?? "N"
    let failure = fail(
      "the metric \(name) gives \(values.type) for a batch: values [\(size), …], one for each example, fit, or "
        + "Metric(_:mode:sums:value:) where it is no mean of such", predictions, targets)
    return [failure, failure]
  }

  private func fail(_ message: String, _ predictions: Tensor, _ targets: Tensor) -> Tensor {
    .failure(
      ApusError(.shape, message, operands: [predictions.type, targets.type]), as: TensorType(.float64, []))
  }
}

extension Metric {
  /// The share of examples whose largest score [N, C, …] is that of the target: class numbers [N, …], or probabilities
  /// of the scores' shape, whose largest counts (Keras' `SparseCategoricalAccuracy` and `CategoricalAccuracy`).
  ///
  /// Of equal scores the one of the smallest class number is the largest. A score that is no number beats all others and
  /// is never right. The same as ``topAccuracy(_:)`` of 1.
  public static let accuracy = Metric("accuracy", mode: .max) { predictions, targets in
    let best = predictions.argMax(axis: 1)
    guard let labels = classNumbers(targets, of: predictions, "accuracy") else { return best }
    let largest = predictions.max(1)
    return best .== labels .&& largest .== largest
  }

  /// The share of examples whose target is among the `k` largest scores [N, C, …], targets as for ``accuracy``
  /// (`SparseTopKCategoricalAccuracy`, `TopKCategoricalAccuracy`).
  ///
  /// Of equal scores that of the smaller class number is the larger. A score that is no number beats all others and is
  /// never right.
  /// - Parameter k: how many scores count, at least 1. The metric's name is `top5_accuracy` for 5.
  public static func topAccuracy(_ k: Int) -> Metric {
    require(k > 0, "the accuracy among the \(k) largest scores: 1 or more fit")
    let name = "top\(k)_accuracy"
    return Metric(name, mode: .max) { predictions, targets in
      guard let labels = classNumbers(targets, of: predictions, name)?.unsqueezed(1) else { return predictions }
      let own = predictions.gatheredAlong(labels, axis: 1)
      let ones = [Dim](repeating: 1, count: predictions.rank - 2)
      let numbers = Tensor.iota(Shape(dims: [1, predictions.shape.dim(1)] + ones), axis: 1)
      let before = predictions .> own .|| predictions .!= predictions .|| (predictions .== own .&& numbers .< labels)
      return (before.cast(to: .int64).sum(1) .< k) .&& (own .== own).squeezed(1)
    }
  }

  /// Targets as class numbers, one for each row of scores; nil after an error (shape).
  private static func classNumbers(_ targets: Tensor, of scores: Tensor, _ name: String) -> Tensor? {
    let one = Shape(dims: scores.shape.dims.enumerated().filter { $0.offset != 1 }.map(\.element))
    if scores.rank > 1, targets.shape == scores.shape { return targets.argMax(axis: 1) }
    if scores.rank > 1, targets.shape == one { return targets.cast(to: .int64) }
    let error = ApusError(
      .shape, "targets must be class numbers \(one) or scores \(scores.shape)", operation: name,
      operands: [scores.type, targets.type])
    _ = Tensor.failure(error, as: scores.type)
    return nil
  }

  /// The share of logits whose sign agrees with the target, 0 or 1, of the same shape (Keras' `BinaryAccuracy` takes
  /// probabilities).
  public static let binaryAccuracy = Metric("binary_accuracy", mode: .max) { predictions, targets in
    guard predictions.shape == targets.shape else {
      let error = ApusError(
        .shape, "targets must have the predictions' shape \(predictions.shape)", operation: "binary_accuracy",
        operands: [predictions.type, targets.type])
      return .failure(error, as: predictions.type)
    }
    return (predictions .> 0) .== (targets.cast(to: predictions.dtype) .> 0.5)
  }

  /// The mean of (prediction − target)². Both tensors have the same shape [N, …].
  public static let meanSquaredError = Metric("mean_squared_error", mode: .min) {
    ApusNN.meanSquaredError($0, $1, reduction: .none)
  }
  /// The mean of |prediction − target|. Both tensors have the same shape [N, …].
  public static let meanAbsoluteError = Metric("mean_absolute_error", mode: .min) {
    ApusNN.meanAbsoluteError($0, $1, reduction: .none)
  }
}
