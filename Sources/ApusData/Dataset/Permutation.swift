import ApusCore

/// The random order of one epoch: the same for the same count, seed and epoch, on every machine and in every version.
///
/// Fisher and Yates' shuffle in Durstenfeld's form, with numbers from SplitMix64 (G. Steele, D. Lea, C. Flood, "Fast
/// splittable pseudorandom number generators", OOPSLA 2014) brought into range by the high half of a product
/// (D. Lemire, 2019), whose bias is below count / 2^64.
enum Permutation {
  /// - Throws: `ApusError` (memory) when the machine can't hold so many numbers.
  static func make(count: Int, seed: UInt64, epoch: Int) throws -> [Int] {
    try HostMemory.require(count, ofBytes: MemoryLayout<Int>.stride, for: "a random order of \(count) elements")
    // Two rounds of mixing keep neighbouring seeds and epochs apart.
    var outer = SplitMix64(state: seed)
    var generator = SplitMix64(state: outer.next() ^ UInt64(bitPattern: Int64(epoch)) &* 0xD6E8_FEB8_6659_FD93)
    generator.state = generator.next()
    var order = Array(0..<count)
    guard count > 1 else { return order }
    for last in stride(from: count - 1, to: 0, by: -1) {
      let other = Int(generator.next().multipliedFullWidth(by: UInt64(last + 1)).high)
      order.swapAt(last, other)
    }
    return order
  }
}

struct SplitMix64: Sendable {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}
