import ApusCore

/// What a dataset hands out: one example before ``Dataset/batched(_:dropLast:)``, several stacked ones after it.
///
/// The tensors stand in a fixed order, by custom the inputs first and the targets (labels) last.
/// ```swift
/// let batch = Batch(images, labels)       // float32[32, 1, 8, 8], int64[32]
/// let loss = crossEntropy(model(batch.inputs), batch[1])
/// ```
public struct Batch: Sendable {
  /// All tensors in their order.
  public var tensors: [Tensor]

  /// An element of these tensors, at least one.
  public init(_ tensors: [Tensor]) { self.tensors = tensors }

  /// An element of these tensors, at least one.
  public init(_ tensors: Tensor...) { self.tensors = tensors }

  /// The first tensor. An empty element has none: error, as an operation's.
  public var inputs: Tensor { self[0] }

  /// The last of two or more tensors, nil for data without targets.
  public var targets: Tensor? { tensors.count > 1 ? tensors.last : nil }

  /// Tensor `index`, from 0. One that is not there is an error, as an operation's.
  public subscript(index: Int) -> Tensor {
    guard tensors.indices.contains(index) else {
      return Tensor.failure(
        ApusError(.argument, "tensor \(index) of an element of \(tensors.count)", operation: "Batch"),
        as: TensorType(.float32, []))
    }
    return tensors[index]
  }
}
