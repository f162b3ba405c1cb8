/// Lengths, and what norms are divided by: written so that no square overflows or vanishes.
extension Tensor {
  /// √Σx², the Euclidean norm, over axes that are removed or stay with size 1; without axes over all. Of any size that
  /// the dtype holds: no square overflows or vanishes on the way. Integers and bool count as float32. Of no elements: 0.
  /// The gradient is x/norm, at 0 it is 0.
  ///
  /// ```swift
  /// Tensor([3e30, 4e30]).norm()      // 5e30
  /// ```
  public func norm(_ axes: Int..., keepDims: Bool = false) -> Tensor { norm(axes: all(axes), keepDims: keepDims) }
  /// √Σx² over a list of axes; an empty one gives |x|.
  public func norm(axes: [Int], keepDims: Bool = false) -> Tensor {
    Tensor.attempt("norm", self) {
      let x = asReal()
      return Dispatch.one(.norm(.init(axes: try x.normalized(axes), keepDims: keepDims)), x)
    }
  }

  /// This times a power of two so small that sums over `axes`, and distances from a mean, stay in range; and that factor.
  func withRoom(axes: [Int]) -> (Tensor, factor: Double) {
    // 4n elements' sum is at most the largest number; of an open size nobody has 2¹⁸.
    let count = axes.reduce(1.0) { $0 * (shape.dim($1).value.map(Double.init) ?? 0x1p18) }
    let factor = Double(sign: .plus, exponent: -(Swift.max(count, 1).exponent + 3), significand: 1)
    return (self * factor, factor)
  }

  /// This divided by √(n − correction), n the number of elements that `x` has along `axes`.
  func dividedByRootOfCount(of x: Tensor, axes: [Int], correction: Int = 0) -> Tensor {
    if axes.allSatisfy({ x.shape.dim($0).isKnown }) {
      let count = axes.reduce(1.0) { $0 * Double(x.shape[$1]) }
      return self / Swift.max(count - Double(correction), 0).squareRoot()
    }
    let count = axes.reduce(Tensor.scalar(.int(1), dtype: .int64)) { $0 * Tensor.size(of: x, axis: $1) }
    return self / maximum(count - correction, 0).cast(to: dtype).sqrt()
  }

  /// 1/√(d² + e²), d this and not negative; 1 where both are 0.
  func inverseHypotenuse(_ e: Double) -> Tensor {
    let largest = withoutGradients { maximum(self, e) }
    let isZero = largest .== 0
    let scale = select(isZero, 1, largest)
    let root = ((self / scale).squared() + (e / scale).squared() + isZero.cast(to: dtype)).sqrt()
    return 1 / (root * scale)
  }
}
