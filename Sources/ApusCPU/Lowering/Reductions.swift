import ApusCore
import CKernels

/// A shape seen as [outer, length, inner] around one run of axes.
struct AxisRun: Sendable {
  var outer: Int
  var length: Int
  var inner: Int

  init(_ shape: Shape, _ axes: Range<Int>) {
    outer = Sizes.product(shape[..<axes.lowerBound])
    length = Sizes.product(shape[axes])
    inner = Sizes.product(shape[axes.upperBound...])
  }
}

extension PlanBuilder {
  /// A kernel over the middle of [outer, length, inner], from one address to another.
  private typealias AxisKernel =
    @Sendable (Int64, Int64, Int64, UnsafeMutableRawPointer, UnsafeMutableRawPointer) -> Int32

  /// Sums and the like over a set of axes.
  /// - Returns: false where there is no kernel for the dtype.
  func lowerReduction(_ op: ck_reduction, _ axes: AxisSet, _ input: Int, _ output: Int) throws -> Bool {
    guard dtype(input).hasArithmetic, dtype(input) != .bool, let code = dtype(input).kernelCode
    else { return false }
    // Axes of one element change nothing.
    let reduced = axes.axes.filter { shape(input)[$0] != 1 }
    if reduced.isEmpty {
      try lowerReshape(input, output)
    } else {
      try lowerByRuns(reduced, input, output) { ck_reduce(op, code, $0, $1, $2, $3, $4) }
    }
    return true
  }

  /// √Σx² over a set of axes: over several runs of them the norm of norms.
  /// - Returns: false where there is no kernel for the dtype.
  func lowerNorm(_ axes: AxisSet, _ input: Int, _ output: Int) throws -> Bool {
    guard dtype(input) == .float32 || dtype(input) == .float64, let code = dtype(input).kernelCode else { return false }
    try lowerByRuns(axes.axes, input, output) { ck_norm(code, $0, $1, $2, $3, $4) }
    return true
  }

  /// One pass for each run of neighbouring axes, innermost first; for none of them one pass over single elements.
  private func lowerByRuns(_ axes: [Int], _ input: Int, _ output: Int, _ kernel: @escaping AxisKernel) throws {
    let whole = shape(input)
    var runs: [Range<Int>] = []
    for axis in axes {
      if let last = runs.last, whole[last.upperBound..<axis].allSatisfy({ $0 == 1 }) {
        runs[runs.count - 1] = last.lowerBound..<(axis + 1)
      } else {
        runs.append(axis..<(axis + 1))
      }
    }
    if runs.isEmpty { runs = [0..<0] }
    var shape = whole
    var source = try plain(input)
    for (k, run) in runs.enumerated().reversed() {
      let view = AxisRun(shape, run)
      shape = Shape(shape.enumerated().map { run.contains($0.offset) ? 1 : $0.element })
      let target = k == 0 ? try define(output) : scratch(try TensorType(dtype(input), shape).byteCount())
      let from = source
      emit(reads: [from], writes: [target]) {
        try Kernel.check(kernel(Int64(view.outer), Int64(view.length), Int64(view.inner), $0[from], $0[target]))
      }
      source = target
    }
  }

  func lowerArgReduction(_ op: ck_reduction, _ axis: Int, _ input: Int, _ output: Int) throws -> Bool {
    guard dtype(input).hasArithmetic, dtype(input) != .bool, let code = dtype(input).kernelCode else { return false }
    let view = AxisRun(shape(input), axis..<(axis + 1))
    let source = try plain(input)
    let target = try define(output)
    emit(reads: [source], writes: [target]) {
      try Kernel.check(
        ck_reduce(op, code, Int64(view.outer), Int64(view.length), Int64(view.inner), $0[source], $0[target]))
    }
    return true
  }

  func lowerSoftmax(_ axis: Int, logarithm: Bool, _ input: Int, _ output: Int) throws -> Bool {
    guard dtype(input) == .float32 || dtype(input) == .float64, let code = dtype(input).kernelCode else { return false }
    let view = AxisRun(shape(input), axis..<(axis + 1))
    let form = try contiguous(input)
    let source = slot(form)
    let target = try define(output, over: [form])
    emit(reads: [source], writes: [target]) {
      try Kernel.check(
        ck_softmax(code, logarithm, Int64(view.outer), Int64(view.length), Int64(view.inner), $0[source], $0[target]))
    }
    return true
  }
}
