import ApusCore
import CKernels

/// Element-wise operations on plain operands without a plan: what eager code on small tensors is made of.
extension CPUEngine {
  /// Nanoseconds of work above which the team takes over.
  private static let teamThreshold = 20_000.0

  public func executeUnary(_ primitive: Primitive, _ x: Storage, output: TensorType, reuse: Bool) throws -> Storage? {
    guard x.opaque == nil, x.isContiguous, case .unary(let op)? = ElementwiseKernel(primitive),
      let code = x.dtype.kernelCode, let kernel = ck_unary(op, code), x.dtype == output.dtype
    else { return nil }
    let result = reuse ? x : try Storage(output)
    let count = output.shape.elementCount
    let (source, target) = (x.plainAddress, result.plainAddress)
    if Double(count) * ElementwiseKernel.unary(op).cost > Self.teamThreshold {
      try ComputeThread.run { kernel(Int64(count), source, target) }
    } else {
      kernel(Int64(count), source, target)
    }
    return result
  }

  public func executeBinary(
    _ primitive: Primitive, _ a: Storage, _ b: Storage, output: TensorType, reuse: ReusableOperand
  ) throws -> Storage? {
    guard a.opaque == nil, b.opaque == nil, case .binary(let op)? = ElementwiseKernel(primitive),
      let code = a.dtype.kernelCode, a.dtype == output.dtype
    else { return nil }
    let mode: ck_mode
    switch (a.isContiguous, b.isContiguous) {
    case (true, true): mode = CK_VECTOR_VECTOR
    case (true, false) where b.isUniform: mode = CK_VECTOR_SCALAR
    case (false, true) where a.isUniform: mode = CK_SCALAR_VECTOR
    default: return nil
    }
    guard let kernel = ck_binary(op, code, mode) else { return nil }
    let result: Storage
    switch reuse {
    case .first where a.isContiguous: result = a
    case .second where b.isContiguous: result = b
    default: result = try Storage(output)
    }
    let count = output.shape.elementCount
    let (x, y, target) = (a.plainAddress, b.plainAddress, result.plainAddress)
    if Double(count) * ElementwiseKernel.binary(op).cost > Self.teamThreshold {
      try ComputeThread.run { kernel(Int64(count), x, y, target) }
    } else {
      kernel(Int64(count), x, y, target)
    }
    return result
  }
}
