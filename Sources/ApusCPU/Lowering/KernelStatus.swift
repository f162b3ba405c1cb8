import ApusCore
import CKernels

enum Kernel {
  /// - Throws: `ApusError`: (memory) where a kernel found none for its own use, else (unsupported).
  static func check(_ status: Int32) throws {
    switch UInt32(status) {
    case CK_OK.rawValue: return
    case CK_NO_MEMORY.rawValue: throw ApusError(.memory, "a kernel needs memory, and the machine has none left")
    default: throw ApusError(.unsupported, "the kernel refused with status \(status)")
    }
  }
}
