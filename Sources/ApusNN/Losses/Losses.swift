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
/// Computed as softplus(x) − x·y, which does not overflow.
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
    x.softplus() - x * y
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
