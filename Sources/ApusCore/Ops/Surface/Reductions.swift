/// Reductions. Axes are removed, or stay with size 1 under `keepDims`; without axes everything is reduced to a scalar.
/// Axes may be negative.
///
/// ```swift
/// let x = Tensor([[1.0, 2.0], [3.0, 4.0]])
/// x.sum()                      // 10
/// x.mean(0)                    // [2, 3]
/// x.max(-1, keepDims: true)    // [[2], [4]]
/// ```
extension Tensor {
  private func reduced(
    _ name: String, _ x: Tensor, _ axes: [Int], _ keepDims: Bool, _ primitive: (AxisSet, Bool) -> Primitive
  ) -> Tensor {
    Tensor.attempt(name, self) { Dispatch.one(primitive(try x.normalized(axes), keepDims), x) }
  }
  /// Whole numbers add up as int64.
  private func asSummand() -> Tensor { dtype.isFloatingPoint || dtype.isComplex ? self : cast(to: .int64) }

  /// Σx. Integers and bool sum as int64, wrapping. Of no elements: 0.
  public func sum(_ axes: Int..., keepDims: Bool = false) -> Tensor {
    sum(axes: all(axes), keepDims: keepDims)
  }
  /// Σx over a list of axes; an empty one reduces nothing.
  public func sum(axes: [Int], keepDims: Bool = false) -> Tensor {
    reduced("sum", asSummand(), axes, keepDims) { .sum(.init(axes: $0, keepDims: $1)) }
  }

  /// Πx. Integers and bool multiply as int64, wrapping. Of no elements: 1. The gradient is right beside any number of
  /// zeros.
  public func product(_ axes: Int..., keepDims: Bool = false) -> Tensor {
    product(axes: all(axes), keepDims: keepDims)
  }
  /// Πx over a list of axes; an empty one reduces nothing.
  public func product(axes: [Int], keepDims: Bool = false) -> Tensor {
    reduced("product", asSummand(), axes, keepDims) { .product(.init(axes: $0, keepDims: $1)) }
  }

  /// The largest element; NaN wins. Equal ones share the gradient evenly. Axes without elements: error (shape); bool:
  /// error (dtype).
  public func max(_ axes: Int..., keepDims: Bool = false) -> Tensor {
    max(axes: all(axes), keepDims: keepDims)
  }
  /// The largest element over a list of axes; an empty one reduces nothing.
  public func max(axes: [Int], keepDims: Bool = false) -> Tensor {
    reduced("max", self, axes, keepDims) { .max(.init(axes: $0, keepDims: $1)) }
  }

  /// The smallest element; NaN wins. Equal ones share the gradient evenly. Axes without elements: error (shape); bool:
  /// error (dtype).
  public func min(_ axes: Int..., keepDims: Bool = false) -> Tensor {
    min(axes: all(axes), keepDims: keepDims)
  }
  /// The smallest element over a list of axes; an empty one reduces nothing.
  public func min(axes: [Int], keepDims: Bool = false) -> Tensor {
    reduced("min", self, axes, keepDims) { .min(.init(axes: $0, keepDims: $1)) }
  }

  /// Σx / n. Integers and bool are averaged as float32. Of no elements: NaN.
  public func mean(_ axes: Int..., keepDims: Bool = false) -> Tensor {
    mean(axes: all(axes), keepDims: keepDims)
  }
  /// Σx / n over a list of axes; an empty one reduces nothing.
  public func mean(axes: [Int], keepDims: Bool = false) -> Tensor {
    Tensor.attempt("mean", self) {
      let (x, set) = (asReal(), try normalized(axes))
      return x.sum(axes: axes, keepDims: keepDims).dividedByCount(of: x, axes: set.axes)
    }
  }

  /// Σ(x − mean)² / max(n − correction, 0): with 1 the unbiased estimate, with 0 the mean square deviation. One element
  /// with correction 1: NaN. Integers and bool count as float32.
  public func variance(_ axes: Int..., correction: Int = 1, keepDims: Bool = false) -> Tensor {
    variance(axes: all(axes), correction: correction, keepDims: keepDims)
  }
  /// The variance over a list of axes.
  public func variance(axes: [Int], correction: Int = 1, keepDims: Bool = false) -> Tensor {
    Tensor.attempt("variance", self) {
      let (x, set) = (asReal(), try normalized(axes))
      let centred = x - x.mean(axes: axes, keepDims: true)
      if set.axes.allSatisfy({ x.shape.dim($0).isKnown }) {
        let count = set.axes.reduce(1.0) { $0 * Double(x.shape[$1]) } - Double(correction)
        // Divided before they are added, the squares overflow only where the variance does.
        if count > 0 { return (centred * (centred / count)).sum(axes: axes, keepDims: keepDims) }
        return (centred * centred).sum(axes: axes, keepDims: keepDims) / 0.0
      }
      let total = (centred * centred).sum(axes: axes, keepDims: keepDims)
      let count = set.axes.reduce(Tensor.scalar(.int(1), dtype: .int64)) { $0 * Tensor.size(of: x, axis: $1) }
      return total / maximum(count - correction, 0).cast(to: x.dtype)
    }
  }

  /// √variance, with the same correction; it has a value where the variance itself overflows. Equal elements get the
  /// gradient 0.
  public func standardDeviation(_ axes: Int..., correction: Int = 1, keepDims: Bool = false) -> Tensor {
    standardDeviation(axes: all(axes), correction: correction, keepDims: keepDims)
  }
  /// √variance over a list of axes.
  public func standardDeviation(axes: [Int], correction: Int = 1, keepDims: Bool = false) -> Tensor {
    Tensor.attempt("standardDeviation", self) {
      let (x, set) = (asReal(), try normalized(axes))
      let (small, factor) = x.withRoom(axes: set.axes)
      let centred = small - small.mean(axes: axes, keepDims: true)
      let norm = centred.norm(axes: axes, keepDims: keepDims)
      return norm.dividedByRootOfCount(of: x, axes: set.axes, correction: correction) * (1 / factor)
    }
  }

  /// Whether some element is not 0, as bool; false for none. NaN is not 0.
  public func any(_ axes: Int..., keepDims: Bool = false) -> Tensor {
    any(axes: all(axes), keepDims: keepDims)
  }
  /// Whether some element is not 0, over a list of axes; an empty one asks of each element.
  public func any(axes: [Int], keepDims: Bool = false) -> Tensor {
    cast(to: .bool).sum(axes: axes, keepDims: keepDims) .!= 0
  }

  /// Whether every element is not 0, as bool; true for none. NaN is not 0.
  public func all(_ axes: Int..., keepDims: Bool = false) -> Tensor {
    all(axes: all(axes), keepDims: keepDims)
  }
  /// Whether every element is not 0, over a list of axes; an empty one asks of each element.
  public func all(axes: [Int], keepDims: Bool = false) -> Tensor {
    (.!self).sum(axes: axes, keepDims: keepDims) .== 0
  }

  /// log Σ exp(x) along an axis, without overflow, and exact where the largest element is near 0 and far above the
  /// others; integers and bool count as float32. The gradient is the softmax; where every element is −∞ it is 0. An axis
  /// without elements: error (shape).
  public func logSumExp(axis: Int, keepDims: Bool = false) -> Tensor {
    Tensor.attempt("logSumExp", self) {
      let (x, axis) = (asReal(), try normalized(axis))
      let set = AxisSet([axis])
      let (largest, isFirst) = withoutGradients {
        (x.max(axes: set.axes, keepDims: true), x.isFirstLargest(axis: axis))
      }
      // Infinities would meet in ∞ − ∞; around 0 they stand as they are.
      let centre = select(largest.abs() .== Double.infinity, 0, largest)
      let terms = (x - centre).exp()
      // The sum less the 1 of the largest, which would swallow small terms.
      let rest = select(isFirst, terms - 1, terms).sum(axes: set.axes, keepDims: true)
      let isNothing = largest .== -Double.infinity
      let result = select(isNothing, -Double.infinity, select(isNothing, 0, rest).log1p() + centre)
      return keepDims ? result : result.reshape(x.shape.reduced(set, keepDims: false))
    }
  }

  /// Whether an element is the one that ``argMax(axis:keepDims:)`` finds.
  private func isFirstLargest(axis: Int) -> Tensor {
    let line = Shape.ones(rank).replacing(axis, with: shape.dim(axis))
    return Dispatch.one(.iota(.init(type: TensorType(.int64, line), axis: axis))) .== argMax(axis: axis, keepDims: true)
  }

  /// The place of the largest element along an axis, int64; the first of equal ones, and the first NaN before all.
  /// Without an axis: its place in row-major order, a scalar. An axis without elements: error (shape).
  ///
  /// ```swift
  /// logits.argMax(axis: -1)      // [N, classes] → [N]: each row's class
  /// ```
  public func argMax(axis: Int? = nil, keepDims: Bool = false) -> Tensor {
    place("argMax", axis, keepDims) { .argMax(.init(axis: $0, keepDims: $1)) }
  }
  /// The place of the smallest element along an axis, int64; the first of equal ones, and the first NaN before all.
  /// Without an axis: its place in row-major order, a scalar.
  public func argMin(axis: Int? = nil, keepDims: Bool = false) -> Tensor {
    place("argMin", axis, keepDims) { .argMin(.init(axis: $0, keepDims: $1)) }
  }
  private func place(_ name: String, _ axis: Int?, _ keepDims: Bool, _ primitive: (Int, Bool) -> Primitive) -> Tensor {
    Tensor.attempt(name, self) {
      let x = dtype == .bool ? cast(to: .uint8) : self
      guard let axis else {
        let found = Dispatch.one(primitive(0, false), x.flattened())
        return keepDims ? found.reshape(Shape.ones(rank)) : found
      }
      return Dispatch.one(primitive(try normalized(axis), keepDims), x)
    }
  }
}
