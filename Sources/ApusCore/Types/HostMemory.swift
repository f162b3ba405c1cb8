import CApus

/// The machine's memory, for what is not a tensor's: arrays whose size a file or a caller decides.
package enum HostMemory {
  /// Checks that memory for so many things can be had at all, before the standard library is asked, which ends the
  /// process where it can't.
  /// - Parameters:
  ///   - count: how many.
  ///   - stride: bytes of each.
  ///   - what: needs them; for the message.
  /// - Throws: ``ApusError`` (memory) when it is more than this process may have.
  package static func require(_ count: Int, stride: Int = 1, for what: @autoclosure () -> String) throws {
    let bytes = count.multipliedReportingOverflow(by: stride)
    let allowed = apus_bytes_allowed()
    guard !bytes.overflow, UInt(bitPattern: bytes.partialValue) <= UInt(allowed) else {
      throw ApusError(
        .memory,
        "\(what()) would take \(count) × \(stride) bytes; this process may have \(allowed) in all")
    }
  }
}

/// What memory the process may have.
enum Memory {
  /// Bytes in all: the machine's, or what the process's limits and its container leave of it.
  static var allowed: Int { Int(clamping: apus_bytes_allowed()) }

  static func refused(_ type: TensorType, _ bytes: Int) -> ApusError {
    ApusError(.memory, "\(type) needs \(bytes) bytes; the process may have \(allowed) in all")
  }
}
