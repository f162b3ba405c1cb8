import ApusCore
import CKernels

/// Operations whose operands say where elements come from or go. Their steps throw where an index names no element.
extension PlanBuilder {
  private static func checkIndex(_ status: Int32, _ found: ck_index_error, size: Int, axis: Int) throws {
    switch UInt32(status) {
    case CK_OK.rawValue: return
    case CK_BAD_INDEX.rawValue:
      throw ApusError.index(found.value, at: Int(found.position), size: size, axis: axis)
    default: try Kernel.check(status)
    }
  }

  func lowerGather(_ axis: Int, _ inputs: [Int], _ output: Int) throws -> Bool {
    guard let bytes = dtype(output).elementBytes, let index = dtype(inputs[1]).kernelCode else { return false }
    let view = AxisRun(shape(inputs[0]), axis..<(axis + 1))
    let count = shape(inputs[1]).elementCount
    let (source, indices, target) = (try plain(inputs[0]), try plain(inputs[1]), try define(output))
    emit(reads: [source, indices], writes: [target]) { p in
      var found = ck_index_error()
      let status = ck_gather(
        Int64(bytes), index, Int64(view.outer), Int64(view.length), Int64(view.inner), Int64(count), p[source],
        p[indices], p[target], &found)
      try Self.checkIndex(status, found, size: view.length, axis: axis)
    }
    return true
  }

  func lowerScatterAdd(_ axis: Int, _ inputs: [Int], _ output: Int) throws -> Bool {
    guard dtype(output).hasArithmetic, dtype(output) != .bool, let code = dtype(output).kernelCode,
      let index = dtype(inputs[1]).kernelCode
    else { return false }
    let view = AxisRun(shape(output), axis..<(axis + 1))
    let count = shape(inputs[1]).elementCount
    let bytes = try type(output).byteCount()
    let (source, indices, target) = (try plain(inputs[0]), try plain(inputs[1]), try define(output))
    emit(reads: [source, indices], writes: [target]) { p in
      p[target].initializeMemory(as: UInt8.self, repeating: 0, count: bytes)
      var found = ck_index_error()
      let status = ck_scatter_add(
        code, index, Int64(view.outer), Int64(view.length), Int64(view.inner), Int64(count), p[source], p[indices],
        p[target], &found)
      try Self.checkIndex(status, found, size: view.length, axis: axis)
    }
    return true
  }

  func lowerGatherAlong(_ axis: Int, _ inputs: [Int], _ output: Int) throws -> Bool {
    guard let bytes = dtype(output).elementBytes, let index = dtype(inputs[1]).kernelCode else { return false }
    let shape = shape(inputs[1])
    let length = self.shape(inputs[0])[axis]
    let view = AxisRun(shape, axis..<(axis + 1))
    let (source, indices, target) = (try plain(inputs[0]), try plain(inputs[1]), try define(output))
    emit(reads: [source, indices], writes: [target]) { p in
      var found = ck_index_error()
      let status = ck_take_along(
        Int64(bytes), index, Int64(view.outer), Int64(length), Int64(view.inner), Int64(view.length), p[source],
        p[indices], p[target], &found)
      try Self.checkIndex(status, found, size: length, axis: axis)
    }
    return true
  }

  func lowerScatterAddAlong(_ axis: Int, _ inputs: [Int], _ output: Int) throws -> Bool {
    guard dtype(output).hasArithmetic, dtype(output) != .bool, let code = dtype(output).kernelCode,
      let index = dtype(inputs[1]).kernelCode
    else { return false }
    let shape = shape(inputs[1])
    let length = self.shape(output)[axis]
    let view = AxisRun(shape, axis..<(axis + 1))
    let bytes = try type(output).byteCount()
    let (source, indices, target) = (try plain(inputs[0]), try plain(inputs[1]), try define(output))
    emit(reads: [source, indices], writes: [target]) { p in
      p[target].initializeMemory(as: UInt8.self, repeating: 0, count: bytes)
      var found = ck_index_error()
      let status = ck_scatter_add_along(
        code, index, Int64(view.outer), Int64(length), Int64(view.inner), Int64(view.length), p[source], p[indices],
        p[target], &found)
      try Self.checkIndex(status, found, size: length, axis: axis)
    }
    return true
  }
}
