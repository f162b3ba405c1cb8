import ApusCore
import CKernels

/// How element-wise kernels, which take vectors and single elements, walk over strided operands: `inner` elements at a
/// time, in which each operand is a vector or one element, and `outer` times that.
struct Iteration: Sendable {
  /// Elements of one kernel call.
  let inner: Int
  /// Which operands are one element within a call.
  let isScalar: [Bool]
  private let outerSizes: [Int]
  /// Bytes, by dimension, then operand.
  private let outerSteps: [[Int]]
  let outer: Int
  private let elementBytes: [Int]

  /// nil: an operand is neither vector nor single element along the innermost axis, or the runs would be too short.
  /// `strides` may be those of results too; `elementBytes` go with them.
  init?(_ shape: Shape, strides: [Strides], elementBytes: [Int], shortest: Int = 16) {
    var sizes: [Int] = []
    var steps: [[Int]] = []
    for i in 0..<shape.rank where shape[i] != 1 {
      let step = strides.map { $0[i] }
      if let size = sizes.last, let last = steps.last,
        zip(last, step).allSatisfy({ outer, inner in outer == inner * shape[i] })
      {
        sizes[sizes.count - 1] = size * shape[i]
        steps[steps.count - 1] = step
      } else {
        sizes.append(shape[i])
        steps.append(step)
      }
    }
    let innermost = steps.popLast() ?? strides.map { _ in 1 }
    inner = sizes.popLast() ?? 1
    guard innermost.allSatisfy({ $0 == 1 || $0 == 0 }), sizes.isEmpty || inner >= shortest else { return nil }
    isScalar = innermost.map { $0 == 0 }
    outerSizes = sizes
    outerSteps = steps.map { zip($0, elementBytes).map(*) }
    outer = Sizes.product(sizes)
    self.elementBytes = elementBytes
  }

  /// Everything in one call: operands that are contiguous alike, or one element.
  init(flat count: Int, isScalar: [Bool]) {
    inner = count
    self.isScalar = isScalar
    outerSizes = []
    outerSteps = []
    outer = 1
    elementBytes = isScalar.map { _ in 0 }
  }

  var isFlat: Bool { outer == 1 }

  /// Calls `body` once for each run, with the operands' addresses moved on.
  func forEach(
    _ operands: UnsafePointer<UnsafeMutableRawPointer>, count: Int, parallel: Bool,
    _ body: (UnsafePointer<UnsafeMutableRawPointer>) -> Void
  ) {
    if outer == 1 { return body(operands) }
    withoutActuallyEscaping(body) { body in
      ParallelFor.run(outer, grain: parallel ? max(1, 16384 / max(inner, 1)) : outer) { range in
        withUnsafeTemporaryAllocation(of: UnsafeMutableRawPointer.self, capacity: count) { moved in
          guard let first = UnsafePointer(moved.baseAddress) else { return }
          for run in range {
            for k in 0..<count { moved.initializeElement(at: k, to: operands[k]) }
            var rest = run
            for axis in stride(from: outerSizes.count - 1, through: 0, by: -1) {
              let (quotient, index) = rest.quotientAndRemainder(dividingBy: outerSizes[axis])
              rest = quotient
              if index != 0 { for k in 0..<count { moved[k] += index * outerSteps[axis][k] } }
            }
            body(first)
          }
        }
      }
    }
  }
}

/// Disjoint ranges on the team, where there is one.
enum ParallelFor {
  private struct Context {
    let body: (Range<Int>) -> Void
  }

  static func run(_ total: Int, grain: Int, _ body: @escaping (Range<Int>) -> Void) {
    withUnsafePointer(to: Context(body: body)) { context in
      ck_parallel_for(
        Int64(total), Int64(grain),
        { raw, begin, end in
          raw?.assumingMemoryBound(to: Context.self).pointee.body(Int(begin)..<Int(end))
        }, UnsafeMutableRawPointer(mutating: context))
    }
  }
}
