/// Brings operands to one dtype and one shape before a primitive sees them, by PyTorch's rules.
///
/// - Two tensors: the smallest dtype both fit in. A scalar tensor (rank 0) beside a tensor with axes only counts when
///   it is of a higher category (bool < integer < real).
/// - A Swift number is weak: only a higher category widens the tensor, a Double to float32.
/// - Shapes broadcast as NumPy's do; casts come first, while tensors are small.
///
/// https://docs.pytorch.org/docs/stable/tensor_attributes.html#type-promotion-doc
enum Promotion {
  /// The dtype that two tensors meet in.
  static func common(_ a: Tensor, _ b: Tensor) -> DType {
    if a.dtype == b.dtype { return a.dtype }
    let promoted = DType.promote(a.dtype, b.dtype)
    if a.rank > 0, b.rank == 0, sameCategory(promoted, a.dtype) { return a.dtype }
    if b.rank > 0, a.rank == 0, sameCategory(promoted, b.dtype) { return b.dtype }
    return promoted
  }

  /// The operands in the smallest dtype that all fit in: for operations whose operands are of one kind but of different
  /// ranks, as images and their weights, so that no rank weighs less.
  static func unified(_ operands: [Tensor]) -> [Tensor] {
    guard let first = operands.first, operands.contains(where: { $0.dtype != first.dtype }) else { return operands }
    let dtype = operands.dropFirst().reduce(first.dtype) { DType.promote($0, $1.dtype) }
    return operands.map { $0.cast(to: dtype) }
  }

  private static func sameCategory(_ a: DType, _ b: DType) -> Bool {
    a.isFloatingPoint == b.isFloatingPoint && a.isComplex == b.isComplex && (a == .bool) == (b == .bool)
  }

  /// Both operands in `dtype` and their common shape.
  /// - Throws: ``ApusError`` when the shapes do not broadcast.
  static func unified(_ a: Tensor, _ b: Tensor, dtype: DType) throws -> (Tensor, Tensor) {
    guard let shape = Shape.broadcast(a.shape, b.shape) else { throw misfit(a.shape, b.shape) }
    return (a.cast(to: dtype).stretched(to: shape), b.cast(to: dtype).stretched(to: shape))
  }

  static func misfit(_ a: Shape, _ b: Shape) -> ApusError {
    ApusError(.shape, "shapes \(a) and \(b) do not broadcast: sizes, aligned at the right, must be equal or 1")
  }

  // MARK: Arithmetic

  /// bit i: dtype i has `+` and `*` (uint8, int32, int64, float32, float64).
  private static let numeric: UInt32 = 1 << 1 | 1 << 5 | 1 << 7 | 1 << 11 | 1 << 12

  @inline(__always)
  private static func isNumeric(_ dtype: DType) -> Bool { numeric >> UInt32(dtype.rawValue) & 1 != 0 }

  /// An arithmetic primitive of two tensors. Equal numeric dtypes and equal shapes go straight to the engine.
  @inline(__always)
  static func arithmetic(_ primitive: Primitive, _ a: consuming Tensor, _ b: consuming Tensor) -> Tensor {
    if a.storage.dtype == b.storage.dtype, isNumeric(a.storage.dtype), a.storage.shape == b.storage.shape {
      return Dispatch.binary(primitive, a, b)
    }
    return promoted(primitive, a, b)
  }

  private static func promoted(_ primitive: Primitive, _ a: Tensor, _ b: Tensor) -> Tensor {
    Tensor.attempt(primitive.name, a, b) {
      let dtype = common(a, b)
      let (x, y) = try unified(a, b, dtype: dtype)
      guard dtype == .bool else { return Dispatch.binary(primitive, x, y) }
      return try truth(primitive, x, y)
    }
  }

  /// An arithmetic primitive of a tensor and a weak number.
  @inline(__always)
  static func arithmetic(_ primitive: Primitive, _ a: consuming Tensor, _ b: Scalar) -> Tensor {
    if isNumeric(a.storage.dtype), keeps(a.storage.dtype, b) {
      let number = Tensor.filled(b, a)
      return Dispatch.binary(primitive, a, number)
    }
    let x = a
    return Tensor.attempt(primitive.name, x) { promoted(primitive, x, try weak(b, beside: x.dtype, primitive)) }
  }
  @inline(__always)
  static func arithmetic(_ primitive: Primitive, _ a: Scalar, _ b: consuming Tensor) -> Tensor {
    if isNumeric(b.storage.dtype), keeps(b.storage.dtype, a) {
      let number = Tensor.filled(a, b)
      return Dispatch.binary(primitive, number, b)
    }
    let y = b
    return Tensor.attempt(primitive.name, y) { promoted(primitive, try weak(a, beside: y.dtype, primitive), y) }
  }

  /// Whether a weak number leaves the tensor's numeric dtype as it is, and is one of its values.
  @inline(__always)
  private static func keeps(_ dtype: DType, _ scalar: Scalar) -> Bool {
    switch scalar {
    case .double(let value): dtype.isFloatingPoint && (value.magnitude < dtype.overflow || !value.isFinite)
    default: dtype.isFloatingPoint || scalar.fits(dtype)
    }
  }

  /// A weak number as a tensor to stand beside one of `dtype`. Where that can't hold it, sums and products of integers
  /// wrap, as they do for whatever they are of; anything else has no right answer in `dtype`.
  static func weak(_ scalar: Scalar, beside dtype: DType, _ primitive: Primitive) throws -> Tensor {
    let dtype = dtype.promotedWithWeak(scalar.weakDType)
    switch primitive {
    case _ where scalar.fits(dtype): return Tensor.scalar(scalar, dtype: dtype)
    case .add where dtype.isInteger, .subtract where dtype.isInteger, .multiply where dtype.isInteger:
      return outsideTrace { Tensor.scalar(scalar, dtype: .int64).cast(to: dtype) }
    default:
      try scalar.checkFits(dtype)
      return Tensor.scalar(scalar, dtype: dtype)
    }
  }

  /// Arithmetic on bool is that of PyTorch: + is or, · is and; there is no difference.
  private static func truth(_ primitive: Primitive, _ a: Tensor, _ b: Tensor) throws -> Tensor {
    switch primitive {
    case .add, .maximum: return Dispatch.one(.logicalOr, a, b)
    case .multiply, .minimum: return Dispatch.one(.logicalAnd, a, b)
    case .subtract: throw ApusError(.dtype, "bool has no subtraction; use logicalXor, or cast first")
    default: return Dispatch.binary(primitive, a.cast(to: .int64), b.cast(to: .int64))
    }
  }

  /// True division: integers and bool divide as float32.
  static func divide(_ a: Tensor, _ b: Tensor) -> Tensor {
    Tensor.attempt("divide", a, b) {
      let dtype = common(a, b)
      let (x, y) = try unified(a, b, dtype: dtype.isFloatingPoint || dtype.isComplex ? dtype : .float32)
      return Dispatch.binary(.divide, x, y)
    }
  }

  // MARK: Comparison

  static func compare(_ comparison: Primitive.Compare.Comparison, _ a: Tensor, _ b: Tensor) -> Tensor {
    let primitive = Primitive.compare(.init(comparison))
    if a.dtype == b.dtype, a.shape == b.shape { return Dispatch.one(primitive, a, b) }
    return Tensor.attempt("compare", a, b) {
      let (x, y) = try unified(a, b, dtype: common(a, b))
      return Dispatch.one(primitive, x, y)
    }
  }

  /// A weak number that the tensor's dtype can't hold is compared in the widest of its kind, and whole numbers are
  /// compared with a real one as they are: rounded to float32 they could be equal to it.
  static func compare(_ comparison: Primitive.Compare.Comparison, _ a: Tensor, _ b: Scalar) -> Tensor {
    var (comparison, b) = (comparison, b)
    if case .double(let real) = b, a.dtype.isInteger { (comparison, b) = whole(comparison, real) }
    let dtype = comparisonDType(a.dtype, b)
    let x = a.cast(to: dtype)
    return Dispatch.one(.compare(.init(comparison)), x, Tensor.filled(b, x))
  }

  private static func comparisonDType(_ dtype: DType, _ scalar: Scalar) -> DType {
    let weak = dtype.promotedWithWeak(scalar.weakDType)
    // int64 is no wider than uint64, which has no comparison anyway.
    if scalar.fits(weak) || weak == .uint64 { return weak }
    return weak.isFloatingPoint ? .float64 : .int64
  }

  /// The comparison with a whole number that has the same answer for every whole number.
  private static func whole(_ comparison: Primitive.Compare.Comparison, _ real: Double) -> (
    Primitive.Compare.Comparison, Scalar
  ) {
    func always(_ answer: Bool) -> (Primitive.Compare.Comparison, Scalar) { (answer ? .ge : .lt, .int(.min)) }
    if real.isNaN { return always(comparison == .ne) }
    if real >= 0x1p63 { return always(comparison == .ne || comparison == .lt || comparison == .le) }
    if real < -0x1p63 { return always(comparison == .ne || comparison == .gt || comparison == .ge) }
    switch comparison {
    case .eq, .ne:
      return real == real.rounded() ? (comparison, .int(Int64(real))) : always(comparison == .ne)
    // ⌈real⌉ may be 2⁶³ only where real is, which was told apart.
    case .lt, .ge: return (comparison, .int(Int64(real.rounded(.up))))
    case .le, .gt: return (comparison, .int(Int64(real.rounded(.down))))
    }
  }

  // MARK: Logic

  static func logical(_ primitive: Primitive, _ a: Tensor, _ b: Tensor) -> Tensor {
    Tensor.attempt(primitive.name, a, b) {
      let (x, y) = try unified(a, b, dtype: .bool)
      return Dispatch.one(primitive, x, y)
    }
  }
}

extension Tensor {
  /// Runs a composite's body; an error names the operation and its operands.
  static func attempt(_ name: String, _ operands: Tensor..., body: () throws -> Tensor) -> Tensor {
    do {
      return try body()
    } catch {
      let types = operands.map(\.type)
      let named: any Error = (error as? ApusError)?.at(name, types) ?? error
      return Dispatch.fail(named, type: types.first ?? TensorType(.float32, []))
    }
  }

  /// Broadcast to a shape that is known to fit.
  @inline(__always)
  func stretched(to target: Shape) -> Tensor {
    shape == target ? self : Dispatch.one(.broadcast(.init(shape: target)), self)
  }

  /// Integers and bool as float32: what functions of reals do with them.
  @inline(__always)
  func asReal() -> Tensor { dtype.isFloatingPoint || dtype.isComplex ? self : cast(to: .float32) }
}
