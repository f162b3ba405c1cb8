import ApusCore

/// Places buffers that live at different times over one another.
struct ArenaLayout {
  struct Interval {
    let buffer: Int
    let bytes: Int
    /// Steps of the first write and the last use.
    let first: Int
    let last: Int
  }

  private(set) var offsets: [Int: Int] = [:]
  private(set) var bytes = 0

  /// More than any processor's address space.
  private static let largest = 1 << 48

  /// Largest first, each at the lowest place that is free for as long as it lives.
  /// - Throws: `ApusError` (memory) for a buffer that no machine has room for.
  init(_ intervals: [Interval]) throws {
    guard intervals.allSatisfy({ $0.bytes < Self.largest }) else {
      throw ApusError(.memory, "an intermediate value needs more memory than can be addressed")
    }
    var placed: [(interval: Interval, offset: Int, end: Int)] = []
    for interval in intervals.sorted(by: { ($0.bytes, $1.first) > ($1.bytes, $0.first) }) {
      let size = (interval.bytes + 63) & ~63
      var offset = 0
      let overlapping = placed.filter { $0.interval.first <= interval.last && interval.first <= $0.interval.last }
        .sorted { $0.offset < $1.offset }
      for other in overlapping {
        if offset + size <= other.offset { break }
        offset = max(offset, other.end)
      }
      placed.append((interval, offset, offset + size))
      offsets[interval.buffer] = offset
      bytes = max(bytes, offset + size)
    }
  }
}
