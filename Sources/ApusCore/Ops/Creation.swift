extension Tensor {
  // MARK: From Swift values

  /// A scalar tensor. Without `dtype`, `Double` and `Float` make float32, `Int` makes int64, `Bool` makes bool.
  ///
  /// ```swift
  /// Tensor(3)                                // int64[]
  /// Tensor(2.0, requiresGradient: true)      // float32[], a leaf of the gradient tape
  /// ```
  /// - Parameters:
  ///   - value: the only element.
  ///   - dtype: of the tensor; for an integer one fractions are cut off, and a number beyond the range of any is an error
  ///     (argument).
  ///   - requiresGradient: whether it is a leaf whose ``gradient`` `backward` fills; on integers and bool: error
  ///     (gradient).
  public init<S: TensorScalar>(_ value: S, dtype: DType? = nil, requiresGradient: Bool = false) {
    let wanted = dtype ?? S.defaultDType
    // Straight to memory: a scalar is made in every other line of research code. (uint64 has values no `Scalar` holds.)
    self =
      wanted.hasArithmetic && S.dtype != .uint64 && value.scalar.fits(wanted)
      ? Tensor.scalar(value.scalar, dtype: wanted) : Tensor([value], shape: [], dtype: dtype)
    if requiresGradient { self = requiringGradient() }
  }

  /// A vector [n] of `dtype`: see ``init(_:shape:dtype:)``.
  ///
  /// ```swift
  /// Tensor([1, 2, 3])                    // int64[3]
  /// Tensor([1.5, 2], dtype: .float64)    // float64[2]
  /// ```
  public init<S: TensorScalar>(_ values: [S], dtype: DType? = nil, requiresGradient: Bool = false) {
    self = Tensor(values, shape: [values.count], dtype: dtype)
    if requiresGradient { self = requiringGradient() }
  }

  /// A matrix [m, n] from m rows of n elements. Rows of unequal length: error (shape).
  ///
  /// ```swift
  /// Tensor([[1.0, 2.0], [3.0, 4.0]])     // float32[2, 2]
  /// ```
  public init<S: TensorScalar>(_ rows: [[S]], dtype: DType? = nil, requiresGradient: Bool = false) {
    let inner: Shape = [rows.first?.count ?? 0]
    self.init(nested: rows, inner: inner, S.self, dtype, requiresGradient) { Tensor($0, dtype: dtype) }
  }

  /// Rank 3, nested arrays of equal lengths; others: error (shape).
  public init<S: TensorScalar>(_ values: [[[S]]], dtype: DType? = nil, requiresGradient: Bool = false) {
    let inner: Shape = [values.first?.count ?? 0, values.first?.first?.count ?? 0]
    self.init(nested: values, inner: inner, S.self, dtype, requiresGradient) { Tensor($0, dtype: dtype) }
  }

  /// Rank 4, nested arrays of equal lengths; others: error (shape).
  public init<S: TensorScalar>(_ values: [[[[S]]]], dtype: DType? = nil, requiresGradient: Bool = false) {
    let first = values.first
    let inner: Shape = [
      first?.count ?? 0, first?.first?.count ?? 0, first?.first?.first?.count ?? 0,
    ]
    self.init(nested: values, inner: inner, S.self, dtype, requiresGradient) { Tensor($0, dtype: dtype) }
  }

  private init<E, S: TensorScalar>(
    nested: [E], inner: Shape, _ element: S.Type, _ dtype: DType?, _ requiresGradient: Bool, _ make: (E) -> Tensor
  ) {
    let parts = nested.map(make)
    if let odd = parts.first(where: { $0.shape != inner }) {
      self = Dispatch.fail(
        ApusError(.shape, "nested arrays must have equal lengths: \(inner) and \(odd.shape)", operation: "Tensor"),
        type: odd.type)
      return
    }
    if parts.isEmpty {
      self = Tensor([S](), shape: inner.inserting(0, at: 0), dtype: dtype)
    } else {
      self = stack(parts, axis: 0)
    }
    if requiresGradient { self = requiringGradient() }
  }

  /// Row-major values in a shape. Another number of values than the shape has elements: error (shape). Numbers beyond the
  /// range of `dtype`, infinity and NaN for an integer one: error (argument). What is within is rounded; for an integer
  /// dtype fractions are cut off.
  ///
  /// ```swift
  /// Tensor([1, 2, 3, 4, 5, 6], shape: [2, 3])      // [[1, 2, 3], [4, 5, 6]]
  /// ```
  public init<S: TensorScalar>(_ values: [S], shape: Shape, dtype: DType? = nil) {
    let wanted = dtype ?? S.defaultDType
    guard shape.isStatic, shape.elementCount == values.count else {
      self = Dispatch.fail(
        ApusError(
          .shape, "\(values.count) values do not fill the shape \(shape) of \(shape.elementDim)", operation: "Tensor"),
        type: TensorType(wanted, shape))
      return
    }
    if wanted != S.dtype, let odd = Tensor.misfit(values, wanted) {
      self = Tensor.attempt("Tensor") {
        try odd.scalar.checkFits(wanted)
        return Tensor.zeros(shape, dtype: wanted)
      }
      return
    }
    let made = Tensor.making(TensorType(S.dtype, shape)) { destination in
      values.withUnsafeBytes { if !$0.isEmpty { destination.copyMemory(from: $0) } }
    }
    // A plain conversion of host values, not an operation: it must not enter a trace as a node.
    self = wanted == S.dtype ? made : outsideTrace { made.cast(to: wanted) }
  }

  /// The first value that can't be an element of a dtype.
  private static func misfit<S: TensorScalar>(_ values: [S], _ dtype: DType) -> S? {
    let limit = dtype.overflow
    // Where every value of the type fits, none is looked at.
    if S.dtype == .bool || dtype == .bool { return nil }
    if let own = S.dtype.integerRange, S.dtype != .uint64 {
      if let range = dtype.integerRange {
        if range.contains(own.lowerBound), range.contains(own.upperBound) { return nil }
      } else if -Double(own.lowerBound) < limit, Double(own.upperBound) < limit {
        return nil
      }
    }
    if S.dtype.isFloatingPoint, dtype.integerRange == nil, S.dtype.overflow <= limit { return nil }
    // Large tables come as these two; generic code would take longer to look at them than to copy them.
    if let reals = values as? [Double], dtype.isFloatingPoint {
      return reals.allSatisfy { $0.magnitude < limit || !$0.isFinite } ? nil : values.first { !$0.scalar.fits(dtype) }
    }
    if let whole = values as? [Int], let range = dtype.integerRange {
      return whole.allSatisfy { range.contains(Int64($0)) } ? nil : values.first { !$0.scalar.fits(dtype) }
    }
    return values.first { !$0.scalar.fits(dtype) }
  }

  /// A tensor over a copy of little-endian, row-major bytes.
  ///
  /// ```swift
  /// let values: [Float] = [1, 2, 3, 4, 5, 6]
  /// let x = try Tensor(bytes: values.span.bytes, type: TensorType(.float32, [2, 3]))
  /// ```
  /// A bool is true where its byte is not 0.
  /// - Throws: ``ApusError``: (argument) when the count of bytes is not the type's, (memory) when they can't be had.
  public init(bytes: RawSpan, type: TensorType) throws {
    let count = try type.byteCount()
    guard bytes.byteCount == count else {
      throw ApusError(.argument, "\(type) takes \(count) bytes, not \(bytes.byteCount)", operation: "Tensor")
    }
    let storage = try Storage(type)
    bytes.withUnsafeBytes { source in
      guard let start = source.baseAddress, count > 0 else { return }
      storage.plainAddress.copyMemory(from: start, byteCount: count)
      // Foreign bytes may be neither of the two that a Bool is.
      if type.dtype == .bool {
        let bytes = storage.pointer(as: UInt8.self)
        for i in 0..<count { bytes[i] = bytes[i] == 0 ? 0 : 1 }
      }
    }
    self.init(storage: storage)
  }

  /// A tensor whose memory `fill` writes.
  static func making(_ type: TensorType, _ fill: (UnsafeMutableRawBufferPointer) -> Void) -> Tensor {
    do {
      let storage = try Storage(type)
      fill(UnsafeMutableRawBufferPointer(start: storage.plainAddress, count: try type.byteCount()))
      return Tensor(storage)
    } catch {
      return Dispatch.fail(error, type: type)
    }
  }

  // MARK: Filled

  /// A tensor of one repeated value, of the value's default dtype when none is given. A value beyond the dtype's range:
  /// error (argument).
  ///
  /// ```swift
  /// Tensor.full([2, 3], 0.5)      // float32[2, 3]
  /// ```
  public static func full<S: TensorScalar>(_ shape: Shape, _ value: S, dtype: DType? = nil) -> Tensor {
    // uint64 has values no `Scalar` holds: one element, seen everywhere.
    if S.dtype == .uint64 { return Tensor(value, dtype: dtype).broadcast(to: shape) }
    guard value.scalar.fits(dtype ?? S.defaultDType) else {
      return Tensor([value], shape: [], dtype: dtype).broadcast(to: shape)
    }
    return filled(TensorType(dtype ?? S.defaultDType, shape), value.scalar)
  }
  static func filled(_ type: TensorType, _ value: Scalar) -> Tensor {
    Dispatch.run(.full(.init(value: value, type: type)), [])[0]
  }
  /// Zeros; false where the dtype is bool.
  public static func zeros(_ shape: Shape, dtype: DType = .float32) -> Tensor {
    filled(TensorType(dtype, shape), .int(0))
  }
  /// Ones; true where the dtype is bool.
  public static func ones(_ shape: Shape, dtype: DType = .float32) -> Tensor {
    filled(TensorType(dtype, shape), .int(1))
  }
  /// Zeros of another tensor's dtype and shape. It requires no gradient.
  public static func zerosLike(_ other: Tensor) -> Tensor { filled(other.type, .int(0)) }
  /// Ones of another tensor's dtype and shape. It requires no gradient.
  public static func onesLike(_ other: Tensor) -> Tensor { filled(other.type, .int(1)) }
  /// One repeated value in another tensor's dtype and shape. It requires no gradient.
  public static func fullLike<S: TensorScalar>(_ other: Tensor, _ value: S) -> Tensor {
    full(other.shape, value, dtype: other.dtype)
  }

  /// The identity matrix of n rows, [n, n].
  public static func eye(_ n: Int, dtype: DType = .float32) -> Tensor {
    let i = iota([n, n], axis: 0, dtype: .int64)
    return (i .== iota([n, n], axis: 1, dtype: .int64)).cast(to: dtype)
  }

  /// 0, 1, 2, … along an axis, the same along the others.
  ///
  /// - Parameters:
  ///   - shape: of the result, of rank 1 at least.
  ///   - axis: the one that is counted along, in 0..<rank.
  ///   - dtype: one with arithmetic, but not bool.
  public static func iota(_ shape: Shape, axis: Int = 0, dtype: DType = .int64) -> Tensor {
    Dispatch.run(.iota(.init(type: TensorType(dtype, shape), axis: axis)), [])[0]
  }

  /// `start`, `start + step`, … up to but not including `stop`. A step of 0, and numbers that the dtype can't hold: error
  /// (argument).
  ///
  /// ```swift
  /// Tensor.arange(0, 10, step: 3)        // int64: [0, 3, 6, 9]
  /// Tensor.arange(1.0, 0, step: -0.5)    // float32: [1, 0.5]
  /// ```
  public static func arange<S: TensorScalar & Comparable & SignedNumeric>(
    _ start: S, _ stop: S, step: S = 1, dtype: DType? = nil
  ) -> Tensor {
    let type = dtype ?? S.defaultDType
    func fail(_ kind: ApusError.Kind, _ problem: String) -> Tensor {
      Dispatch.fail(
        ApusError(kind, "from \(start) to \(stop) by \(step) \(problem)", operation: "arange"),
        type: TensorType(type, [0]))
    }
    if case (.int(let a), .int(let b), .int(let s)) = (start.scalar, stop.scalar, step.scalar) {
      guard s != 0 else { return fail(.argument, "never ends") }
      guard a < b ? s > 0 : a > b && s < 0 else { return iota([0], dtype: .int64).cast(to: type) }
      let (distance, overflows) = (a < b ? b : a).subtractingReportingOverflow(a < b ? a : b)
      guard !overflows else { return fail(.memory, "has more elements than memory holds") }
      let n = Int((UInt64(distance) - 1) / s.magnitude) + 1
      if let odd = [a, a &+ s &* Int64(n - 1)].first(where: { !Scalar.int($0).fits(type) }) {
        return Tensor.misfitting(.int(odd), TensorType(type, [Dim(n)]), "arange")
      }
      return (iota([n], dtype: .int64) * step + start).cast(to: type)
    }
    let (a, b, s) = (start.scalar.doubleValue, stop.scalar.doubleValue, step.scalar.doubleValue)
    guard s != 0, ((b - a) / s).isFinite else { return fail(.argument, "never ends") }
    // Beyond 2^53 a float64 does not tell neighbouring counts apart, and no memory holds so many.
    guard let n = Int(exactly: Swift.max(0, ((b - a) / s).rounded(.up))), n < 1 << 53 else {
      return fail(.memory, "has more elements than memory holds")
    }
    if n > 0, let odd = [a, a + s * Double(n - 1)].first(where: { !Scalar.double($0).fits(type) }) {
      return Tensor.misfitting(.double(odd), TensorType(type, [Dim(n)]), "arange")
    }
    return (iota([n], dtype: .float64) * s + a).cast(to: type)
  }
  /// 0, 1, … `stop` − 1.
  public static func arange(_ stop: Int, dtype: DType = .int64) -> Tensor { arange(0, stop, dtype: dtype) }

  /// `count` evenly spaced values from `start` to `stop`, both included; `start` alone for a count of 1. Ends that are not
  /// finite, or that the dtype can't hold: error (argument).
  ///
  /// ```swift
  /// Tensor.linspace(0, 1, count: 5)      // [0, 0.25, 0.5, 0.75, 1]
  /// ```
  public static func linspace(_ start: Double, _ stop: Double, count: Int, dtype: DType = .float32) -> Tensor {
    if let odd = [start, stop].first(where: { !$0.isFinite || !Scalar.double($0).fits(dtype) }) {
      return misfitting(.double(odd), TensorType(dtype, [Dim(Swift.max(count, 0))]), "linspace")
    }
    let i = iota([count], dtype: .float64)
    guard count > 1 else { return (i + start).cast(to: dtype) }
    let last = Double(count - 1)
    // The distance of two numbers may be larger than any.
    let step = (stop - start).isFinite ? (stop - start) / last : stop / last - start / last
    // As NumPy: rounding must not move the end.
    return select(i .== last, stop, i * step + start).cast(to: dtype)
  }

  /// What stands for a tensor of numbers one of which its dtype can't hold.
  static func misfitting(_ number: Scalar, _ type: TensorType, _ operation: String) -> Tensor {
    let range = ApusError(.argument, "\(number) is no end of a range", operation: operation)
    do {
      try number.checkFits(type.dtype)
      return Dispatch.fail(range, type: type)
    } catch {
      return Dispatch.fail((error as? ApusError)?.at(operation, [type]) ?? error, type: type)
    }
  }

  // MARK: Host reads

  /// The elements in row-major order, converted to `S` as ``cast(to:)`` does. In `checked`, a failed tensor gives NaN,
  /// 0 or false for each (a million at most). While tracing a symbolic one has no values: error (trace), and none are
  /// given.
  ///
  /// ```swift
  /// Tensor([[1, 2], [3, 4]]).toArray(of: Int.self)      // [1, 2, 3, 4]
  /// ```
  public func toArray<S: TensorScalar>(of: S.Type) -> [S] {
    func nothing() -> [S] {
      shape.isStatic ? Array(repeating: S.nothing, count: Swift.min(elementCount, 1_000_000)) : []
    }
    guard let host = hostReadable("toArray") else { return isPoisoned ? nothing() : [] }
    let plain = host.dtype == S.dtype ? host : outsideTrace { host.detached().cast(to: S.dtype) }
    let whole = plain.contiguous()
    // The cast itself may have failed: at the operation limit of a `checked` block.
    guard whole.storage.isConcrete else { return nothing() }
    do {
      _ = try whole.storage.plain()
      return whole.storage.withBytes { Array($0.bindMemory(to: S.self)) }
    } catch {
      Dispatch.report(error)
      return nothing()
    }
  }

  /// The elements in row-major order as floats; see ``toArray(of:)``.
  public func toArray() -> [Float] { toArray(of: Float.self) }

  /// The only element, converted to `S` as ``cast(to:)`` does; the tensor may have any rank.
  ///
  /// Unless there is exactly one: error (shape). While tracing there is no value: error (trace). Where such an error is
  /// recorded, the result is NaN, 0 or false.
  /// ```swift
  /// Tensor([[7]]).item(as: Int.self)      // 7
  /// ```
  public func item<S: TensorScalar>(as: S.Type) -> S {
    guard hostReadable("item") != nil else { return S.nothing }
    guard elementCount == 1 else {
      Dispatch.reporting {
        throw ApusError(.shape, "only a tensor of one element is an item", operation: "item", operands: [type])
      }
      return S.nothing
    }
    return toArray(of: S.self)[0]
  }
  /// The only element as a `Double`; see ``item(as:)``. An int64 beyond 2⁵³ is rounded.
  ///
  /// ```swift
  /// let error = (prediction - target).squared().mean().item()
  /// ```
  public func item() -> Double { item(as: Double.self) }

  private func hostReadable(_ what: String) -> Tensor? {
    if storage.isConcrete { return self }
    if !isPoisoned {
      Dispatch.reporting {
        throw ApusError(
          .trace, "a value was asked for while tracing, when there is none: keep it a tensor, or return it",
          operation: what,
          operands: [type])
      }
    } else if let recorder = ExecutionContext.current?.recorder {
      try? recorder.countOperation()
    } else {
      fatalError("\(what): the tensor is the result of an operation that failed inside `checked`")
    }
    return nil
  }

  /// The same values in row-major memory without gaps; itself when it has them.
  func contiguous() -> Tensor {
    if storage.isContiguous { return self }
    do {
      return Tensor(try HostCopy.contiguous(storage))
    } catch {
      return Dispatch.fail(error, type: type)
    }
  }
}

/// Copies of strided host memory, where no engine is at hand.
public enum HostCopy {
  /// The same elements in plain, row-major memory of their own; opaque content is made plain first.
  /// - Throws: ``ApusError``: (unsupported) for elements of less than a byte, (memory).
  public static func contiguous(_ source: Storage) throws -> Storage {
    guard source.dtype.bitWidth >= 8 else {
      throw ApusError(.unsupported, "elements of \(source.dtype) share bytes: they can't be copied one by one")
    }
    let result = try Storage(source.type)
    let width = source.dtype.stride
    let from = try source.plain()
    if source.shape.contains(0) { return result }
    let to = result.plainAddress
    var position = 0
    func copy(_ axis: Int, _ offset: Int) {
      if axis == source.shape.rank {
        (to + position * width).copyMemory(from: from + offset * width, byteCount: width)
        position += 1
        return
      }
      let step = source.strides[axis]
      for i in 0..<source.shape[axis] { copy(axis + 1, offset + i * step) }
    }
    copy(0, 0)
    return withExtendedLifetime(source) { result }
  }
}
