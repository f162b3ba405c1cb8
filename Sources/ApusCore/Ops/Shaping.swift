/// Rearrangements that batching rules and decompositions are written in. Sizes may be symbolic.
extension Shape {
  /// Axes `i` and `i + 1` as one.
  func merging(_ i: Int) -> Shape {
    Shape(dims: dims[..<i] + [dim(i) * dim(i + 1)] + dims[(i + 2)...])
  }
  var mergingFirstTwo: Shape { merging(0) }

  /// Axis `i` as two, the first of `size`.
  func splitting(_ i: Int, _ size: Dim) -> Shape {
    // An empty batch leaves nothing to divide; the other factor is then immaterial, and 0 divides no axis.
    let rest = size.value == 0 ? dim(i) : dim(i) / size
    return Shape(dims: dims[..<i] + [size, rest] + dims[(i + 1)...])
  }
}

extension Tensor {
  /// Elements `start`, `start + step`, … below `stop` along an axis.
  func sliced(axis: Int, _ start: Dim, _ stop: Dim, step: Int = 1) -> Tensor {
    if start == 0, stop == shape.dim(axis), step == 1 { return self }
    let slice = Primitive.Slice(
      starts: Shape.zeros(rank).replacing(axis, with: start), stops: shape.replacing(axis, with: stop),
      steps: Shape.ones(rank).replacing(axis, with: Dim(step)))
    return Dispatch.one(.slice(slice), self)
  }

  /// Axis `from` becomes axis `to`; the others keep their order.
  func movingAxis(_ from: Int, to: Int) -> Tensor { movingAxes(from: from, count: 1, to: to) }

  /// The block of axes from `from` starts at `to` in the result; the others keep their order.
  func movingAxes(from: Int, count: Int, to: Int) -> Tensor {
    if from == to || count == 0 { return self }
    var order = Array(0..<rank)
    let block = order[from..<(from + count)]
    order.removeSubrange(from..<(from + count))
    order.insert(contentsOf: block, at: to)
    return permuted(order)
  }

  /// The transpose of broadcasting from `target` to this shape.
  func summed(downTo target: Shape) -> Tensor {
    if shape == target { return self }
    let extra = rank - target.rank
    var axes = Array(0..<extra)
    for i in 0..<target.rank where target.dim(i) == 1 && shape.dim(i + extra) != 1 { axes.append(i + extra) }
    let total = axes.isEmpty ? self : Dispatch.one(.sum(.init(axes: AxisSet(axes), keepDims: false)), self)
    return total.reshape(target)
  }
}
