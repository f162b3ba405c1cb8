import ApusCore
import COneDNN

/// How oneDNN lays out an operand: plain, strided or blocked. Immutable; equal layouts are interchangeable.
final class Layout: @unchecked Sendable {
  let raw: apus_dnn_layout_t
  /// Bytes an operand occupies, padding included.
  let bytes: Int
  let rank: Int
  /// Row-major without gaps.
  let isPlain: Bool
  /// Whether there is padding between or behind the elements, which must stay zero.
  let isPadded: Bool
  /// Channels lying together in an image layout: 8 or 16 for blocked, C for channels-last, 1 for plain, 0 otherwise.
  let channelBlock: Int

  /// Takes over a reference.
  init(owning raw: apus_dnn_layout_t) {
    self.raw = raw
    bytes = apus_dnn_layout_bytes(raw)
    rank = Int(apus_dnn_layout_rank(raw))
    isPlain = apus_dnn_layout_is_plain(raw)
    isPadded = apus_dnn_layout_is_padded(raw)
    channelBlock = Int(apus_dnn_layout_channel_block(raw))
  }

  convenience init(sharing raw: apus_dnn_layout_t) { self.init(owning: apus_dnn_layout_retain(raw)) }

  /// A layout with these distances between elements; nil: row-major.
  convenience init(_ sizes: [Int], strides: [Int]? = nil) throws {
    // Its compiled kernels count in 32 bits; beyond, some divide by zero.
    guard sizes.allSatisfy({ $0 <= Int(Int32.max) }) else {
      throw ApusError(.unsupported, "oneDNN takes sizes up to \(Int32.max), not \(sizes)")
    }
    var made: apus_dnn_layout_t?
    let dims = sizes.map { Int64($0) }
    let status =
      if let strides {
        apus_dnn_layout_create(Int32(dims.count), dims, strides.map { Int64($0) }, &made)
      } else {
        apus_dnn_layout_create(Int32(dims.count), dims, nil, &made)
      }
    self.init(owning: try OneDNN.unwrap(made, status))
  }

  deinit { apus_dnn_layout_release(raw) }
}

extension Layout: Hashable {
  static func == (a: Layout, b: Layout) -> Bool { a === b || apus_dnn_layout_equal(a.raw, b.raw) }
  func hash(into hasher: inout Hasher) {
    hasher.combine(bytes)
    hasher.combine(channelBlock)
  }
}
