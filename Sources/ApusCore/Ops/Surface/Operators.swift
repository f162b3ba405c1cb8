precedencegroup ExponentiationPrecedence {
  associativity: right
  higherThan: MultiplicationPrecedence
}
/// Power. Binds tighter than `*`, to the right; a prefix minus binds tighter still: `-x ** 2` is `(-x) ** 2`.
infix operator ** : ExponentiationPrecedence
infix operator .&& : LogicalConjunctionPrecedence
infix operator .|| : LogicalDisjunctionPrecedence

/// Arithmetic, element by element. Operands broadcast as in NumPy and meet in one dtype as in PyTorch; a Swift number
/// is weak: it takes the tensor's dtype unless it is of a higher category.
///
/// ```swift
/// Tensor([1, 2]) + Tensor([[10], [20]])     // int64[2, 2]
/// Tensor([1, 2]) * 0.5                      // float32[2]
/// ```
extension Tensor {
  /// Element-wise a + b with broadcasting; integers wrap, on bool it is "or".
  public static func + (a: consuming Tensor, b: consuming Tensor) -> Tensor { Promotion.arithmetic(.add, a, b) }
  /// a + b with a weak number.
  public static func + <S: TensorScalar>(a: consuming Tensor, b: S) -> Tensor {
    Promotion.arithmetic(.add, a, b.scalar)
  }
  /// a + b with a weak number.
  public static func + <S: TensorScalar>(a: S, b: consuming Tensor) -> Tensor {
    Promotion.arithmetic(.add, a.scalar, b)
  }

  /// Element-wise a − b with broadcasting; integers wrap. Two bool operands: error (dtype).
  public static func - (a: consuming Tensor, b: consuming Tensor) -> Tensor { Promotion.arithmetic(.subtract, a, b) }
  /// a − b with a weak number.
  public static func - <S: TensorScalar>(a: consuming Tensor, b: S) -> Tensor {
    Promotion.arithmetic(.subtract, a, b.scalar)
  }
  /// a − b with a weak number.
  public static func - <S: TensorScalar>(a: S, b: consuming Tensor) -> Tensor {
    Promotion.arithmetic(.subtract, a.scalar, b)
  }

  /// Element-wise a·b with broadcasting; integers wrap, on bool it is "and". The matrix product is ``matmul(_:)``.
  public static func * (a: consuming Tensor, b: consuming Tensor) -> Tensor { Promotion.arithmetic(.multiply, a, b) }
  /// a·b with a weak number.
  public static func * <S: TensorScalar>(a: consuming Tensor, b: S) -> Tensor {
    Promotion.arithmetic(.multiply, a, b.scalar)
  }
  /// a·b with a weak number.
  public static func * <S: TensorScalar>(a: S, b: consuming Tensor) -> Tensor {
    Promotion.arithmetic(.multiply, a.scalar, b)
  }

  /// Element-wise a / b with broadcasting. True division: integers and bool divide as float32, and x / 0 is ±∞ or NaN.
  /// See ``floorDivide(_:)-(Tensor)`` for whole quotients.
  ///
  /// ```swift
  /// Tensor([1, 2]) / Tensor([2, 4])      // float32: [0.5, 0.5]
  /// ```
  public static func / (a: consuming Tensor, b: consuming Tensor) -> Tensor {
    if a.storage.dtype.isFloatingPoint, b.storage.dtype.isFloatingPoint { return Promotion.arithmetic(.divide, a, b) }
    return Promotion.divide(a, b)
  }
  /// a / b with a weak number; an integer tensor divides as float32.
  public static func / <S: TensorScalar>(a: consuming Tensor, b: S) -> Tensor {
    if a.storage.dtype.isFloatingPoint { return Promotion.arithmetic(.divide, a, b.scalar) }
    return Promotion.arithmetic(.divide, a.asReal(), b.scalar)
  }
  /// a / b with a weak number; an integer tensor divides as float32.
  public static func / <S: TensorScalar>(a: S, b: consuming Tensor) -> Tensor {
    if b.storage.dtype.isFloatingPoint { return Promotion.arithmetic(.divide, a.scalar, b) }
    return Promotion.arithmetic(.divide, a.scalar, b.asReal())
  }

  /// Element-wise a − b·⌊a/b⌋ with broadcasting: the sign is the divisor's, as Python's. By 0 an integer's remainder is
  /// 0, a real's NaN.
  ///
  /// ```swift
  /// Tensor([7, -7]) % 3      // [1, 2]
  /// ```
  public static func % (a: consuming Tensor, b: consuming Tensor) -> Tensor { Promotion.arithmetic(.remainder, a, b) }
  /// a − b·⌊a/b⌋ with a weak number.
  public static func % <S: TensorScalar>(a: consuming Tensor, b: S) -> Tensor {
    Promotion.arithmetic(.remainder, a, b.scalar)
  }
  /// a − b·⌊a/b⌋ with a weak number.
  public static func % <S: TensorScalar>(a: S, b: consuming Tensor) -> Tensor {
    Promotion.arithmetic(.remainder, a.scalar, b)
  }

  /// Element-wise aᵇ with broadcasting. Integers wrap; where their exponent is negative the result is 1/a^|b|
  /// truncated. d/da = b·a^(b−1), 0 where b is 0; d/db = aᵇ·log a, 0 where a is 0 and b ≥ 0.
  public static func ** (a: consuming Tensor, b: consuming Tensor) -> Tensor { Promotion.arithmetic(.power, a, b) }
  /// aᵇ with a weak number. Integers to a negative whole number: error (argument).
  public static func ** <S: TensorScalar>(a: consuming Tensor, b: S) -> Tensor { power(a, b.scalar) }
  /// aᵇ with a weak number.
  public static func ** <S: TensorScalar>(a: S, b: consuming Tensor) -> Tensor {
    Promotion.arithmetic(.power, a.scalar, b)
  }

  /// Element-wise −x; integers wrap. On bool: error (dtype).
  public static prefix func - (a: consuming Tensor) -> Tensor { Dispatch.unary(.negate, a) }

  /// a = a + b: shape and dtype may change with it; `a`'s memory may be reused where nothing else holds it.
  public static func += (a: inout Tensor, b: consuming Tensor) { a = (consume a) + b }
  /// a = a + b with a weak number.
  public static func += <S: TensorScalar>(a: inout Tensor, b: S) { a = (consume a) + b }
  /// a = a − b.
  public static func -= (a: inout Tensor, b: consuming Tensor) { a = (consume a) - b }
  /// a = a − b with a weak number.
  public static func -= <S: TensorScalar>(a: inout Tensor, b: S) { a = (consume a) - b }
  /// a = a·b.
  public static func *= (a: inout Tensor, b: consuming Tensor) { a = (consume a) * b }
  /// a = a·b with a weak number.
  public static func *= <S: TensorScalar>(a: inout Tensor, b: S) { a = (consume a) * b }
  /// a = a / b: an integer tensor becomes float32.
  public static func /= (a: inout Tensor, b: consuming Tensor) { a = (consume a) / b }
  /// a = a / b with a weak number: an integer tensor becomes float32.
  public static func /= <S: TensorScalar>(a: inout Tensor, b: S) { a = (consume a) / b }

  private static func power(_ a: consuming Tensor, _ b: Scalar) -> Tensor {
    let dtype = a.storage.dtype
    if b.doubleValue == 2, dtype.hasArithmetic, dtype != .bool, dtype.promotedWithWeak(b.weakDType) == dtype {
      return copy a * a
    }
    if b.doubleValue < 0, case .int = b, !dtype.isFloatingPoint {
      let error = ApusError(
        .argument, "whole numbers have no negative whole powers (\(b)); cast to float32 first", operation: "power",
        operands: [a.type])
      return Dispatch.fail(error, type: a.type)
    }
    return Promotion.arithmetic(.power, a, b)
  }
}

/// Comparison, element by element, with broadcasting; the result is bool.
///
/// ```swift
/// Tensor([1, 2, 3]) .> 1        // [false, true, true]
/// ```
extension Tensor {
  /// Whether a = b, element by element; NaN equals nothing.
  public static func .== (a: Tensor, b: Tensor) -> Tensor { Promotion.compare(.eq, a, b) }
  /// a = b with a number.
  public static func .== <S: TensorScalar>(a: Tensor, b: S) -> Tensor { Promotion.compare(.eq, a, b.scalar) }
  /// a = b with a number.
  public static func .== <S: TensorScalar>(a: S, b: Tensor) -> Tensor { Promotion.compare(.eq, b, a.scalar) }
  /// Whether a ≠ b, element by element; true for NaN.
  public static func .!= (a: Tensor, b: Tensor) -> Tensor { Promotion.compare(.ne, a, b) }
  /// a ≠ b with a number.
  public static func .!= <S: TensorScalar>(a: Tensor, b: S) -> Tensor { Promotion.compare(.ne, a, b.scalar) }
  /// a ≠ b with a number.
  public static func .!= <S: TensorScalar>(a: S, b: Tensor) -> Tensor { Promotion.compare(.ne, b, a.scalar) }
  /// Whether a < b, element by element; false for NaN.
  public static func .< (a: Tensor, b: Tensor) -> Tensor { Promotion.compare(.lt, a, b) }
  /// a < b with a number.
  public static func .< <S: TensorScalar>(a: Tensor, b: S) -> Tensor { Promotion.compare(.lt, a, b.scalar) }
  /// a < b with a number.
  public static func .< <S: TensorScalar>(a: S, b: Tensor) -> Tensor { Promotion.compare(.gt, b, a.scalar) }
  /// Whether a ≤ b, element by element; false for NaN.
  public static func .<= (a: Tensor, b: Tensor) -> Tensor { Promotion.compare(.le, a, b) }
  /// a ≤ b with a number.
  public static func .<= <S: TensorScalar>(a: Tensor, b: S) -> Tensor { Promotion.compare(.le, a, b.scalar) }
  /// a ≤ b with a number.
  public static func .<= <S: TensorScalar>(a: S, b: Tensor) -> Tensor { Promotion.compare(.ge, b, a.scalar) }
  /// Whether a > b, element by element; false for NaN.
  public static func .> (a: Tensor, b: Tensor) -> Tensor { Promotion.compare(.gt, a, b) }
  /// a > b with a number.
  public static func .> <S: TensorScalar>(a: Tensor, b: S) -> Tensor { Promotion.compare(.gt, a, b.scalar) }
  /// a > b with a number.
  public static func .> <S: TensorScalar>(a: S, b: Tensor) -> Tensor { Promotion.compare(.lt, b, a.scalar) }
  /// Whether a ≥ b, element by element; false for NaN.
  public static func .>= (a: Tensor, b: Tensor) -> Tensor { Promotion.compare(.ge, a, b) }
  /// a ≥ b with a number.
  public static func .>= <S: TensorScalar>(a: Tensor, b: S) -> Tensor { Promotion.compare(.ge, a, b.scalar) }
  /// a ≥ b with a number.
  public static func .>= <S: TensorScalar>(a: S, b: Tensor) -> Tensor { Promotion.compare(.le, b, a.scalar) }
}

/// Logic, element by element, with broadcasting; other dtypes count as true where they are not 0.
extension Tensor {
  /// True where both are. Both sides are computed.
  public static func .&& (a: Tensor, b: Tensor) -> Tensor { Promotion.logical(.logicalAnd, a, b) }
  /// True where at least one is. Both sides are computed.
  public static func .|| (a: Tensor, b: Tensor) -> Tensor { Promotion.logical(.logicalOr, a, b) }
  /// True where the operand is false or 0.
  public static prefix func .! (a: Tensor) -> Tensor { Dispatch.one(.logicalNot, a.cast(to: .bool)) }
  /// True where exactly one of the two is.
  public func logicalXor(_ other: Tensor) -> Tensor { Promotion.logical(.logicalXor, self, other) }
}
