/// A tensor's elements as wide Swift numbers, dense and row-major: what the reference engine computes with.
struct ReferenceArray {
  struct Complex: Hashable, Sendable {
    var real: Double
    var imaginary: Double
  }

  /// Floats as `Double`, integers and bool (0, 1) as `Int64` (uint64 as its bit pattern).
  enum Elements {
    case real([Double])
    case integer([Int64])
    case complex([Complex])
  }

  var type: TensorType
  var elements: Elements

  var shape: Shape { type.shape }
  var count: Int {
    switch elements {
    case .real(let values): values.count
    case .integer(let values): values.count
    case .complex(let values): values.count
    }
  }

  init(_ type: TensorType, _ elements: Elements) {
    self.type = type
    self.elements = elements
  }
  init(_ type: TensorType, _ values: [Double]) { self.init(type, .real(values)) }
  init(_ type: TensorType, integers values: [Int64]) { self.init(type, .integer(values)) }

  /// The elements of a floating-point tensor.
  /// - Throws: ``ApusError`` (dtype) for the others.
  func reals() throws -> [Double] {
    guard case .real(let values) = elements else { throw ApusError(.dtype, "not defined on \(type.dtype)") }
    return values
  }

  /// The elements of an integer or bool tensor.
  func integers() throws -> [Int64] {
    guard case .integer(let values) = elements else { throw ApusError(.dtype, "not defined on \(type.dtype)") }
    return values
  }

  /// Each element's truth: whether it differs from zero.
  var truths: [Bool] {
    switch elements {
    case .real(let values): values.map { $0 != 0 }
    case .integer(let values): values.map { $0 != 0 }
    case .complex(let values): values.map { $0.real != 0 || $0.imaginary != 0 }
    }
  }

  /// The elements at `positions`, in their order; `fill` where a position is nil.
  func picking(_ positions: [Int?], fill: Scalar = .int(0), as type: TensorType) -> ReferenceArray {
    switch elements {
    case .real(let values):
      let other = fill.doubleValue
      return ReferenceArray(type, positions.map { $0.map { values[$0] } ?? other })
    case .integer(let values):
      let other = fill.integer(in: type.dtype)
      return ReferenceArray(type, integers: positions.map { $0.map { values[$0] } ?? other })
    case .complex(let values):
      let other = Complex(real: fill.doubleValue, imaginary: 0)
      return ReferenceArray(type, .complex(positions.map { $0.map { values[$0] } ?? other }))
    }
  }

  /// Whether element `i` comes before `j` where the largest comes first: NaN before everything, the earlier of equals.
  func isLarger(_ i: Int, than j: Int) -> Bool {
    switch elements {
    case .real(let values): !values[j].isNaN && (values[i].isNaN || values[i] > values[j])
    case .integer(let values): values[i] > values[j]
    case .complex: false
    }
  }

  /// The mirror of ``isLarger(_:than:)``, NaN first as well.
  func isSmaller(_ i: Int, than j: Int) -> Bool {
    switch elements {
    case .real(let values): !values[j].isNaN && (values[i].isNaN || values[i] < values[j])
    case .integer(let values): values[i] < values[j]
    case .complex: false
    }
  }
}

/// The positions `index · strides` of every index of a shape, in row-major order.
struct StridedPositions: Sequence, IteratorProtocol {
  private let shape: [Int]
  private let strides: [Int]
  private var index: [Int]
  private var position = 0
  private var remaining: Int

  init(_ shape: Shape, strides: [Int], from first: Int = 0) {
    self.shape = Array(shape)
    self.strides = strides
    index = [Int](repeating: 0, count: shape.rank)
    remaining = shape.elementCount
    position = first
  }

  mutating func next() -> Int? {
    guard remaining > 0 else { return nil }
    remaining -= 1
    let result = position
    var axis = shape.count - 1
    while axis >= 0 {
      index[axis] += 1
      position += strides[axis]
      if index[axis] < shape[axis] { break }
      position -= index[axis] * strides[axis]
      index[axis] = 0
      axis -= 1
    }
    return result
  }
}

extension Shape {
  /// Strides of a dense row-major array of this shape.
  var denseStrides: [Int] {
    var result = [Int](repeating: 1, count: rank)
    for axis in stride(from: rank - 2, through: 0, by: -1) {
      result[axis] = result[axis + 1].saturatingTimes(self[axis + 1])
    }
    return result
  }

  /// Every index of this shape, in row-major order.
  func forEachIndex(_ body: ([Int]) throws -> Void) rethrows {
    var index = [Int](repeating: 0, count: rank)
    for _ in 0..<elementCount {
      try body(index)
      for axis in stride(from: rank - 1, through: 0, by: -1) {
        index[axis] += 1
        if index[axis] < self[axis] { break }
        index[axis] = 0
      }
    }
  }
}

/// A dense array seen around one axis: [outer, length, inner].
struct AxisView {
  let outer: Int
  let length: Int
  let inner: Int

  init(_ shape: Shape, _ axis: Int) {
    outer = Sizes.product(shape.prefix(axis))
    length = shape[axis]
    inner = Sizes.product(shape.dropFirst(axis + 1))
  }

  func position(_ outer: Int, _ step: Int, _ inner: Int) -> Int { (outer * length + step) * self.inner + inner }
}
