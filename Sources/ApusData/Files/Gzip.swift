import ApusCore
import CZlib

/// Gzip data (RFC 1952) in memory: one or more members, which may be padded with zeros, as gzip(1) reads them. Anything
/// else behind them is an error.
enum Gzip {
  /// Whether the bytes begin as gzip data does.
  static func isGzip(_ bytes: [UInt8]) -> Bool { bytes.starts(with: [0x1F, 0x8B]) }

  /// Up to `limit` bytes of the inflated data, and whether that is all of it.
  /// - Throws: `ApusError` (file) when the data is damaged or cut off before that, (memory) for more than the machine has.
  static func inflate(_ bytes: [UInt8], limit: Int) throws -> (bytes: [UInt8], isWhole: Bool) {
    // No gzip data is larger than this, whatever a header inside claims: nothing more is allocated.
    let most = bytes.count.multipliedReportingOverflow(by: Int(APUS_DEFLATE_MAXIMUM_RATIO))
    // One byte more than the data could have lets the decoder see its end.
    let capacity = max(min(limit, most.overflow ? .max : most.partialValue + 1), 1)
    try HostMemory.require(capacity, for: "the inflated data")
    var problem: UnsafePointer<CChar>?
    var isWhole = false
    let result = [UInt8](unsafeUninitializedCapacity: capacity) { target, count in
      problem = apus_gunzip(bytes, bytes.count, target.baseAddress, capacity, &count, &isWhole)
    }
    if let problem { throw ApusError(.file, String(cString: problem)) }
    return (result, isWhole)
  }

  /// The bytes as one gzip member.
  static func compress(_ bytes: [UInt8]) throws -> [UInt8] {
    var count = 0
    let result = apus_gzip(bytes, bytes.count, &count)
    defer { apus_zlib_free(result) }
    guard result != nil else { throw ApusError(.memory, "\(bytes.count) bytes could not be compressed") }
    return Array(UnsafeBufferPointer(start: result, count: count))
  }
}
