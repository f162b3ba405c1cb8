precedencegroup ExponentiationPrecedence {
  associativity: right
  higherThan: MultiplicationPrecedence
}
/// Power. Binds tighter than `*`, to the right; a prefix minus binds tighter still: `-x ** 2` is `(-x) ** 2`.
infix operator ** : ExponentiationPrecedence
infix operator .&& : LogicalConjunctionPrecedence
infix operator .|| : LogicalDisjunctionPrecedence

/// Arithmetic, element by element. Operands broadcast as in NumPy and meet in one dtype as in PyTorch; a Swift number is
/// weak: it takes the tensor's dtype unless it is of a higher category.
///
/// ```swift
/// Tensor([1, 2]) + Tensor([[10], [20]])     // int64[2, 2]
/// Tensor([1, 2]) * 0.5                      // float32[2]
/// ```
extension Tensor {
  public static func + (a: consuming Tensor, b: consuming Tensor) -> Tensor { Promotion.arithmetic(.add, a, b) }
  public static func + <S: TensorScalar>(a: consuming Tensor, b: S) -> Tensor {
    Promotion.arithmetic(.add, a, b.scalar)
  }
  public static func + <S: TensorScalar>(a: S, b: consuming Tensor) -> Tensor {
    Promotion.arithmetic(.add, a.scalar, b)
  }

  public static func - (a: consuming Tensor, b: consuming Tensor) -> Tensor { Promotion.arithmetic(.subtract, a, b) }
  public static func - <S: TensorScalar>(a: consuming Tensor, b: S) -> Tensor {
    Promotion.arithmetic(.subtract, a, b.scalar)
  }
  public static func - <S: TensorScalar>(a: S, b: consuming Tensor) -> Tensor {
    Promotion.arithmetic(.subtract, a.scalar, b)
  }

  public static func * (a: consuming Tensor, b: consuming Tensor) -> Tensor { Promotion.arithmetic(.multiply, a, b) }
  public static func * <S: TensorScalar>(a: consuming Tensor, b: S) -> Tensor {
    Promotion.arithmetic(.multiply, a, b.scalar)
  }
  public static func * <S: TensorScalar>(a: S, b: consuming Tensor) -> Tensor {
    Promotion.arithmetic(.multiply, a.scalar, b)
  }

  /// True division: integers divide as float32. See ``floorDivide(_:)-(Tensor)`` for whole quotients.
  public static func / (a: consuming Tensor, b: consuming Tensor) -> Tensor {
    if a.storage.dtype.isFloatingPoint, b.storage.dtype.isFloatingPoint { return Promotion.arithmetic(.divide, a, b) }
    return Promotion.divide(a, b)
  }
  public static func / <S: TensorScalar>(a: consuming Tensor, b: S) -> Tensor {
    if a.storage.dtype.isFloatingPoint { return Promotion.arithmetic(.divide, a, b.scalar) }
    return Promotion.arithmetic(.divide, a.asReal(), b.scalar)
  }
  public static func / <S: TensorScalar>(a: S, b: consuming Tensor) -> Tensor {
    if b.storage.dtype.isFloatingPoint { return Promotion.arithmetic(.divide, a.scalar, b) }
    return Promotion.arithmetic(.divide, a.scalar, b.asReal())
  }

  /// a − b·⌊a/b⌋: the sign is the divisor's, as Python's; an integer's remainder by 0 is 0.
  public static func % (a: consuming Tensor, b: consuming Tensor) -> Tensor { Promotion.arithmetic(.remainder, a, b) }
  public static func % <S: TensorScalar>(a: consuming Tensor, b: S) -> Tensor {
    Promotion.arithmetic(.remainder, a, b.scalar)
  }
  public static func % <S: TensorScalar>(a: S, b: consuming Tensor) -> Tensor {
    Promotion.arithmetic(.remainder, a.scalar, b)
  }

  /// aᵇ. d/da = b·a^(b−1), 0 where b is 0; d/db = aᵇ·log a, 0 where a is 0 and b ≥ 0.
  public static func ** (a: consuming Tensor, b: consuming Tensor) -> Tensor { Promotion.arithmetic(.power, a, b) }
  public static func ** <S: TensorScalar>(a: consuming Tensor, b: S) -> Tensor { power(a, b.scalar) }
  public static func ** <S: TensorScalar>(a: S, b: consuming Tensor) -> Tensor {
    Promotion.arithmetic(.power, a.scalar, b)
  }

  public static prefix func - (a: consuming Tensor) -> Tensor { Dispatch.unary(.negate, a) }

  public static func += (a: inout Tensor, b: consuming Tensor) { a = (consume a) + b }
  public static func += <S: TensorScalar>(a: inout Tensor, b: S) { a = (consume a) + b }
  public static func -= (a: inout Tensor, b: consuming Tensor) { a = (consume a) - b }
  public static func -= <S: TensorScalar>(a: inout Tensor, b: S) { a = (consume a) - b }
  public static func *= (a: inout Tensor, b: consuming Tensor) { a = (consume a) * b }
  public static func *= <S: TensorScalar>(a: inout Tensor, b: S) { a = (consume a) * b }
  public static func /= (a: inout Tensor, b: consuming Tensor) { a = (consume a) / b }
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
  public static func .== (a: Tensor, b: Tensor) -> Tensor { Promotion.compare(.eq, a, b) }
  public static func .== <S: TensorScalar>(a: Tensor, b: S) -> Tensor { Promotion.compare(.eq, a, b.scalar) }
  public static func .== <S: TensorScalar>(a: S, b: Tensor) -> Tensor { Promotion.compare(.eq, b, a.scalar) }
  public static func .!= (a: Tensor, b: Tensor) -> Tensor { Promotion.compare(.ne, a, b) }
  public static func .!= <S: TensorScalar>(a: Tensor, b: S) -> Tensor { Promotion.compare(.ne, a, b.scalar) }
  public static func .!= <S: TensorScalar>(a: S, b: Tensor) -> Tensor { Promotion.compare(.ne, b, a.scalar) }
  public static func .< (a: Tensor, b: Tensor) -> Tensor { Promotion.compare(.lt, a, b) }
  public static func .< <S: TensorScalar>(a: Tensor, b: S) -> Tensor { Promotion.compare(.lt, a, b.scalar) }
  public static func .< <S: TensorScalar>(a: S, b: Tensor) -> Tensor { Promotion.compare(.gt, b, a.scalar) }
  public static func .<= (a: Tensor, b: Tensor) -> Tensor { Promotion.compare(.le, a, b) }
  public static func .<= <S: TensorScalar>(a: Tensor, b: S) -> Tensor { Promotion.compare(.le, a, b.scalar) }
  public static func .<= <S: TensorScalar>(a: S, b: Tensor) -> Tensor { Promotion.compare(.ge, b, a.scalar) }
  public static func .> (a: Tensor, b: Tensor) -> Tensor { Promotion.compare(.gt, a, b) }
  public static func .> <S: TensorScalar>(a: Tensor, b: S) -> Tensor { Promotion.compare(.gt, a, b.scalar) }
  public static func .> <S: TensorScalar>(a: S, b: Tensor) -> Tensor { Promotion.compare(.lt, b, a.scalar) }
  public static func .>= (a: Tensor, b: Tensor) -> Tensor { Promotion.compare(.ge, a, b) }
  public static func .>= <S: TensorScalar>(a: Tensor, b: S) -> Tensor { Promotion.compare(.ge, a, b.scalar) }
  public static func .>= <S: TensorScalar>(a: S, b: Tensor) -> Tensor { Promotion.compare(.le, b, a.scalar) }
}

/// Logic, element by element, with broadcasting; other dtypes count as true where they are not 0.
extension Tensor {
  public static func .&& (a: Tensor, b: Tensor) -> Tensor { Promotion.logical(.logicalAnd, a, b) }
  public static func .|| (a: Tensor, b: Tensor) -> Tensor { Promotion.logical(.logicalOr, a, b) }
  public static prefix func .! (a: Tensor) -> Tensor { Dispatch.one(.logicalNot, a.cast(to: .bool)) }
  /// True where exactly one of the two is.
  public func logicalXor(_ other: Tensor) -> Tensor { Promotion.logical(.logicalXor, self, other) }
}
