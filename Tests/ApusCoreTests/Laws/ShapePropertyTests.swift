import ApusConformance
import Testing

@testable import ApusCore

/// An array as a function from index to number: the plainest model there is.
private struct Model {
  let shape: [Int]
  let at: ([Int]) -> Double

  init(_ shape: [Int], _ at: @escaping ([Int]) -> Double) {
    self.shape = shape
    self.at = at
  }

  static func indices(_ shape: [Int]) -> [[Int]] {
    shape.reduce([[]]) { prefixes, size in prefixes.flatMap { prefix in (0..<size).map { prefix + [$0] } } }
  }
  var values: [Double] { Self.indices(shape).map(at) }

  /// NumPy's rule: aligned at the right, 1 stretches; nil where the shapes don't fit.
  static func broadcast(_ a: [Int], _ b: [Int]) -> [Int]? {
    let rank = Swift.max(a.count, b.count)
    var result: [Int] = []
    for i in 0..<rank {
      let x = i < rank - a.count ? 1 : a[i - (rank - a.count)]
      let y = i < rank - b.count ? 1 : b[i - (rank - b.count)]
      if x != y, x != 1, y != 1 { return nil }
      result.append(x == 1 ? y : x)
    }
    return result
  }

  func stretched(_ target: [Int]) -> Model {
    Model(target) { index in
      at(zip(index.suffix(shape.count), shape).map { $1 == 1 ? 0 : $0 })
    }
  }

  func reduced(_ axes: [Int], keepDims: Bool, _ initial: Double, _ combine: @escaping (Double, Double) -> Double)
    -> Model
  {
    let kept = shape.indices.filter { !axes.contains($0) }
    let target = keepDims ? shape.indices.map { axes.contains($0) ? 1 : shape[$0] } : kept.map { shape[$0] }
    let all = Self.indices(shape)
    return Model(target) { index in
      let wanted = keepDims ? kept.map { index[$0] } : index
      return all.filter { full in kept.map { full[$0] } == wanted }.reduce(initial) { combine($0, at($1)) }
    }
  }
}

/// Random shapes, among them empty ones and scalars, through the public operations and through the model.
@Suite struct ShapePropertyTests {
  private struct Draw {
    var generator: SplitMix
    init(_ seed: Int) { generator = SplitMix(seed: UInt64(seed)) }

    mutating func int(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &generator) }
    mutating func bool() -> Bool { Bool.random(using: &generator) }
    mutating func shape(rank: ClosedRange<Int> = 0...4, sizes: ClosedRange<Int> = 0...4) -> [Int] {
      (0..<int(rank)).map { _ in int(sizes) }
    }
    /// Whole numbers, so that every sum is exact.
    mutating func pair(_ shape: [Int]) -> (Tensor, Model) {
      let values = (0..<shape.reduce(1, *)).map { _ in Double(int(-9...9)) }
      let tensor = Tensor(values, shape: Shape(shape), dtype: .float64)
      let model = Model(shape) { index in
        values[zip(index, shape).reduce(0) { $0 * $1.1 + $1.0 }]
      }
      return (tensor, model)
    }
    /// The same values, in some other layout in memory.
    mutating func disguised(_ tensor: Tensor) -> Tensor {
      let rank = tensor.rank
      switch int(0...2) {
      case 0 where rank > 1:
        let order = (0..<rank).shuffled(using: &generator)
        return Tensor(contiguousCopyOf: tensor.permuted(order)).permuted(Permutation(order).inverse.order)
      case 1 where rank > 0:
        let padded = tensor.padded((0..<rank).map { _ in (int(0...2), int(0...2)) }, value: 77.0)
        _ = padded
        let low = (0..<rank).map { _ in int(0...2) }
        let around = tensor.padded(low.map { ($0, 1) }, value: 77.0)
        return around.sliced(starts: low, stops: zip(low, tensor.shape).map { $0 + $1 })
      default: return tensor
      }
    }
  }

  private func check(_ tensor: Tensor, _ model: Model, _ what: String) {
    #expect(Array(tensor.shape) == model.shape, "\(what)")
    expectClose(tensor.toArray(of: Double.self), model.values, 0, what)
  }

  @Test("arithmetic broadcasts as the model does, or refuses", arguments: 0..<300)
  func broadcasting(_ seed: Int) throws {
    var draw = Draw(seed)
    // Half of the shapes are made to fit.
    let first = draw.shape()
    var second = draw.shape()
    if draw.bool() { second = first.suffix(draw.int(0...first.count)).map { draw.bool() ? $0 : 1 } }
    let (a, x) = draw.pair(first)
    let (b, y) = draw.pair(second)
    let (c, d) = (draw.disguised(a), draw.disguised(b))
    guard let target = Model.broadcast(first, second) else {
      let error = #expect(throws: ApusError.self) { try checked { c + d } }
      #expect(error?.kind == .shape)
      return
    }
    let (left, right) = (x.stretched(target), y.stretched(target))
    func combined(_ f: @escaping (Double, Double) -> Double) -> Model { Model(target) { f(left.at($0), right.at($0)) } }
    check(c + d, combined(+), "+ \(first) \(second)")
    check(c - d, combined(-), "- \(first) \(second)")
    check(c * d, combined(*), "* \(first) \(second)")
    check(maximum(c, d), combined(Swift.max), "maximum \(first) \(second)")
    check((c .< d).cast(to: .float64), combined { $0 < $1 ? 1 : 0 }, "< \(first) \(second)")
    check(select(c .> 0, c, d), combined { $0 > 0 ? $0 : $1 }, "select \(first) \(second)")
    // The gradient of a broadcast operand has the operand's own shape.
    let gradients = gradient(at: c, d) { ($0 + $1 * 2).sum() }
    check(
      gradients.0, Model(first) { _ in Double(target.reduce(1, *) / Swift.max(first.reduce(1, *), 1)) },
      "gradient of the first")
    check(
      gradients.1, Model(second) { _ in Double(2 * (target.reduce(1, *) / Swift.max(second.reduce(1, *), 1))) },
      "gradient of the second")
  }

  @Test("reductions over any axes", arguments: 0..<200)
  func reductions(_ seed: Int) throws {
    var draw = Draw(1000 + seed)
    let shape = draw.shape()
    let (tensor, model) = draw.pair(shape)
    let x = draw.disguised(tensor)
    let axes = shape.indices.filter { _ in draw.bool() }
    let keepDims = draw.bool()
    // Negative axes count from the end.
    let given = axes.map { draw.bool() ? $0 : $0 - shape.count }
    check(
      x.sum(axes: given, keepDims: keepDims), model.reduced(axes, keepDims: keepDims, 0, +),
      "sum of \(shape) over \(axes)")
    check(
      x.product(axes: given, keepDims: keepDims), model.reduced(axes, keepDims: keepDims, 1, *),
      "product of \(shape) over \(axes)")
    let isEmpty = axes.contains { shape[$0] == 0 }
    if isEmpty {
      #expect(throws: ApusError.self) { try checked { x.max(axes: given, keepDims: keepDims) } }
    } else {
      check(
        x.max(axes: given, keepDims: keepDims), model.reduced(axes, keepDims: keepDims, -.infinity, Swift.max),
        "max of \(shape) over \(axes)")
    }
    if let axis = shape.indices.randomElement(using: &draw.generator), shape[axis] > 0 {
      let rest = Model.indices(shape.enumerated().map { $0 == axis ? 1 : $1 })
      let places = rest.map { index -> Double in
        let row = (0..<shape[axis]).map { i -> Double in
          var full = index
          full[axis] = i
          return model.at(full)
        }
        return Double(row.firstIndex(of: row.max() ?? 0) ?? 0)
      }
      expectClose(x.argMax(axis: axis).toArray(of: Double.self), places, 0, "argMax of \(shape) along \(axis)")
    }
  }

  @Test("moving elements: permute, reverse, slice, pad, concatenate, gather", arguments: 0..<200)
  func movement(_ seed: Int) throws {
    var draw = Draw(2000 + seed)
    let shape = draw.shape()
    let (tensor, model) = draw.pair(shape)
    let x = draw.disguised(tensor)
    let order = shape.indices.shuffled(using: &draw.generator)
    check(
      x.permuted(order),
      Model(order.map { shape[$0] }) { index in
        var source = index
        for (i, axis) in order.enumerated() { source[axis] = index[i] }
        return model.at(source)
      }, "permuted \(order)")
    let flipped = Set(shape.indices.filter { _ in draw.bool() })
    check(
      flipped.reduce(x) { $0.reversed($1) },
      Model(shape) { index in
        model.at(index.indices.map { flipped.contains($0) ? shape[$0] - 1 - index[$0] : index[$0] })
      },
      "reversed \(flipped)")
    let starts = shape.map { draw.int(0...$0) }
    let stops = zip(starts, shape).map { draw.int($0...$1) }
    let steps = shape.map { _ in draw.int(1...3) }
    check(
      x.sliced(starts: starts, stops: stops, steps: steps),
      Model(shape.indices.map { (stops[$0] - starts[$0] + steps[$0] - 1) / steps[$0] }) { index in
        model.at(index.indices.map { starts[$0] + index[$0] * steps[$0] })
      }, "sliced \(starts) \(stops) \(steps)")
    let amounts = shape.map { _ in (draw.int(0...2), draw.int(0...2)) }
    check(
      x.padded(amounts, value: 5.0),
      Model(zip(shape, amounts).map { $0 + $1.0 + $1.1 }) { index in
        let source = zip(index, amounts).map { $0 - $1.0 }
        return zip(source, shape).allSatisfy { $0 >= 0 && $0 < $1 } ? model.at(source) : 5
      }, "padded \(amounts)")
    check(x.reshape(Shape([shape.reduce(1, *)])), Model([shape.reduce(1, *)]) { model.values[$0[0]] }, "flattened")
    guard let axis = shape.indices.randomElement(using: &draw.generator) else { return }
    var other = shape
    other[axis] = draw.int(0...3)
    let (y, second) = draw.pair(other)
    var joined = shape
    joined[axis] += other[axis]
    check(
      concatenate([x, y, x], axis: axis).slice(axis: axis, 0..<joined[axis]),
      Model(joined) { index in
        var source = index
        if index[axis] < shape[axis] { return model.at(index) }
        source[axis] -= shape[axis]
        return second.at(source)
      }, "concatenated along \(axis)")
    guard shape[axis] > 0 else { return }
    let places = (0..<draw.int(0...4)).map { _ in draw.int(0...(shape[axis] - 1)) }
    var picked = shape
    picked[axis] = places.count
    check(
      x.gathered(Tensor(places), axis: axis),
      Model(picked) { index in
        var source = index
        source[axis] = places[index[axis]]
        return model.at(source)
      }, "gathered \(places) along \(axis)")
  }

  @Test("subscripts read and write what the model says", arguments: 0..<200)
  func subscripts(_ seed: Int) throws {
    var draw = Draw(3000 + seed)
    let shape = draw.shape(rank: 1...4, sizes: 1...4)
    let (tensor, model) = draw.pair(shape)
    let x = draw.disguised(tensor)
    var indices: [TensorIndex] = []
    var sources: [[Int]] = []  // The positions along each axis.
    var target: [Int] = []
    for size in shape.prefix(draw.int(1...shape.count)) {
      if draw.bool() {
        let position = draw.int(0...(size - 1))
        indices.append(.at(draw.bool() ? position : position - size))
        sources.append([position])
      } else {
        let start = draw.int(0...size)
        let stop = draw.int(start...size)
        let step = draw.int(1...2)
        indices.append(.range(start: start, stop: stop, step: step))
        sources.append(Array(Swift.stride(from: start, to: stop, by: step)))
        target.append(sources[sources.count - 1].count)
      }
    }
    for size in shape.dropFirst(sources.count) {
      sources.append(Array(0..<size))
      target.append(size)
    }
    let kept =
      indices.indices.filter { if case .at = indices[$0].kind { false } else { true } }
      + Array(indices.count..<shape.count)
    check(
      x[indices],
      Model(target) { index in
        var full = sources.map { $0.first ?? 0 }
        for (i, axis) in kept.enumerated() { full[axis] = sources[axis][index[i]] }
        return model.at(full)
      }, "\(indices) of \(shape)")
    var written = x
    written[indices] = Tensor(1000.0, dtype: .float64)
    check(
      written, Model(shape) { index in zip(index, sources).allSatisfy { $1.contains($0) } ? 1000 : model.at(index) },
      "assigned to \(indices) of \(shape)")
    check(x, model, "the operand after its copy was assigned to")
  }

  @Test("matrix products of stacks", arguments: 0..<100)
  func matmul(_ seed: Int) throws {
    var draw = Draw(4000 + seed)
    let (m, k, n) = (draw.int(0...4), draw.int(0...4), draw.int(0...4))
    let batch = draw.shape(rank: 0...2, sizes: 1...3)
    let other = batch.suffix(draw.int(0...batch.count)).map { draw.bool() ? $0 : 1 }
    let (a, x) = draw.pair(batch + [m, k])
    let (b, y) = draw.pair(other + [k, n])
    check(
      draw.disguised(a).matmul(draw.disguised(b)),
      Model(batch + [m, n]) { index in
        let lead = Array(index.dropLast(2))
        let theirs = zip(lead.suffix(other.count), other).map { $1 == 1 ? 0 : $0 }
        let (row, column) = (index[index.count - 2], index[index.count - 1])
        return (0..<k).reduce(0) { $0 + x.at(lead + [row, $1]) * y.at(theirs + [$1, column]) }
      }, "\(batch) × [\(m), \(k)] · \(other) × [\(k), \(n)]")
  }
}

extension Tensor {
  /// The same values in row-major memory of their own.
  fileprivate init(contiguousCopyOf x: Tensor) {
    self.init(x.toArray(of: Double.self), shape: x.shape, dtype: x.dtype)
  }
}
