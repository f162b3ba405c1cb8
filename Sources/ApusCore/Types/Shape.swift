/// The dimensions of a tensor, outermost first: at most ``maximumRank`` of them, kept inline.
///
/// As a collection its elements are `Int`. Inside a trace some dimensions may be symbolic: reading such a one as an
/// `Int` specialises the graph to today's size, while ``dim(_:)`` keeps it symbolic.
///
/// ```swift
/// let s: Shape = [32, 1, 28, 28]
/// s.rank            // 4
/// s.elementCount    // 25088
/// ```
public struct Shape: Sendable, BitwiseCopyable {
  /// The largest rank a tensor may have.
  public static let maximumRank = 8

  @usableFromInline var raw: InlineArray<8, Int>
  @usableFromInline var length: Int

  /// Rank 0: a scalar's shape.
  public init() {
    raw = InlineArray(repeating: 0)
    length = 0
  }

  /// A negative dimension and a ninth one are errors (shape): they trap, or are recorded by `checked` or a trace.
  public init(_ dimensions: some Sequence<Int>) {
    self.init()
    for size in dimensions { append(Dim(size)) }
  }

  /// From dimensions that may be symbolic. A ninth one is an error (shape).
  public init(dims: some Sequence<Dim>) {
    self.init()
    for d in dims { append(d) }
  }

  init(repeating dim: Dim, count: Int) {
    self.init()
    for _ in 0..<count { append(dim) }
  }

  /// A scalar has rank 0, a vector 1, a matrix 2.
  public var rank: Int { length }

  /// The dimension as it is, symbolic ones included; `i` is in 0..<rank. Others: error (argument).
  public func dim(_ i: Int) -> Dim {
    guard i >= 0 && i < length else { return missing(i) }
    return Dim(raw: raw[i])
  }

  @inline(never)
  private func missing(_ i: Int) -> Dim {
    Dispatch.report(ApusError(.argument, "dimension \(i) of a shape of rank \(length)"))
    return Dim(raw: 0)
  }

  mutating func setDim(_ i: Int, _ dim: Dim) {
    precondition(i >= 0 && i < length, "dimension \(i) of a shape of rank \(length)")
    raw[i] = dim.raw
  }

  /// Adds an innermost dimension. A ninth: error (shape).
  public mutating func append(_ dim: Dim) {
    guard length < Self.maximumRank else {
      return Dispatch.report(ApusError(.shape, "a shape has at most \(Self.maximumRank) dimensions"))
    }
    raw[length] = dim.raw
    length += 1
  }

  /// The dimensions as they are, symbolic ones included.
  public var dims: [Dim] { (0..<length).map { Dim(raw: raw[$0]) } }

  /// Whether no dimension is symbolic.
  public var isStatic: Bool {
    for i in 0..<length where raw[i] < 0 { return false }
    return true
  }

  /// Number of elements: the product of the dimensions, 1 for a scalar. Saturates at `Int.max`. In a trace, symbolic
  /// dimensions are thereby fixed.
  public var elementCount: Int {
    var product = 1
    for i in 0..<length {
      let (next, overflow) = product.multipliedReportingOverflow(by: self[i])
      if overflow { return contains(0) ? 0 : Int.max }
      product = next
    }
    return product
  }

  /// Number of elements when symbolic dimensions are allowed.
  public var elementDim: Dim { dims.reduce(Dim(1), *) }

  func dropping(_ axis: Int) -> Shape { Shape(dims: (0..<length).lazy.filter { $0 != axis }.map { dim($0) }) }

  func inserting(_ dim: Dim, at axis: Int) -> Shape {
    var all = dims
    all.insert(dim, at: axis)
    return Shape(dims: all)
  }

  func replacing(_ axis: Int, with dim: Dim) -> Shape {
    var copy = self
    copy.setDim(axis, dim)
    return copy
  }

  func appending(_ other: Shape) -> Shape { Shape(dims: dims + other.dims) }

  /// The shape under an assignment of symbolic names; nil when one is missing.
  public func resolved(_ sizes: [String: Int]) -> Shape? {
    if isStatic { return self }
    var result = self
    for i in 0..<length {
      guard let size = dim(i).resolved(sizes), size >= 0 else { return nil }
      result.raw[i] = size
    }
    return result
  }

  /// NumPy broadcasting of two shapes: aligned at the right, a 1 stretches. nil when they don't fit; a symbolic size
  /// fits itself and 1 only. https://numpy.org/doc/stable/user/basics.broadcasting.html
  ///
  /// ```swift
  /// Shape.broadcast([3, 1], [4])      // [3, 4]
  /// Shape.broadcast([3], [4])         // nil
  /// ```
  public static func broadcast(_ a: Shape, _ b: Shape) -> Shape? {
    if a == b { return a }
    let rank = Swift.max(a.rank, b.rank)
    var result = Shape(repeating: 1, count: rank)
    for i in 0..<rank {
      let x = i < rank - a.rank ? Dim(1) : a.dim(i - (rank - a.rank))
      let y = i < rank - b.rank ? Dim(1) : b.dim(i - (rank - b.rank))
      if x == y || y.raw == 1 {
        result.setDim(i, x)
      } else if x.raw == 1 {
        result.setDim(i, y)
      } else {
        return nil
      }
    }
    return result
  }
}

extension Shape: Hashable {
  /// Whether all dimensions are equal; symbolic ones are when their expressions are.
  @inlinable
  public static func == (a: Shape, b: Shape) -> Bool {
    guard a.length == b.length else { return false }
    for i in 0..<a.length where a.raw[i] != b.raw[i] { return false }
    return true
  }
  public func hash(into hasher: inout Hasher) {
    hasher.combine(length)
    for i in 0..<length { hasher.combine(raw[i]) }
  }
}

extension Shape: RandomAccessCollection {
  /// 0.
  public var startIndex: Int { 0 }
  /// ``rank``.
  public var endIndex: Int { length }

  /// The size of dimension `i`. Inside a trace, a symbolic dimension is thereby fixed to today's size.
  public subscript(i: Int) -> Int {
    guard i >= 0 && i < length else { return missing(i).raw }
    let size = raw[i]
    return size >= 0 ? size : Trace.specialise(Dim(raw: size))
  }
}

/// What may stand in a shape's literal: a number, a name, a ``Dim``. `[n, 28]`, `["batch", 784]`.
public protocol DimConvertible {
  /// The dimension that it stands for.
  var dim: Dim { get }
}
extension Int: DimConvertible {
  /// A known size; a negative one is an error (shape).
  public var dim: Dim { Dim(self) }
}
extension String: DimConvertible {
  /// A size of this name.
  public var dim: Dim { .symbol(self) }
}
extension Dim: DimConvertible {
  /// Itself.
  public var dim: Dim { self }
}

extension Shape: ExpressibleByArrayLiteral, CustomStringConvertible {
  /// `[32, 28]`, `["batch", 784]`, `[n * 2, 3]`; more than eight are an error (shape).
  public init(arrayLiteral elements: any DimConvertible...) {
    self.init()
    for element in elements { append(element.dim) }
  }
  public var description: String { "[" + dims.map(\.description).joined(separator: ", ") + "]" }
}

extension Shape: Codable {
  /// Decodes an array of dimensions.
  /// - Throws: `DecodingError` for more than ``maximumRank``.
  public init(from decoder: any Decoder) throws {
    let dims = try [Dim](from: decoder)
    guard dims.count <= Self.maximumRank else {
      throw DecodingError.dataCorrupted(
        .init(codingPath: decoder.codingPath, debugDescription: "rank \(dims.count) exceeds \(Self.maximumRank)"))
    }
    self.init(dims: dims)
  }
  public func encode(to encoder: any Encoder) throws { try dims.encode(to: encoder) }
}

/// A set of a tensor's axes, as bits.
public struct AxisSet: Hashable, Codable, Sendable, BitwiseCopyable, ExpressibleByArrayLiteral {
  /// Bit `i` stands for axis `i`.
  public private(set) var bits: UInt8 = 0

  /// `[0, 2]`; each must be in 0..<8.
  public init(arrayLiteral axes: Int...) { for a in axes { insert(a) } }
  /// Each must be in 0..<8.
  public init(_ axes: some Sequence<Int>) { for a in axes { insert(a) } }
  /// Axes 0..<rank.
  public static func all(rank: Int) -> AxisSet { AxisSet(0..<rank) }

  /// Adds an axis. One that is not in 0..<8: error (argument), recorded in `checked`, a trap outside.
  public mutating func insert(_ axis: Int) {
    let fits = axis >= 0 && axis < Shape.maximumRank
    require(fits, "axis \(axis) is not in 0..<\(Shape.maximumRank)")
    if fits { bits |= 1 << UInt8(axis) }
  }
  /// Whether the axis is one of them.
  public func contains(_ axis: Int) -> Bool { axis >= 0 && axis < 8 && bits & (1 << UInt8(axis)) != 0 }
  /// How many axes there are.
  public var count: Int { bits.nonzeroBitCount }
  /// Whether there is none.
  public var isEmpty: Bool { bits == 0 }
  /// The axes in ascending order.
  public var axes: [Int] { (0..<8).filter(contains) }
}

extension AxisSet: CustomStringConvertible {
  public var description: String { "\(axes)" }
}

/// An order of axes: axis `i` of the result is axis `self[i]` of the operand.
public struct Permutation: Hashable, Codable, Sendable, BitwiseCopyable {
  private var packed: UInt64 = 0
  /// How many axes it orders.
  public let count: Int

  /// `order` must hold each of 0..<count once, at most 8. Otherwise: error (argument), recorded in `checked`, a trap
  /// outside.
  public init(_ order: [Int]) {
    let fits = Self.isOrder(order)
    require(fits, "\(order) is not a permutation of 0..<\(order.count)")
    count = fits ? order.count : 0
    if fits { for (i, axis) in order.enumerated() { packed |= UInt64(axis) << UInt64(8 * i) } }
  }

  private static func isOrder(_ order: [Int]) -> Bool {
    order.count <= Shape.maximumRank && order.sorted() == Array(0..<order.count)
  }

  private enum CodingKeys: String, CodingKey { case packed, count }

  /// Decodes an order.
  /// - Throws: `DecodingError` when it does not hold each axis once.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: CodingKeys.self)
    packed = try container.decode(UInt64.self, forKey: .packed)
    count = try container.decode(Int.self, forKey: .count)
    guard (0...Shape.maximumRank).contains(count), Self.isOrder(order),
      count == Shape.maximumRank || packed >> UInt64(8 * count) == 0
    else {
      throw DecodingError.dataCorruptedError(
        forKey: .packed, in: container, debugDescription: "not a permutation of so many axes")
    }
  }

  /// The operand's axis that becomes axis `i` of the result.
  public subscript(i: Int) -> Int { Int(packed >> UInt64(8 * i) & 0xFF) }
  /// The operand's axes in the result's order.
  public var order: [Int] { (0..<count).map { self[$0] } }
  /// The order that undoes this one.
  public var inverse: Permutation {
    var result = [Int](repeating: 0, count: count)
    for i in 0..<count { result[self[i]] = i }
    return Permutation(result)
  }
  /// Whether every axis stays where it is.
  public var isIdentity: Bool { (0..<count).allSatisfy { self[$0] == $0 } }
}

extension Permutation: CustomStringConvertible {
  public var description: String { "\(order)" }
}
