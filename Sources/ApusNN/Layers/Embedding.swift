import ApusCore

/// A table of vectors, looked up by number: y[…] = weight[x[…]].
///
/// - Input: int64 or int32 of any shape [...], each from 0 ..< count. Output: [..., size].
/// - Parameter `weight` [count, size], by default from the standard normal distribution as in PyTorch.
public final class Embedding: Module {
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
