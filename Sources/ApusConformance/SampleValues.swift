import ApusCore

/// SplitMix64: small, seeded, the same everywhere. (Steele, Lea, Flood, "Fast Splittable Pseudorandom Number
/// Generators", OOPSLA 2014.)
public struct SplitMix: RandomNumberGenerator, Sendable {
  private var state: UInt64
  /// The stream of a seed.
  public init(seed: UInt64) { state = seed }
  /// The next 64 bits.
  public mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}

extension Sample.Operand {
  /// The shape of the tensor that the operand becomes.
  public var shape: Shape {
    switch self {
    case .real(let shape, _): shape
    case .integer(let shape, _, _): shape
    case .bool(let shape): shape
    case .values(_, let shape, _): shape
    }
  }
}

extension Sample {
  /// Tensors for its operands, the same ones for the same seed.
  ///
  /// - Parameters:
  ///   - seed: chooses the numbers of operands that are given by a range.
  ///   - dtype: what real operands (ranges of reals, and listed float64 values) are made of. For integer dtypes they
  ///     are rounded, for complex ones an imaginary part is added.
  /// - Throws: `ApusError` when they can't be made.
  public func tensors(seed: UInt64 = 1, reals dtype: DType = .float64) throws -> [Tensor] {
    try operands.enumerated().map { i, operand in
      try operand.tensor(seed: seed &* 1_000_003 &+ UInt64(i), reals: dtype)
    }
  }

  /// Whether `reals` has an influence.
  public var hasReals: Bool {
    operands.contains {
      switch $0 {
      case .real: true
      case .values(_, _, let dtype): dtype == .float64
      case .integer, .bool: false
      }
    }
  }
}

extension Sample.Operand {
  func tensor(seed: UInt64, reals: DType) throws -> Tensor {
    var generator = SplitMix(seed: seed)
    func numbers(_ shape: Shape, _ make: (inout SplitMix) -> Double) -> [Double] {
      (0..<shape.elementCount).map { _ in make(&generator) }
    }
    switch self {
    case .real(let shape, let range):
      return try Values.tensor(numbers(shape) { Double.random(in: range, using: &$0) }, shape, reals)
    case .integer(let shape, let range, let dtype):
      return try Values.tensor(numbers(shape) { Double(Int.random(in: range, using: &$0)) }, shape, dtype)
    case .bool(let shape):
      return try Values.tensor(numbers(shape) { Bool.random(using: &$0) ? 1 : 0 }, shape, .bool)
    case .values(let values, let shape, let dtype):
      return try Values.tensor(values, shape, dtype == .float64 ? reals : dtype)
    }
  }
}

/// Tensors made and read by the reference engine, whatever engine is being examined.
enum Values {
  static func tensor(_ values: [Double], _ shape: Shape, _ dtype: DType) throws -> Tensor {
    let reals = try bytes(values, TensorType(.float64, shape))
    if dtype == .float64 { return reals }
    if dtype.isComplex {
      // The imaginary parts are the real ones, backwards.
      let pairs = zip(values, values.reversed()).flatMap { [$0, $1] }
      return try cast(try bytes(pairs, TensorType(.complex128, shape)), dtype)
    }
    if dtype == .bool { return try cast(try cast(try reals.rounded(), .int64), .bool) }
    // Integers wrap, so a negative number is a large one of an unsigned type.
    return dtype.isFloatingPoint ? try cast(reals, dtype) : try cast(try cast(try reals.rounded(), .int64), dtype)
  }

  private static func bytes(_ values: [Double], _ type: TensorType) throws -> Tensor {
    try Tensor(bytes: values.span.bytes, type: type)
  }

  static func cast(_ x: Tensor, _ dtype: DType) throws -> Tensor {
    try reference(.cast(.init(dtype: dtype)), [x])[0]
  }

  /// What the reference engine computes, always into memory of its own (`apply` would give views).
  static func reference(_ primitive: Primitive, _ operands: [Tensor]) throws -> [Tensor] {
    let types = try primitive.definition.infer(operands.map(\.type))
    return try ReferenceEngine.shared.execute(primitive, operands.map(\.storage), outputs: types).map {
      Tensor(storage: $0)
    }
  }

  /// What an engine's device computes later may fail later.
  static func wait(for results: [Storage]) throws { for result in results { try Tensor(storage: result).wait() } }

  static func doubles(_ x: Tensor) -> [Double] {
    withEngine(ReferenceEngine.shared) { outsideTrace { x.toArray(of: Double.self) } }
  }
  static func integers(_ x: Tensor) -> [Int64] {
    withEngine(ReferenceEngine.shared) { outsideTrace { x.toArray(of: Int64.self) } }
  }

  /// The contiguous elements' bytes.
  static func bytes(_ x: Tensor) throws -> [UInt8] {
    let whole = x.storage.isContiguous ? x.storage : try HostCopy.contiguous(x.storage)
    return whole.withBytes { Array($0) }
  }
}

extension Tensor {
  fileprivate func rounded() throws -> Tensor { try Values.reference(.round, [self])[0] }
}
