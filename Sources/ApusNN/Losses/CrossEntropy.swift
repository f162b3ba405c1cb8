import ApusCore

/// How the losses of single elements become the result: their mean, their sum, or (`none`) themselves.
public enum LossReduction: Hashable, Sendable {
  case mean, sum, none

  func apply(_ losses: Tensor) -> Tensor {
    switch self {
    case .mean: losses.mean()
    case .sum: losses.sum()
    case .none: losses
    }
  }
}

/// The cross entropy of predicted and true classes: −log softmax(logits)[label], or −Σ p·log softmax(logits) for
/// probabilities p, as PyTorch's `cross_entropy`.
///
/// ```swift
/// let loss = crossEntropy(model(images), labels)        // float32[N, 10], int64[N] → a scalar
/// let smooth = crossEntropy(model(images), labels, labelSmoothing: 0.1)
/// ```
/// - Parameters:
///   - logits: unnormalised scores [N, C] or [N, C, d…] of a floating-point dtype; also [C] for one example.
///   - labels: class numbers (any integer dtype) [N] or [N, d…], or probabilities (floating-point) of the logits'
///     shape. A number outside 0 ..< C is an error (argument) unless it is `ignoreIndex`.
///   - labelSmoothing: ε of Szegedy et al. (2015, https://arxiv.org/abs/1512.00567): the target becomes
///     (1 − ε)·target + ε/C. 0 to 1; otherwise error (argument).
///   - ignoreIndex: class number of elements that don't count; the mean is over the others (PyTorch's default is −100), and
///     0 where there are none (PyTorch: NaN).
///   - reduction: `.mean` over what counts, for probabilities over all examples.
/// - Returns: a scalar; with `.none` a loss for each label. Shapes that don't fit each other are an error (shape).
public func crossEntropy(
  _ logits: Tensor, _ labels: Tensor, labelSmoothing: Double = 0, ignoreIndex: Int? = nil,
  reduction: LossReduction = .mean
) -> Tensor {
  let axis = logits.rank > 1 ? 1 : 0
  let isDense = labels.dtype.isFloatingPoint
  let sparseShape = Shape(dims: logits.shape.dims.enumerated().filter { $0.offset != axis }.map(\.element))
  guard logits.rank > 0, logits.dtype.isFloatingPoint, labels.shape == (isDense ? logits.shape : sparseShape),
    isDense || labels.dtype.isInteger
  else {
    return .failure(
      ApusError(
        .shape,
        "expects logits [N, C, …] and as labels class numbers [N, …] of an integer dtype, or probabilities of the logits' shape",
        operation: "crossEntropy", operands: [logits.type, labels.type]), as: TensorType(logits.dtype, []))
  }
  guard (0...1).contains(labelSmoothing) else {
    return .failure(
      ApusError(.argument, "a label smoothing of \(labelSmoothing): 0 to 1 fit", operation: "crossEntropy"),
      as: TensorType(logits.dtype, []))
  }
  let logProbabilities = logits.logSoftmax(axis: axis)
  if isDense {
    var losses = -(labels.cast(to: logits.dtype) * logProbabilities).sum(axis)
    if labelSmoothing > 0 { losses = smoothed(losses, logProbabilities, axis, labelSmoothing) }
    return reduction.apply(losses)
  }
  let numbers = labels.dtype == .int32 || labels.dtype == .int64 ? labels : labels.cast(to: .int64)
  guard let ignoreIndex else {
    return reduction.apply(sparse(logProbabilities, numbers, axis, labelSmoothing))
  }
  let counts = numbers .!= ignoreIndex
  let losses = sparse(
    logProbabilities, select(counts, numbers, Tensor.zerosLike(numbers)), axis, labelSmoothing)
  let kept = select(counts, losses, Tensor.zerosLike(losses))
  return reduction == .mean ? kept.sum() / counts.cast(to: logits.dtype).sum().clamped(min: 1) : reduction.apply(kept)
}

private func sparse(
  _ logProbabilities: Tensor, _ labels: Tensor, _ axis: Int, _ smoothing: Double
) -> Tensor {
  let losses = -logProbabilities.gatheredAlong(labels.unsqueezed(axis), axis: axis).squeezed(axis)
  return smoothing > 0 ? smoothed(losses, logProbabilities, axis, smoothing) : losses
}

/// (1 − ε)·loss − ε/C · Σ log p.
private func smoothed(
  _ losses: Tensor, _ logProbabilities: Tensor, _ axis: Int, _ smoothing: Double
) -> Tensor {
  losses * (1 - smoothing) - logProbabilities.mean(axis) * smoothing
}
