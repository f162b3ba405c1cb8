extension Tensor {
  /// selfᵉ, element by element: `x.power(y)` is `x ** y`.
  public consuming func power(_ exponent: consuming Tensor) -> Tensor { self ** exponent }
  /// xᵉ with a weak number: `x.power(2)` is `x ** 2`.
  public consuming func power<S: TensorScalar>(_ exponent: S) -> Tensor { self ** exponent }

  /// Element-wise ⌊a/b⌋ with broadcasting, Python's `//`: rounded toward −∞. Integers stay integers, and by 0 give 0;
  /// reals by 0 give ±∞ or NaN.
  ///
  /// ```swift
  /// Tensor([7, -7]).floorDivide(2)      // [3, -4]
  /// ```
  public func floorDivide(_ other: Tensor) -> Tensor {
    Tensor.attempt("floorDivide", self, other) {
      let dtype = Promotion.common(self, other)
      let (a, b) = try Promotion.unified(self, other, dtype: dtype == .bool ? .int64 : dtype)
      let remainder = a % b
      if !dtype.isFloatingPoint {
        // The quotient toward 0; by 0 it is 0.
        let quotient = Dispatch.binary(.divide, a, b)
        let rest = a - quotient * b
        return select((b .!= 0) .&& (rest .!= 0) .&& ((rest .< 0) .!= (b .< 0)), quotient - 1, quotient)
      }
      // What is left divides exactly, but for rounding. By ±∞ that would be ∞/∞, and a finite number is its own
      // remainder unless the signs differ.
      let finite = select(b .== 0, a / b, ((a - remainder) / b).round())
      let byInfinity = (b.abs() .== Double.infinity) .&& (a.abs() .< Double.infinity)
      return select(byInfinity, select(remainder .== a, Tensor.zerosLike(a), Tensor.fullLike(a, -1)), finite)
    }
  }
  /// ⌊a/b⌋ by a weak number.
  public func floorDivide<S: TensorScalar>(_ other: S) -> Tensor {
    Tensor.attempt("floorDivide", self) { floorDivide(try Promotion.weak(other.scalar, beside: dtype, .divide)) }
  }

  /// The values held within bounds; a bound that is left out does not bind, and one beyond the dtype's range is that
  /// range's end. NaN stays NaN, and on a bound the whole gradient passes.
  ///
  /// ```swift
  /// Tensor([-2, 0, 7]).clamped(min: 0, max: 5)      // [0, 0, 5]
  /// ```
  public func clamped<S: TensorScalar>(min: S? = nil, max: S? = nil) -> Tensor {
    var result = self
    if let min { result = select(result .< min, result.bound(min), result) }
    if let max { result = select(result .> max, result.bound(max), result) }
    return result
  }

  private func bound<S: TensorScalar>(_ bound: S) -> Tensor {
    let dtype = dtype.promotedWithWeak(bound.scalar.weakDType)
    return Tensor.scalar(bound.scalar.saturated(dtype), dtype: dtype)
  }
}

/// The larger of two, element by element, with broadcasting; NaN wins, on bool it is "or". Equal operands get half of
/// the gradient each.
///
/// ```swift
/// maximum(Tensor([1, 5]), Tensor([3, 2]))      // [3, 5]
/// ```
public func maximum(_ a: consuming Tensor, _ b: consuming Tensor) -> Tensor { Promotion.arithmetic(.maximum, a, b) }
/// The larger of each element and a weak number.
public func maximum<S: TensorScalar>(_ a: consuming Tensor, _ b: S) -> Tensor {
  Promotion.arithmetic(.maximum, a, b.scalar)
}
/// The larger of a weak number and each element.
public func maximum<S: TensorScalar>(_ a: S, _ b: consuming Tensor) -> Tensor {
  Promotion.arithmetic(.maximum, a.scalar, b)
}

/// The smaller of two, element by element, with broadcasting; NaN wins, on bool it is "and". Equal operands get half of
/// the gradient each.
public func minimum(_ a: consuming Tensor, _ b: consuming Tensor) -> Tensor { Promotion.arithmetic(.minimum, a, b) }
/// The smaller of each element and a weak number.
public func minimum<S: TensorScalar>(_ a: consuming Tensor, _ b: S) -> Tensor {
  Promotion.arithmetic(.minimum, a, b.scalar)
}
/// The smaller of a weak number and each element.
public func minimum<S: TensorScalar>(_ a: S, _ b: consuming Tensor) -> Tensor {
  Promotion.arithmetic(.minimum, a.scalar, b)
}

/// `a` where the condition is true, `b` elsewhere (`torch.where`); all three broadcast. No gradient reaches the
/// condition.
///
/// ```swift
/// select(x .> 0, x, x * 0.1)
/// ```
/// - Parameters:
///   - condition: bool; other dtypes count as true where they are not 0.
///   - a: the elements where the condition is true.
///   - b: the elements where it is not. The result has the dtype that `a` and `b` are promoted to.
public func select(_ condition: Tensor, _ a: Tensor, _ b: Tensor) -> Tensor {
  if condition.dtype == .bool, a.type == b.type, condition.shape == a.shape {
    return Dispatch.one(.select, condition, a, b)
  }
  return Tensor.attempt("select", condition, a, b) {
    let (x, y) = try Promotion.unified(a, b, dtype: Promotion.common(a, b))
    guard let shape = Shape.broadcast(condition.shape, x.shape) else {
      throw Promotion.misfit(condition.shape, x.shape)
    }
    return Dispatch.one(
      .select, condition.cast(to: .bool).stretched(to: shape), x.stretched(to: shape), y.stretched(to: shape))
  }
}
/// The weak number `a` where the condition is true, `b` elsewhere.
public func select<S: TensorScalar>(_ condition: Tensor, _ a: S, _ b: Tensor) -> Tensor {
  let y = b.cast(to: b.dtype.promotedWithWeak(a.scalar.weakDType))
  return Tensor.attempt("select", condition, y) {
    try a.scalar.checkFits(y.dtype)
    return select(condition, Tensor.filled(a.scalar, y), y)
  }
}
/// `a` where the condition is true, the weak number `b` elsewhere.
public func select<S: TensorScalar>(_ condition: Tensor, _ a: Tensor, _ b: S) -> Tensor {
  let x = a.cast(to: a.dtype.promotedWithWeak(b.scalar.weakDType))
  return Tensor.attempt("select", condition, x) {
    try b.scalar.checkFits(x.dtype)
    return select(condition, x, Tensor.filled(b.scalar, x))
  }
}
/// One of two numbers; the result has the condition's shape and the numbers' default dtype.
public func select<S: TensorScalar>(_ condition: Tensor, _ a: S, _ b: S) -> Tensor {
  select(condition, Tensor(a), Tensor(b))
}
