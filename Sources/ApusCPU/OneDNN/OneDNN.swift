import ApusCore
import COneDNN

/// Errors of the shim as Swift errors.
enum OneDNN {
  static func check(_ status: apus_dnn_status) throws {
    guard status != APUS_DNN_OK else { return }
    let message = String(cString: apus_dnn_error())
    switch status {
    case APUS_DNN_INVALID: throw ApusError(.shape, message)
    case APUS_DNN_OUT_OF_MEMORY: throw ApusError(.memory, message)
    default: throw ApusError(.unsupported, message)
    }
  }

  static func unwrap(_ made: OpaquePointer?, _ status: apus_dnn_status) throws -> OpaquePointer {
    try check(status)
    guard let made else { throw ApusError(.unsupported, "oneDNN returned nothing") }
    return made
  }
}

/// A kernel oneDNN compiled for fixed sizes and layouts; shared by everyone who asked for the same.
final class DNNOperation: @unchecked Sendable {
  private let raw: apus_dnn_op_t
  let scratchBytes: Int
  /// Layouts of the operands, in the order ``run(_:scratch:)`` takes them.
  let layouts: [Layout]

  private init(owning raw: apus_dnn_op_t) {
    self.raw = raw
    scratchBytes = apus_dnn_op_scratch_bytes(raw)
    layouts = (0..<apus_dnn_op_operand_count(raw)).compactMap { i in
      apus_dnn_op_layout(raw, i).map { Layout(sharing: $0) }
    }
  }

  deinit { apus_dnn_op_release(raw) }

  static func reorder(from source: Layout, to destination: Layout) throws -> DNNOperation {
    var made: apus_dnn_op_t?
    let status = apus_dnn_reorder(source.raw, destination.raw, &made)
    return DNNOperation(owning: try OneDNN.unwrap(made, status))
  }

  static func convolution(
    _ kind: apus_dnn_conv_kind, _ description: apus_dnn_conv, input: Layout?, weights: Layout?, output: Layout?
  ) throws -> DNNOperation {
    var made: apus_dnn_op_t?
    var description = description
    let status = apus_dnn_convolution(kind, &description, input?.raw, weights?.raw, output?.raw, &made)
    return DNNOperation(owning: try OneDNN.unwrap(made, status))
  }

  static func matmul(
    _ a: Layout, _ b: Layout, columns: Int, _ output: Layout, bias: Bool
  ) throws -> DNNOperation {
    var made: apus_dnn_op_t?
    let status = apus_dnn_matmul(a.raw, b.raw, Int64(columns), output.raw, bias, &made)
    return DNNOperation(owning: try OneDNN.unwrap(made, status))
  }

  /// Runs on the calling thread's team.
  func run(_ operands: UnsafePointer<UnsafeMutableRawPointer?>, count: Int, scratch: UnsafeMutableRawPointer?) throws {
    try OneDNN.check(apus_dnn_run(raw, operands, Int32(count), scratch))
  }

  func run(_ operands: [UnsafeMutableRawPointer?], scratch: UnsafeMutableRawPointer?) throws {
    try operands.withUnsafeBufferPointer { pointers in
      guard let first = pointers.baseAddress else { return }
      try run(first, count: operands.count, scratch: scratch)
    }
  }
}
