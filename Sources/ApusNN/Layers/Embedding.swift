import ApusCore

/// A table of vectors, looked up by number: y[…] = weight[x[…]] (`Embedding` in PyTorch and Keras).
///
/// ```swift
/// let words = Embedding(10_000, 128)
/// let y = words(Tensor([[3, 17, 4]]))     // float32[1, 3, 128]
/// ```
/// - Input: int64 or int32 of any shape [...], each from 0 ..< count; others are an error (argument).
/// - Output: [..., size].
/// - Parameter `weight` [count, size], by default from the standard normal distribution as in PyTorch (Keras: uniform
///   on ±0.05).
public final class Embedding: Module {
  /// The table, [count, size].
  public let weight: Parameter

  /// - Parameters:
  ///   - count: how many vectors there are.
  ///   - size: of each.
  ///   - weightInitializer: how the table is filled at first.
  ///   - dtype: of the table.
  public init(
    _ count: Int, _ size: Int, weightInitializer: Initializer = .normal(), dtype: DType = .float32
  ) {
    require(count > 0 && size > 0, "Embedding(\(count), \(size)): sizes must be positive")
    weight = Parameter([Dim(count), Dim(size)], weightInitializer, dtype: dtype)
  }

  public func forward(_ indices: Tensor) -> Tensor {
    let table = weight.tensor
    guard indices.dtype == .int64 || indices.dtype == .int32, indices.rank < Shape.maximumRank else {
      return .failure(.layer(.dtype, expected: "int64 or int32 indices", got: indices), as: table.type)
    }
    return table.gathered(indices, axis: 0)
  }
}
