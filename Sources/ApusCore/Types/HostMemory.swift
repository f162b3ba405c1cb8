import CApus

/// What memory the process may have: the machine's and swap, or what its limits and its container leave of it.
package enum HostMemory {
  /// Bytes in all.
  static var allowed: Int { Int(clamping: apus_bytes_allowed()) }

  /// The error of a tensor that memory was refused for.
  static func refused(_ type: TensorType, _ bytes: Int) -> ApusError {
    ApusError(.memory, "\(type) needs \(bytes) bytes; the process may have \(allowed) in all")
  }

  /// The error of making so many things of about so many bytes each; nil where memory holds them.
  ///
  /// For what is no tensor's: arrays and objects whose number a file or a caller decides. The standard library ends the
  /// process where it can't have them.
  package static func refusal(_ count: Int, ofBytes bytes: Int, _ what: @autoclosure () -> String) -> ApusError? {
    let total = count.saturatingTimes(bytes)
    // The limits are asked for only where they could matter; half, for something has to be done with them.
    if total < 1 << 20 || total <= allowed / 2 { return nil }
    return ApusError(
      .memory,
      "\(what()) would take \(count) × \(bytes) bytes, and something has to be done with them: the process may have \(allowed) in all"
    )
  }

  /// Throws ``refusal(_:ofBytes:_:)``.
  package static func require(_ count: Int, ofBytes bytes: Int = 1, for what: @autoclosure () -> String) throws {
    if let error = refusal(count, ofBytes: bytes, what()) { throw error }
  }
}
