import ApusCore

/// How an operand lies in memory.
public enum Layout: String, CaseIterable, Sendable {
  case contiguous
  /// Axes reversed in memory.
  case permuted
  /// Inside a larger array, with other numbers around it.
  case sliced
  /// Every second element along the last axis.
  case stepped
  /// The first row for every row: stride 0.
  case repeated
  /// One element for all.
  case uniform

  /// The tensor in this layout (`repeated` and `uniform` change its values); nil where that makes no difference.
  func lay(_ x: Tensor) throws -> Tensor? {
    let shape = x.shape
    if self == .contiguous { return x }
    // Elements of less than a byte have no addresses for strides to point at.
    guard shape.rank > 0, shape.elementCount > 0, x.dtype.bitWidth >= 8 else { return nil }
    let zeros = same(0, shape.rank)
    let ones = same(1, shape.rank)
    switch self {
    case .contiguous: return x
    case .permuted:
      guard shape.rank > 1 else { return nil }
      let order = Primitive.permute(.init(permutation: Permutation(Array((0..<shape.rank).reversed()))))
      return try view(order, try Values.reference(order, [x])[0])
    case .sliced:
      let padding = Primitive.pad(.init(low: ones, high: same(2, shape.rank), value: .int(1)))
      let stops = Shape(shape.map { $0 + 1 })
      return try view(.slice(.init(starts: ones, stops: stops, steps: ones)), try Values.reference(padding, [x])[0])
    case .stepped:
      let last = shape.rank - 1
      var (wide, steps, stops) = (Array(shape), Array(ones), Array(shape))
      wide[last] = 2 * shape[last]
      steps[last] = 2
      stops[last] = 2 * shape[last] - 1
      let ground = Primitive.Full(value: .int(1), type: TensorType(x.dtype, Shape(wide)))
      let update = Primitive.sliceUpdate(.init(starts: zeros, steps: Shape(steps)))
      let spread = try Values.reference(update, [try Values.reference(.full(ground), [])[0], x])[0]
      return try view(.slice(.init(starts: zeros, stops: Shape(stops), steps: Shape(steps))), spread)
    case .repeated:
      guard shape[0] > 1 else { return nil }
      return try stretched(x, to: shape, keeping: Shape([1] + shape.dropFirst()))
    case .uniform:
      return try stretched(x, to: shape, keeping: ones)
    }
  }

  private func same(_ value: Int, _ count: Int) -> Shape { Shape(repeatElement(value, count: count)) }

  private func stretched(_ x: Tensor, to shape: Shape, keeping stops: Shape) throws -> Tensor {
    let (zeros, ones) = (same(0, shape.rank), same(1, shape.rank))
    let part = try Values.reference(.slice(.init(starts: zeros, stops: stops, steps: ones)), [x])[0]
    return try view(.broadcast(.init(shape: shape)), part)
  }

  /// Through the ordinary door, where such primitives make views.
  private func view(_ primitive: Primitive, _ x: Tensor) throws -> Tensor {
    try withEngine(ReferenceEngine.shared) { try apply(primitive, [x])[0] }
  }
}
