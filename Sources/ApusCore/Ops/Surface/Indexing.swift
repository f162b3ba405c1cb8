/// Access by computed indices: int64 or int32 tensors of positions in 0..<size. Others: error (argument).
extension Tensor {
  /// The slices at `indices` along an axis (`numpy.take`):
  /// shape[..<axis] + indices.shape + shape[(axis+1)...].
  ///
  /// ```swift
  /// Tensor([10, 20, 30]).gathered(Tensor([2, 0]))      // [30, 10]
  /// ```
  public func gathered(_ indices: Tensor, axis: Int = 0) -> Tensor {
    Tensor.attempt("gathered", self, indices) {
      Dispatch.one(.gather(Gather(axis: try normalized(axis))), self, indices)
    }
  }

  /// One element for each index, everything but `axis` at its own place (`numpy.take_along_axis`): the result has the
  /// indices' shape, which equals this one's except along `axis`.
  ///
  /// ```swift
  /// scores.gatheredAlong(labels.unsqueezed(-1), axis: -1)      // the score of each row's label
  /// ```
  public func gatheredAlong(_ indices: Tensor, axis: Int) -> Tensor {
    Tensor.attempt("gatheredAlong", self, indices) {
      Dispatch.one(.gatherAlong(GatherAlong(axis: try normalized(axis))), self, indices)
    }
  }

  /// This with `updates` added at `indices` along an axis; repeated indices add up.
  ///
  /// - Parameters:
  ///   - updates: of shape shape[..<axis] + indices.shape + shape[(axis+1)...].
  public func scatterAdded(_ updates: Tensor, at indices: Tensor, axis: Int = 0) -> Tensor {
    Tensor.attempt("scatterAdded", self, updates, indices) {
      let i = try normalized(axis)
      let scatter = ScatterAdd(axis: i, size: shape.dim(i))
      return self + Dispatch.one(.scatterAdd(scatter), updates.cast(to: dtype), indices)
    }
  }

  /// This with `updates` added at `indices` along an axis, everything else at its own place; repeated indices add up.
  ///
  /// - Parameters:
  ///   - updates: of the indices' shape, which equals this one's except along `axis`.
  public func scatterAddedAlong(_ updates: Tensor, at indices: Tensor, axis: Int) -> Tensor {
    Tensor.attempt("scatterAddedAlong", self, updates, indices) {
      let i = try normalized(axis)
      let scatter = ScatterAddAlong(axis: i, size: shape.dim(i))
      return self + Dispatch.one(.scatterAddAlong(scatter), updates.cast(to: dtype), indices)
    }
  }

  /// 1 at the place each index names in a new last axis of size n, 0 elsewhere. Indices outside 0..<n give zeros.
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
