import ApusCore
import CKernels

extension PlanBuilder {
  /// Draws numbers; operand: the state (key, offset), results: the draw and the state after it.
  func lowerRandom(normal: Bool, _ input: Int, _ outputs: [Int]) throws -> Bool {
    let dtype = dtype(outputs[0])
    guard dtype == .float32 || dtype == .float64, let code = dtype.kernelCode else { return false }
    let count = Int64(shape(outputs[0]).elementCount)
    let perBlock: Int64 = dtype == .float64 ? 2 : 4
    let state = try plain(input)
    let (draw, after) = (try define(outputs[0]), try define(outputs[1]))
    emit(reads: [state], writes: [draw, after]) { p in
      let words = p[state].assumingMemoryBound(to: UInt64.self)
      let (key, offset) = (words[0], words[1])
      let status =
        normal
        ? ck_random_normal(code, key, offset, count, p[draw]) : ck_random_uniform(code, key, offset, count, p[draw])
      guard status == 0 else { throw ApusError(.unsupported, "no random numbers of type \(dtype)") }
      let next = p[after].assumingMemoryBound(to: UInt64.self)
      next[0] = key
      next[1] = offset &+ UInt64((count + perBlock - 1) / perBlock)
    }
    return true
  }
}
