import ApusCore

/// A loss as a value, to hand to a trainer: `Trainer(model, optimizer: Adam(), loss: .sparseCategoricalCrossEntropy)`.
///
/// ```swift
/// let weighted = Loss("weighted") { meanSquaredError($0, $1) * 0.5 + meanAbsoluteError($0, $1) }
/// let trainer = Trainer(model, optimizer: Adam(), loss: weighted)
/// ```
/// A batch's loss is a mean. Over several batches it is the mean of what those means are over, so that it does not depend
/// on how examples are cut into batches: see ``count(_:_:)``.
public struct Loss: Sendable {
  /// What it is called.
  public let name: String
  /// Class number of targets that don't count, neither here nor in a trainer's metrics; nil: all count.
  public let ignoreIndex: Int?
  private let function: @Sendable (Tensor, Tensor) -> Tensor
  private let counting: (@Sendable (Tensor, Tensor) -> Tensor)?

  /// - Parameters:
  ///   - name: what the loss is called.
  ///   - ignoreIndex: class number of targets that `function` leaves out of the mean; nil: there is none.
  ///   - counting: how many summands the mean is over, or the sum of their weights, of the same arguments: a scalar. nil:
  ///     the targets that are not ignored, or the examples. Where it is 0 the batch's loss does not count, and `function`
  ///     must have a gradient of 0 (divide by no less than a small number).
  ///   - function: of predictions and targets; gives a scalar, the mean over the batch.
  public init(
    _ name: String, ignoreIndex: Int? = nil,
    counting: (@Sendable (_ predictions: Tensor, _ targets: Tensor) -> Tensor)? = nil,
    _ function: @escaping @Sendable (_ predictions: Tensor, _ targets: Tensor) -> Tensor
  ) {
    self.name = name
    self.ignoreIndex = ignoreIndex
    self.counting = counting
    self.function = function
  }

  /// The loss of predictions and targets.
  public func callAsFunction(_ predictions: Tensor, _ targets: Tensor) -> Tensor {
    withScope(name) { function(predictions, targets) }
  }

  /// What a batch's mean weighs beside those of other batches: the number of its summands, a float64 scalar.
  public func count(_ predictions: Tensor, _ targets: Tensor) -> Tensor {
    if let counting { return counting(predictions, targets).cast(to: .float64) }
    guard let ignoreIndex else { return Tensor.elementCount(predictions, over: [0], dtype: .float64) }
    if targets.dtype.isInteger { return (targets .!= ignoreIndex).cast(to: .float64).sum() }
    // Probabilities have no class number to ignore: every row of them counts.
    return Tensor.elementCount(predictions, over: predictions.shape.indices.filter { $0 != 1 }, dtype: .float64)
  }

  /// A loss whose mean is over all elements of the predictions.
  private static func elementwise(
    _ name: String, _ function: @escaping @Sendable (_ predictions: Tensor, _ targets: Tensor) -> Tensor
  ) -> Loss {
    Loss(name, counting: { x, _ in Tensor.elementCount(x, over: Array(x.shape.indices), dtype: .float64) }, function)
  }

  /// A loss whose mean is over all class numbers, or all rows of probabilities.
  private static func classwise(
    _ name: String, _ function: @escaping @Sendable (_ predictions: Tensor, _ targets: Tensor) -> Tensor
  ) -> Loss {
    Loss(
      name,
      counting: { x, _ in Tensor.elementCount(x, over: x.shape.indices.filter { $0 != 1 }, dtype: .float64) }, function)
  }

  /// ``crossEntropy(_:_:labelSmoothing:ignoreIndex:reduction:)`` of logits [N, C, …] and class numbers [N, …] or
  /// probabilities [N, C, …], averaged (PyTorch's `CrossEntropyLoss`).
  public static let crossEntropy = classwise("crossEntropy") { ApusNN.crossEntropy($0, $1) }

  /// Cross entropy of logits [N, C] and class numbers [N] of an integer dtype; Keras' with `from_logits=True`.
  public static let sparseCategoricalCrossEntropy = classwise("sparseCategoricalCrossEntropy") {
    ApusNN.crossEntropy($0, $1)
  }

  /// Cross entropy of logits [N, C] and probabilities or one-hot targets [N, C]; Keras' with `from_logits=True`.
  public static let categoricalCrossEntropy = classwise("categoricalCrossEntropy") {
    ApusNN.crossEntropy($0, $1.cast(to: $0.dtype))
  }

  /// Cross entropy with smoothed labels, or with labels that don't count.
  ///
  /// ```swift
  /// Trainer(tagger, optimizer: Adam(), loss: .crossEntropy(ignoreIndex: -100), metrics: [.accuracy])
  /// ```
  /// - Parameters:
  ///   - labelSmoothing: ε from 0 to 1: the target becomes (1 − ε)·target + ε/C.
  ///   - ignoreIndex: class number of elements that don't count, here and in the trainer's metrics; nil: all count.
  public static func crossEntropy(labelSmoothing: Double = 0, ignoreIndex: Int? = nil) -> Loss {
    let function: @Sendable (Tensor, Tensor) -> Tensor = {
      ApusNN.crossEntropy($0, $1, labelSmoothing: labelSmoothing, ignoreIndex: ignoreIndex)
    }
    return ignoreIndex == nil
      ? classwise("crossEntropy", function) : Loss("crossEntropy", ignoreIndex: ignoreIndex, function)
  }

  /// The mean of (prediction − target)². Both tensors have the same shape [N, …].
  public static let meanSquaredError = elementwise("meanSquaredError") { ApusNN.meanSquaredError($0, $1) }
  /// Short for ``meanSquaredError``.
  public static let mse = meanSquaredError
  /// The mean of |prediction − target|. Both tensors have the same shape [N, …].
  public static let meanAbsoluteError = elementwise("meanAbsoluteError") { ApusNN.meanAbsoluteError($0, $1) }
  /// Short for ``meanAbsoluteError``.
  public static let mae = meanAbsoluteError
  /// Binary cross entropy of logits and targets from 0 to 1 of the same shape [N, …] (`BCEWithLogitsLoss`); Keras' with
  /// `from_logits=True`.
  public static let binaryCrossEntropy = elementwise("binaryCrossEntropy") {
    ApusNN.binaryCrossEntropyWithLogits($0, $1)
  }
  /// The mean of ½d² where |d| ≤ δ, δ·(|d| − ½δ) elsewhere, d = prediction − target (`HuberLoss`, Keras' `Huber`). Both
  /// tensors have the same shape [N, …].
  /// - Parameter delta: δ, positive.
  public static func huber(delta: Double = 1) -> Loss { elementwise("huber") { huberLoss($0, $1, delta: delta) } }
}
