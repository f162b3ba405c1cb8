/// Functions of one operand, element by element. Those of reals turn integers and bool into float32 first; the result
/// has the operand's shape.
///
/// ```swift
/// Tensor([0.0, 1.0]).exp()      // [1, 2.7183]
/// sqrt(Tensor([4, 9]))          // float32: [2, 3]
/// ```
extension Tensor {
  @inline(__always)
  private static func real(_ primitive: Primitive, _ x: consuming Tensor) -> Tensor {
    x.storage.dtype.isFloatingPoint ? Dispatch.unary(primitive, x) : Dispatch.unary(primitive, x.asReal())
  }

  /// |x|; the derivative at 0 is 0.
  public consuming func abs() -> Tensor { Dispatch.unary(.abs, self) }
  /// −1, 0 or 1; NaN stays NaN. The derivative is 0.
  public consuming func sign() -> Tensor { Dispatch.unary(.sign, self) }
  /// The largest whole number not above x. The derivative is 0.
  public consuming func floor() -> Tensor {
    storage.dtype.isInteger ? self : Dispatch.unary(.floor, self)
  }
  /// The smallest whole number not below x. The derivative is 0.
  public consuming func ceil() -> Tensor {
    storage.dtype.isInteger ? self : Dispatch.unary(.ceil, self)
  }
  /// The nearest whole number, halves to the even one. The derivative is 0.
  public consuming func round() -> Tensor {
    storage.dtype.isInteger ? self : Dispatch.unary(.round, self)
  }
  /// eˣ.
  public consuming func exp() -> Tensor { Tensor.real(.exp, self) }
  /// eˣ − 1, exact near 0.
  public consuming func expm1() -> Tensor { Tensor.real(.expm1, self) }
  /// The natural logarithm; NaN below 0, −∞ at 0.
  public consuming func log() -> Tensor { Tensor.real(.log, self) }
  /// log(1 + x), exact near 0.
  public consuming func log1p() -> Tensor { Tensor.real(.log1p, self) }
  /// √x; NaN below 0.
  public consuming func sqrt() -> Tensor { Tensor.real(.sqrt, self) }
  /// 1/√x.
  public consuming func rsqrt() -> Tensor { Tensor.real(.rsqrt, self) }
  /// The sine of x radians.
  public consuming func sin() -> Tensor { Tensor.real(.sin, self) }
  /// The cosine of x radians.
  public consuming func cos() -> Tensor { Tensor.real(.cos, self) }
  /// The hyperbolic tangent.
  public consuming func tanh() -> Tensor { Tensor.real(.tanh, self) }
  /// The error function, 2/√π ∫₀ˣ exp(−t²) dt.
  public consuming func erf() -> Tensor { Tensor.real(.erf, self) }
  /// 1 / (1 + exp(−x)).
  public consuming func sigmoid() -> Tensor { Tensor.real(.sigmoid, self) }
  /// max(x, 0); the derivative at 0 is 0.
  public consuming func relu() -> Tensor { Dispatch.unary(.relu, self) }

  /// x², as `x * x`.
  public func squared() -> Tensor { self * self }

  /// The same values in another dtype; itself when it has it already.
  ///
  /// Real to integer truncates toward zero, saturates, and sends NaN to 0; integer to integer wraps; anything to bool
  /// asks whether it is not 0. The gradient is cast back; none passes integers and bool.
  /// ```swift
  /// Tensor([1.9, -1.9]).cast(to: .int64)      // [1, -1]
  /// ```
  @inline(__always)
  public func cast(to dtype: DType) -> Tensor {
    storage.dtype == dtype ? self : Dispatch.one(.cast(.init(dtype: dtype)), self)
  }
}

// The same as free functions, as mathematics writes them.
/// |x|; the derivative at 0 is 0. See the method of ``Tensor``.
public func abs(_ x: consuming Tensor) -> Tensor { x.abs() }
/// −1, 0 or 1; NaN stays NaN. The derivative is 0. See the method of ``Tensor``.
public func sign(_ x: consuming Tensor) -> Tensor { x.sign() }
/// The largest whole number not above x. The derivative is 0. See the method of ``Tensor``.
public func floor(_ x: consuming Tensor) -> Tensor { x.floor() }
/// The smallest whole number not below x. The derivative is 0. See the method of ``Tensor``.
public func ceil(_ x: consuming Tensor) -> Tensor { x.ceil() }
/// The nearest whole number, halves to the even one. The derivative is 0. See the method of ``Tensor``.
public func round(_ x: consuming Tensor) -> Tensor { x.round() }
/// eˣ. See the method of ``Tensor``.
public func exp(_ x: consuming Tensor) -> Tensor { x.exp() }
/// eˣ − 1, exact near 0. See the method of ``Tensor``.
public func expm1(_ x: consuming Tensor) -> Tensor { x.expm1() }
/// The natural logarithm; NaN below 0, −∞ at 0. See the method of ``Tensor``.
public func log(_ x: consuming Tensor) -> Tensor { x.log() }
/// log(1 + x), exact near 0. See the method of ``Tensor``.
public func log1p(_ x: consuming Tensor) -> Tensor { x.log1p() }
/// √x; NaN below 0. See the method of ``Tensor``.
public func sqrt(_ x: consuming Tensor) -> Tensor { x.sqrt() }
/// 1/√x. See the method of ``Tensor``.
public func rsqrt(_ x: consuming Tensor) -> Tensor { x.rsqrt() }
/// The sine of x radians. See the method of ``Tensor``.
public func sin(_ x: consuming Tensor) -> Tensor { x.sin() }
/// The cosine of x radians. See the method of ``Tensor``.
public func cos(_ x: consuming Tensor) -> Tensor { x.cos() }
/// The hyperbolic tangent. See the method of ``Tensor``.
public func tanh(_ x: consuming Tensor) -> Tensor { x.tanh() }
/// The error function, 2/√π ∫₀ˣ exp(−t²) dt. See the method of ``Tensor``.
public func erf(_ x: consuming Tensor) -> Tensor { x.erf() }
/// 1 / (1 + exp(−x)). See the method of ``Tensor``.
public func sigmoid(_ x: consuming Tensor) -> Tensor { x.sigmoid() }
/// max(x, 0); the derivative at 0 is 0. See the method of ``Tensor``.
public func relu(_ x: consuming Tensor) -> Tensor { x.relu() }
