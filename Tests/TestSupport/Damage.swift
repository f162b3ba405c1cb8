import Foundation

/// How often the damaged files of the tests are multiplied: `./dev soak 100`.
public let soakFactor = ProcessInfo.processInfo.environment["APUS_SOAK"].flatMap { Int($0) } ?? 1

/// Numbers that look random and are the same in every run: xorshift64* (Vigna, 2016, https://arxiv.org/abs/1402.6246).
public struct SeededRandom: RandomNumberGenerator {
  private var state: UInt64

  public init(seed: UInt64) { state = seed | 1 << 63 }

  public mutating func next() -> UInt64 {
    state ^= state >> 12
    state ^= state << 25
    state ^= state >> 27
    return state &* 0x2545_F491_4F6C_DD1D
  }
}

extension Array where Element == UInt8 {
  /// A copy with a few bytes changed, removed, doubled, or the end cut off.
  public func damaged(_ random: inout SeededRandom) -> [UInt8] {
    var copy = self
    for _ in 0..<Int.random(in: 1...4, using: &random) where !copy.isEmpty {
      let place = Int.random(in: 0..<copy.count, using: &random)
      switch Int.random(in: 0..<6, using: &random) {
      case 0, 1: copy[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
      case 2: copy[place] = [0, 1, 0x7F, 0x80, 0xFF][Int.random(in: 0..<5, using: &random)]
      case 3: copy.removeLast(copy.count - place)
      case 4: copy.insert(contentsOf: copy[place..<Swift.min(place + 9, copy.count)], at: place)
      default: copy.remove(at: place)
      }
    }
    return copy
  }
}
