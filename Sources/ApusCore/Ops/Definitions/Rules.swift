/// The checks that type rules are made of. Each error says what would fit.
enum Rules {
  static func count(_ operands: [TensorType], _ expected: Int) throws {
    guard operands.count == expected else {
      throw ApusError(.argument, "takes \(expected) operand\(expected == 1 ? "" : "s"), not \(operands.count)")
    }
  }

  /// A dtype with `+` and `*`: every one with arithmetic but bool.
  static func numeric(_ type: TensorType) throws {
    guard type.dtype.hasArithmetic, type.dtype != .bool else {
      throw ApusError(
        .dtype, "has no arithmetic on \(type.dtype); cast to float32, float64, int32, int64 or uint8 first")
    }
  }

  static func floating(_ type: TensorType) throws {
    guard type.dtype == .float32 || type.dtype == .float64 else {
      throw ApusError(.dtype, "is defined on float32 and float64, not on \(type.dtype); cast first")
    }
  }

  static func boolean(_ type: TensorType) throws {
    guard type.dtype == .bool else {
      throw ApusError(.dtype, "takes bool, not \(type.dtype); compare with zero first (x .!= 0)")
    }
  }

  static func index(_ type: TensorType) throws {
    guard type.dtype == .int64 || type.dtype == .int32 else {
      throw ApusError(.dtype, "indices are int64 or int32, not \(type.dtype); cast them first")
    }
  }

  static func sameDType(_ a: TensorType, _ b: TensorType) throws {
    guard a.dtype == b.dtype else {
      throw ApusError(.dtype, "the operands' dtypes differ: \(a.dtype) and \(b.dtype); cast one of them")
    }
  }

  static func same(_ a: TensorType, _ b: TensorType) throws {
    try sameDType(a, b)
    guard a.shape == b.shape else {
      throw ApusError(.shape, "the operands' shapes differ: \(a.shape) and \(b.shape); broadcast one of them")
    }
  }

  static func shape(_ type: TensorType, _ expected: Shape, _ what: @autoclosure () -> String) throws {
    guard type.shape == expected else {
      throw ApusError(.shape, "\(what()) must have shape \(expected), not \(type.shape)")
    }
  }

  /// Symbolic sizes are equal only when their expressions are.
  static func equal(_ a: Dim, _ b: Dim, _ what: @autoclosure () -> String) throws {
    guard a == b else { throw ApusError(.shape, "\(what()): \(a) and \(b)") }
  }

  static func axis(_ axis: Int, _ type: TensorType) throws {
    guard axis >= 0, axis < type.rank else {
      throw ApusError(
        .argument, type.rank == 0 ? "a scalar has no axis \(axis)" : "axis \(axis) is not in 0..<\(type.rank)")
    }
  }

  static func axes(_ axes: AxisSet, _ type: TensorType) throws {
    for axis in axes.axes { try Rules.axis(axis, type) }
  }

  static func rank(_ type: TensorType, _ rank: Int, _ what: @autoclosure () -> String) throws {
    guard type.rank == rank else {
      throw ApusError(.shape, "\(what()) must have rank \(rank), not \(type.rank)")
    }
  }

  static func rank(_ rank: Int) throws {
    guard rank <= Shape.maximumRank else {
      throw ApusError(.shape, "the result would have rank \(rank); at most \(Shape.maximumRank) is possible")
    }
  }

  static func nonEmpty(_ type: TensorType, _ axis: Int) throws {
    if type.shape.dim(axis).value == 0 {
      throw ApusError(.shape, "axis \(axis) has no elements, and an extremum of nothing is not defined")
    }
  }

  /// Sizes above this name no memory; sums of a few below it fit an `Int`.
  static let largestSize = 1 << 48

  /// Refuses an attribute with which size arithmetic would overflow.
  static func addressable(_ dim: Dim, _ what: @autoclosure () -> String) throws {
    if let size = dim.value, size > largestSize {
      throw ApusError(.memory, "\(what()) is \(size), and memory can't hold so many elements")
    }
  }

  /// Whether a known `a` exceeds a known `b`.
  static func exceeds(_ a: Dim, _ b: Dim) -> Bool {
    guard let a = a.value, let b = b.value else { return false }
    return a > b
  }
}

extension AxisSet {
  /// The same axes after a leading one was added.
  var shiftedForBatch: AxisSet { AxisSet(axes.map { $0 + 1 }) }
}

extension Shape {
  /// The shape after reducing over `axes`.
  func reduced(_ axes: AxisSet, keepDims: Bool) -> Shape {
    var result = Shape()
    for i in 0..<rank {
      if !axes.contains(i) {
        result.append(dim(i))
      } else if keepDims {
        result.append(1)
      }
    }
    return result
  }

  static func zeros(_ rank: Int) -> Shape { Shape(repeating: 0, count: rank) }
  static func ones(_ rank: Int) -> Shape { Shape(repeating: 1, count: rank) }
}

/// Shapes that samples of shape-agnostic primitives share: a scalar, a vector, nothing, and rank 3.
enum SampleShapes {
  static let all: [Shape] = [[], [3], [0, 2], [2, 3, 4]]
}
