import Testing

@testable import ApusCPU
@testable import ApusCore

/// Numbers that look random and are the same in every run.
struct Numbers {
  private var state: UInt64

  init(_ seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 | 1 }

  mutating func next(_ range: ClosedRange<Double>) -> Double {
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    return range.lowerBound + Double(state >> 11) * 0x1p-53 * (range.upperBound - range.lowerBound)
  }
}

extension Storage {
  /// Row-major values, converted.
  static func of(_ values: [Double], _ type: TensorType) throws -> Storage {
    try #require(values.count == type.shape.elementCount)
    return try ReferenceArray(TensorType(.float64, type.shape), .real(values)).cast(to: type.dtype).stored()
  }

  /// The elements as real numbers, whatever the layout.
  var doubles: [Double] {
    let array = ReferenceArray(self).cast(to: .float64)
    if case .real(let values) = array.elements { return values }
    return []
  }

  /// The same elements in column-major memory: a strided view.
  func transposedInMemory() throws -> Storage {
    let shape = shape
    guard shape.rank > 1, shape.elementCount > 0, dtype.bitWidth >= 8 else { return self }
    let order = Permutation(Array((0..<shape.rank).reversed()))
    let reversed = try ReferenceEngine.shared.execute(
      .permute(.init(permutation: order)), [self], outputs: [TensorType(dtype, Shape(shape.reversed()))])[0]
    var strides = InlineArray<8, Int>(repeating: 0)
    for i in 0..<shape.rank { strides[i] = reversed.strides[shape.rank - 1 - i] }
    return Storage(view: reversed, dtype: dtype, shape: shape, strides: strides, offset: 0)
  }
}

/// The largest difference, relative to the largest magnitude or 1; NaN must meet NaN.
func difference(_ a: [Double], _ b: [Double]) -> Double {
  guard a.count == b.count else { return .infinity }
  let scale = b.lazy.filter(\.isFinite).map(\.magnitude).max() ?? 1
  var largest = 0.0
  for (x, y) in zip(a, b) {
    if x.isNaN || y.isNaN {
      if x.isNaN != y.isNaN { return .infinity }
    } else if x.isInfinite || y.isInfinite {
      if x != y { return .infinity }
    } else {
      largest = max(largest, abs(x - y))
    }
  }
  return largest / max(scale, 1)
}

func expectEqual(
  _ a: [Storage], _ b: [Storage], tolerance: Double, _ comment: String, location: SourceLocation = #_sourceLocation
) {
  #expect(a.map(\.type) == b.map(\.type), "\(comment)", sourceLocation: location)
  for (k, (x, y)) in zip(a, b).enumerated() {
    let found = difference(x.doubles, y.doubles)
    #expect(found <= tolerance, "\(comment), result \(k): \(found) apart", sourceLocation: location)
  }
}

/// Runs a graph on the CPU engine and on the reference engine and compares.
func expectAgreement(
  _ graph: Graph, _ inputs: [Storage], donated: Set<Int> = [], tolerance: Double = 2e-5, _ comment: String = "",
  location: SourceLocation = #_sourceLocation
) throws {
  var kept = try inputs.map { try $0.copied() }
  let expected = try InterpretedExecutable(graph, engine: ReferenceEngine.shared).run(&kept, donated: [])
  let executable = try CPUEngine.shared.compile(graph)
  // Twice: the second run meets a used arena and cached plans.
  for _ in 0..<2 {
    var operands = try inputs.map { donated.isEmpty ? $0 : try $0.copied() }
    let results = try executable.run(&operands, donated: donated)
    expectEqual(results, expected, tolerance: tolerance, comment.isEmpty ? graph.name : comment, location: location)
  }
}

func random(_ type: TensorType, seed: UInt64, _ range: ClosedRange<Double> = -1...1) throws -> Storage {
  var numbers = Numbers(seed)
  return try .of((0..<type.shape.elementCount).map { _ in numbers.next(range) }, type)
}
