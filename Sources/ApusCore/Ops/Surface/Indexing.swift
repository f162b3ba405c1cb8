/// Access by computed indices: int64 or int32 tensors of positions in 0..<size. Others: error (argument).
extension Tensor {
  /// The slices at `indices` along an axis (`numpy.take`), whose axes replace it:
  /// shape[..<axis] + indices.shape + shape[(axis+1)...]. The gradient of repeated indices adds up.
  ///
  /// ```swift
  /// Tensor([10, 20, 30]).gathered(Tensor([2, 0]))      // [30, 10]
  /// ```
  public func gathered(_ indices: Tensor, axis: Int = 0) -> Tensor {
    Tensor.attempt("gathered", self, indices) {
      Dispatch.one(.gather(.init(axis: try normalized(axis))), self, indices)
    }
  }

  /// One element for each index, everything but `axis` at its own place (`numpy.take_along_axis`, `torch.gather`): the
  /// result has the indices' shape. Along other axes the indices may stop short of this tensor's size.
  ///
  /// ```swift
  /// scores.gatheredAlong(labels.unsqueezed(-1), axis: -1)      // the score of each row's label
  /// ```
  public func gatheredAlong(_ indices: Tensor, axis: Int) -> Tensor {
    Tensor.attempt("gatheredAlong", self, indices) {
      let i = try normalized(axis)
      return Dispatch.one(.gatherAlong(.init(axis: i)), cut(to: indices.shape, besides: i), indices)
    }
  }

  /// This with `updates` added at `indices` along an axis; repeated indices add up.
  ///
  /// ```swift
  /// Tensor.zeros([3]).scatterAdded(Tensor([1.0, 2, 4]), at: Tensor([0, 2, 2]))      // [1, 0, 6]
  /// ```
  /// - Parameters:
  ///   - updates: of shape shape[..<axis] + indices.shape + shape[(axis+1)...]; cast to this tensor's dtype.
  ///   - indices: int64 or int32 of any shape, each in 0..<size of the axis.
  ///   - axis: where the updates go; negative ones count from the end.
  public func scatterAdded(_ updates: Tensor, at indices: Tensor, axis: Int = 0) -> Tensor {
    Tensor.attempt("scatterAdded", self, updates, indices) {
      let i = try normalized(axis)
      let scatter = Primitive.ScatterAdd(axis: i, size: shape.dim(i))
      return self + Dispatch.one(.scatterAdd(scatter), updates.cast(to: dtype), indices)
    }
  }

  /// This with `updates` added at `indices` along an axis, everything else at its own place; repeated indices add up.
  ///
  /// - Parameters:
  ///   - updates: of the indices' shape; cast to this tensor's dtype.
  ///   - indices: int64 or int32 of this tensor's rank, each in 0..<size of the axis. Along other axes they may stop
  ///     short of this tensor's size.
  ///   - axis: where the updates go; negative ones count from the end.
  public func scatterAddedAlong(_ updates: Tensor, at indices: Tensor, axis: Int) -> Tensor {
    Tensor.attempt("scatterAddedAlong", self, updates, indices) {
      let i = try normalized(axis)
      let scatter = Primitive.ScatterAddAlong(axis: i, size: shape.dim(i))
      let added = Dispatch.one(.scatterAddAlong(scatter), updates.cast(to: dtype), indices)
      if added.rank != rank || added.shape == shape { return self + added }
      let missing = try (0..<rank).map { axis -> (Int, Int) in
        let (whole, part) = (shape.dim(axis), added.shape.dim(axis))
        guard whole != part else { return (0, 0) }
        guard let size = whole.value, let present = part.value, present < size else {
          throw ApusError(
            .shape, "the indices' axis \(axis) has size \(part), and the tensor's \(whole): at most that fits")
        }
        return (0, size - present)
      }
      return self + added.padded(missing)
    }
  }

  /// The leading part of this that `indices` of a shape address along the axes besides `axis`.
  private func cut(to indices: Shape, besides axis: Int) -> Tensor {
    guard indices.rank == rank else { return self }
    var result = self
    for i in 0..<rank where i != axis {
      guard let wanted = indices.dim(i).value, let size = shape.dim(i).value, wanted < size else { continue }
      result = result.sliced(axis: i, 0, Dim(wanted))
    }
    return result
  }

  /// 1 at the place each index names in a new last axis of size n, 0 elsewhere: […] → […, n]. Indices outside 0..<n
  /// give zeros; n < 0: error (argument).
  ///
  /// ```swift
  /// Tensor([2, 0]).oneHot(3)      // [[0, 0, 1], [1, 0, 0]]
  /// ```
  public func oneHot(_ n: Int, dtype: DType = .float32) -> Tensor {
    Tensor.attempt("oneHot", self) {
      try Rules.index(type)
      guard n >= 0 else { throw ApusError(.argument, "can't have \(n) classes") }
      let classes = Tensor.iota([n], dtype: self.dtype)
      return (unsqueezed(-1) .== classes).cast(to: dtype)
    }
  }
}
