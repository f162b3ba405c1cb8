import ApusCore
import CApus
import CKernels
import COneDNN

/// Elements in a layout that only oneDNN understands.
final class BlockedBuffer: OpaqueBuffer, @unchecked Sendable {
  let type: TensorType
  let layout: Layout
  /// Immutable once the step that fills it has run.
  let memory: UnsafeMutableRawPointer

  /// Uninitialised.
  init(_ type: TensorType, _ layout: Layout) throws {
    guard let memory = apus_allocate(layout.bytes) else {
      throw ApusError(.memory, "\(type) needs \(layout.bytes) bytes, and the machine has none left")
    }
    self.type = type
    self.layout = layout
    self.memory = memory
  }

  deinit { apus_deallocate(memory, layout.bytes) }

  var device: Device { .cpu }

  func writePlain(to destination: UnsafeMutableRawBufferPointer) throws {
    guard let target = destination.baseAddress else { return }
    try Reordering.plain(type.shape, from: memory, layout, to: target)
  }
}

/// One-off conversions between layouts; plans have steps of their own for theirs.
enum Reordering {
  static func plain(
    _ shape: Shape, from source: UnsafeMutableRawPointer, _ layout: Layout, to target: UnsafeMutableRawPointer
  ) throws {
    // The caller may hold a lock: stay on its thread, and on it alone.
    let before = apus_dnn_use_threads(1)
    defer { _ = apus_dnn_use_threads(before) }
    let operation = try DNNOperation.reorder(from: layout, to: Layout(Array(shape)))
    let bytes = operation.scratchBytes
    let scratch = bytes > 0 ? apus_allocate(bytes) : nil
    defer { if let scratch { apus_deallocate(scratch, bytes) } }
    let operands: [UnsafeMutableRawPointer?] = [source, target]
    try operands.withUnsafeBufferPointer { pointers in
      guard let first = pointers.baseAddress else { return }
      try operation.run(first, count: 2, scratch: scratch)
    }
  }
}
