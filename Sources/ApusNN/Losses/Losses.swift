import ApusCore

/// (prediction − target)², averaged (`mse_loss`, Keras' `MeanSquaredError`).
///
/// ```swift
/// meanSquaredError(Tensor([1.0, 2.0]), Tensor([1.0, 4.0]))      // 2
/// ```
/// - Parameters:
///   - prediction: of a floating-point dtype, any shape.
///   - target: of the same shape (nothing is broadcast), cast to the prediction's dtype.
///   - reduction: `.mean` or `.sum` over all elements; `.none` leaves one loss for each.
/// - Returns: a scalar; with `.none` of the prediction's shape. Other shapes or dtypes are an error (shape).
public func meanSquaredError(_ prediction: Tensor, _ target: Tensor, reduction: LossReduction = .mean) -> Tensor {
  elementwise("meanSquaredError", prediction, target, reduction) { x, y in
    let difference = x - y
    return difference * difference
  }
}

/// |prediction − target|, averaged (`l1_loss`, Keras' `MeanAbsoluteError`).
///
/// ```swift
/// meanAbsoluteError(Tensor([1.0, 2.0]), Tensor([1.0, 4.0]))     // 1
/// ```
/// - Parameters:
///   - prediction: of a floating-point dtype, any shape.
///   - target: of the same shape (nothing is broadcast), cast to the prediction's dtype.
///   - reduction: `.mean` or `.sum` over all elements; `.none` leaves one loss for each.
/// - Returns: a scalar; with `.none` of the prediction's shape. Other shapes or dtypes are an error (shape).
public func meanAbsoluteError(_ prediction: Tensor, _ target: Tensor, reduction: LossReduction = .mean) -> Tensor {
  elementwise("meanAbsoluteError", prediction, target, reduction) { ($0 - $1).abs() }
}

/// The cross entropy of a yes-or-no target: −y·log σ(x) − (1 − y)·log(1 − σ(x)), averaged
/// (`binary_cross_entropy_with_logits`, Keras' `BinaryCrossentropy(from_logits=True)`).
///
/// Computed as |x|·w + log(1 + e^−|x|), where w is the target's distance from the side that x is on: it neither
/// overflows nor cancels.
/// ```swift
/// binaryCrossEntropyWithLogits(Tensor([0.0]), Tensor([1.0]))    // log 2 = 0.6931
/// ```
/// - Parameters:
///   - logits: x, unnormalised scores of a floating-point dtype, any shape.
///   - target: y from 0 to 1, of the logits' shape.
///   - reduction: `.mean` or `.sum` over all elements; `.none` leaves one loss for each.
/// - Returns: a scalar; with `.none` of the logits' shape. Other shapes or dtypes are an error (shape).
public func binaryCrossEntropyWithLogits(_ logits: Tensor, _ target: Tensor, reduction: LossReduction = .mean) -> Tensor
{
  elementwise("binaryCrossEntropyWithLogits", logits, target, reduction) { x, y in
    // Either branch is smooth beyond its end, so that derivatives of any order are right at 0 too.
    let isPositive = x .> 0
    let distance = select(isPositive, x, -x)
    return distance.weighted(by: select(isPositive, 1 - y, y)) + (-distance).exp().log1p()
  }
}

/// Huber's loss, averaged: ½d² where |d| ≤ δ, δ·(|d| − ½δ) elsewhere, d = prediction − target (Huber, 1964;
/// `huber_loss`, Keras' `Huber`).
///
/// ```swift
/// huberLoss(Tensor([0.5, 3.0]), Tensor([0.0, 0.0]))             // (0.125 + 2.5) / 2
/// ```
/// - Parameters:
///   - prediction: of a floating-point dtype, any shape.
///   - target: of the same shape (nothing is broadcast), cast to the prediction's dtype.
///   - delta: δ, where the square becomes a line; positive, otherwise error (argument).
///   - reduction: `.mean` or `.sum` over all elements; `.none` leaves one loss for each.
/// - Returns: a scalar; with `.none` of the prediction's shape. Other shapes or dtypes are an error (shape).
public func huberLoss(
  _ prediction: Tensor, _ target: Tensor, delta: Double = 1, reduction: LossReduction = .mean
) -> Tensor {
  guard delta > 0 else {
    return .failure(
      ApusError(.argument, "delta is \(delta) and must be positive", operation: "huberLoss"),
      as: TensorType(prediction.dtype, []))
  }
  return elementwise("huberLoss", prediction, target, reduction) { x, y in
    // ½d² inside, ±δ·(d ∓ ½δ) outside, and smooth between.
    let distance = x - y
    let near = distance.clamped(min: -delta, max: delta)
    return near * (distance - near * 0.5)
  }
}

private func elementwise(
  _ name: String, _ x: Tensor, _ y: Tensor, _ reduction: LossReduction, _ loss: (Tensor, Tensor) -> Tensor
) -> Tensor {
  guard x.shape == y.shape, x.dtype.isFloatingPoint else {
    return .failure(
      ApusError(
        .shape, "prediction and target must have the same shape, the prediction a floating-point dtype",
        operation: name,
        operands: [x.type, y.type]), as: TensorType(x.dtype, []))
  }
  return reduction.apply(loss(x, y.dtype == x.dtype ? y : y.cast(to: x.dtype)))
}

/// A loss as a value, to hand to a trainer: `Trainer(model, optimizer: Adam(), loss: .sparseCategoricalCrossEntropy)`.
///
/// ```swift
/// let weighted = Loss("weighted") { meanSquaredError($0, $1) * 0.5 + meanAbsoluteError($0, $1) }
/// let trainer = Trainer(model, optimizer: Adam(), loss: weighted)
/// ```
public struct Loss: Sendable {
  /// What it is called.
  public let name: String
  private let function: @Sendable (Tensor, Tensor) -> Tensor

  /// - Parameters:
  ///   - name: what the loss is called.
  ///   - function: of predictions and targets; gives a scalar, the mean over the batch.
  public init(_ name: String, _ function: @escaping @Sendable (_ predictions: Tensor, _ targets: Tensor) -> Tensor) {
    self.name = name
    self.function = function
  }

  /// The loss of predictions and targets.
  public func callAsFunction(_ predictions: Tensor, _ targets: Tensor) -> Tensor {
    withScope(name) { function(predictions, targets) }
  }

  /// ``crossEntropy(_:_:labelSmoothing:ignoreIndex:reduction:)`` of logits [N, C, …] and class numbers [N, …] or
  /// probabilities [N, C, …], averaged (PyTorch's `CrossEntropyLoss`).
  public static let crossEntropy = Loss("crossEntropy") { ApusNN.crossEntropy($0, $1) }

  /// Cross entropy of logits [N, C] and class numbers [N] of an integer dtype; Keras' with `from_logits=True`.
  public static let sparseCategoricalCrossEntropy = Loss("sparseCategoricalCrossEntropy") {
    ApusNN.crossEntropy($0, $1)
  }

  /// Cross entropy of logits [N, C] and probabilities or one-hot targets [N, C]; Keras' with `from_logits=True`.
  public static let categoricalCrossEntropy = Loss("categoricalCrossEntropy") {
    ApusNN.crossEntropy($0, $1.cast(to: $0.dtype))
  }

  /// Cross entropy with smoothed labels.
  /// - Parameters:
  ///   - labelSmoothing: ε from 0 to 1: the target becomes (1 − ε)·target + ε/C.
  ///   - ignoreIndex: class number of elements that don't count; nil: all count.
  public static func crossEntropy(labelSmoothing: Double, ignoreIndex: Int? = nil) -> Loss {
    Loss("crossEntropy") { ApusNN.crossEntropy($0, $1, labelSmoothing: labelSmoothing, ignoreIndex: ignoreIndex) }
  }

  /// The mean of (prediction − target)². Both tensors have the same shape [N, …].
  public static let meanSquaredError = Loss("meanSquaredError") { ApusNN.meanSquaredError($0, $1) }
  /// Short for ``meanSquaredError``.
  public static let mse = meanSquaredError
  /// The mean of |prediction − target|. Both tensors have the same shape [N, …].
  public static let meanAbsoluteError = Loss("meanAbsoluteError") { ApusNN.meanAbsoluteError($0, $1) }
  /// Short for ``meanAbsoluteError``.
  public static let mae = meanAbsoluteError
  /// Binary cross entropy of logits and targets from 0 to 1 of the same shape [N, …] (`BCEWithLogitsLoss`); Keras' with
  /// `from_logits=True`.
  public static let binaryCrossEntropy = Loss("binaryCrossEntropy") { ApusNN.binaryCrossEntropyWithLogits($0, $1) }
  /// The mean of ½d² where |d| ≤ δ, δ·(|d| − ½δ) elsewhere, d = prediction − target (`HuberLoss`, Keras' `Huber`). Both
  /// tensors have the same shape [N, …].
  /// - Parameter delta: δ, positive.
  public static func huber(delta: Double = 1) -> Loss { Loss("huber") { huberLoss($0, $1, delta: delta) } }
}
