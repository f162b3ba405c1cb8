import ApusCore
import CKernels

enum Kernel {
  /// What a kernel's refusal means to who called the operation.
  /// - Throws: `ApusError`: (memory) where a kernel found none for its own use, (shape) for sizes it has no result for, else
  ///   (unsupported).
  static func check(_ status: Int32) throws {
    switch UInt32(status) {
    case CK_OK.rawValue: return
    case CK_NO_MEMORY.rawValue: throw ApusError(.memory, "a kernel needs memory, and the machine has none left")
    case CK_BAD_SHAPE.rawValue:
      throw ApusError(
        .shape, "has no result for operands of these sizes (an extremum of nothing, a window that fits nowhere)")
    case CK_UNSUPPORTED.rawValue:
      throw ApusError(.unsupported, "has no kernel for operands of these dtypes; cast them first")
    default: throw ApusError(.unsupported, "failed in a way its kernel does not tell (status \(status))")
    }
  }
}
