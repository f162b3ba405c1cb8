import ApusCore
import CKernels

/// Operations that only move elements: views where strides can say it, copies elsewhere.
extension PlanBuilder {
  func lowerReshape(_ input: Int, _ output: Int) throws {
    let form = try contiguous(input)
    alias(
      output,
      Form(
        buffer: form.buffer, offset: form.offset, strides: Storage.contiguousStrides(shape(output)),
        shape: shape(output)))
  }

  func lowerPermute(_ order: Permutation, _ input: Int, _ output: Int) throws {
    let form = try strided(input)
    var strides = Strides(repeating: 0)
    for axis in 0..<order.count { strides[axis] = form.strides[order[axis]] }
    alias(output, Form(buffer: form.buffer, offset: form.offset, strides: strides, shape: shape(output)))
  }

  func lowerBroadcast(_ input: Int, _ output: Int) throws {
    let form = try strided(input)
    let (from, to) = (shape(input), shape(output))
    let added = to.rank - from.rank
    var strides = Strides(repeating: 0)
    for axis in 0..<from.rank where from[axis] == to[added + axis] { strides[added + axis] = form.strides[axis] }
    alias(output, Form(buffer: form.buffer, offset: form.offset, strides: strides, shape: to))
  }

  /// The part of a form from `starts` on, every `steps`-th.
  private func part(_ form: Form, _ dtype: DType, starts: Shape, steps: Shape, shape: Shape) -> Form {
    var strides = Strides(repeating: 0)
    var first = 0
    // Without elements there is no first, and the one element of an axis has no next: their products could overflow.
    for axis in 0..<shape.rank where shape.elementCount > 0 {
      first += starts[axis] * form.strides[axis]
      strides[axis] = shape[axis] > 1 ? form.strides[axis] * steps[axis] : form.strides[axis]
    }
    let offset = form.offset + first * (dtype.elementBytes ?? 1)
    return Form(buffer: form.buffer, offset: offset, strides: strides, shape: shape)
  }

  func lowerSlice(_ slice: Primitive.Slice, _ input: Int, _ output: Int) throws {
    alias(
      output, part(try strided(input), dtype(input), starts: slice.starts, steps: slice.steps, shape: shape(output)))
  }

  func lowerReverse(_ axes: AxisSet, _ input: Int, _ output: Int) throws {
    let form = try strided(input)
    let shape = shape(input)
    var strides = form.strides
    var first = 0
    for axis in 0..<shape.rank where axes.contains(axis) {
      first += max(shape[axis] - 1, 0) * strides[axis]
      strides[axis] = -strides[axis]
    }
    let offset = form.offset + first * (dtype(input).elementBytes ?? 1)
    alias(output, Form(buffer: form.buffer, offset: offset, strides: strides, shape: shape))
  }

  /// Copies a value to a strided place in another's fresh, contiguous memory.
  private func emitPlacement(_ input: Int, in target: Int, of whole: Int, starts: Shape, steps: Shape) throws {
    guard !isEmpty(input), let bytes = dtype(input).elementBytes else { return }
    let source = try plain(input)
    let contiguous = Form(buffer: 0, contiguous: shape(whole))
    let place = part(contiguous, dtype(input), starts: starts, steps: steps, shape: shape(input))
    let geometry = Geometry(shape(input), place.strides)
    let offset = place.offset
    emit(reads: [source], writes: [target]) {
      geometry.scatter(bytes, from: $0[source], to: $0[target] + offset)
    }
  }

  func lowerSliceUpdate(_ update: Primitive.SliceUpdate, _ inputs: [Int], _ output: Int) throws {
    let base = try contiguous(inputs[0])
    let source = slot(base)
    // The update may be a view of the base: it is read after the base is overwritten only if it is not.
    let overlaps = forms(inputs[1]).contains { $0.buffer == base.buffer }
    let target = try define(output, over: overlaps ? [] : [base])
    let bytes = try type(output).byteCount()
    if target != source {
      emit(reads: [source], writes: [target]) { $0[target].copyMemory(from: $0[source], byteCount: bytes) }
    }
    try emitPlacement(inputs[1], in: target, of: output, starts: update.starts, steps: update.steps)
  }

  func lowerPad(_ pad: Primitive.Pad, _ input: Int, _ output: Int) throws {
    guard let bytes = dtype(output).elementBytes, let bits = pad.value.bits(as: dtype(output)) else {
      throw ApusError(.unsupported, "can't pad \(dtype(output))")
    }
    let target = try define(output)
    let count = Int64(shape(output).elementCount)
    emit(reads: [], writes: [target]) { addresses in
      withUnsafePointer(to: bits) { _ = ck_fill(Int64(bytes), count, $0, addresses[target]) }
    }
    let ones = Shape(Array(repeating: 1, count: shape(output).rank))
    try emitPlacement(input, in: target, of: output, starts: pad.low, steps: ones)
  }

  func lowerConcatenate(_ axis: Int, _ inputs: [Int], _ output: Int) throws {
    let target = try define(output)
    let rank = shape(output).rank
    let ones = Shape(Array(repeating: 1, count: rank))
    var first = 0
    for input in inputs {
      let starts = Shape((0..<rank).map { $0 == axis ? first : 0 })
      try emitPlacement(input, in: target, of: output, starts: starts, steps: ones)
      first += shape(input)[axis]
    }
  }
}
