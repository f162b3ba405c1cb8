#if canImport(Glibc)
  import Glibc
#endif

/// Philox4x32-10: a block cipher of a counter, so that every element of a draw can be computed by itself.
///
/// Salmon, Moraes, Dror, Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011, section 3.3.
struct Philox: Sendable {
  let key: UInt64

  /// The four lanes of the block at `counter` (the counter's upper 64 bits are zero).
  func block(_ counter: UInt64) -> (UInt32, UInt32, UInt32, UInt32) {
    var (a, b, c, d) = (
      UInt32(truncatingIfNeeded: counter), UInt32(truncatingIfNeeded: counter >> 32), UInt32(0), UInt32(0)
    )
    var (low, high) = (UInt32(truncatingIfNeeded: key), UInt32(truncatingIfNeeded: key >> 32))
    for _ in 0..<10 {
      let first = a.multipliedFullWidth(by: 0xD251_1F53)
      let second = c.multipliedFullWidth(by: 0xCD9E_8D57)
      (a, b, c, d) = (second.high ^ b ^ low, second.low, first.high ^ d ^ high, first.low)
      low &+= 0x9E37_79B9
      high &+= 0xBB67_AE85
    }
    return (a, b, c, d)
  }
}

/// Random draws of the reference engine; `docs/architecture.md` fixes which lanes make which element.
enum ReferenceRandom {
  /// The draw's elements, and the state after it.
  static func uniform(_ state: ReferenceArray, _ outputs: [TensorType]) throws -> [ReferenceArray] {
    try draw(state, outputs) { $0 }
  }

  /// Box–Muller on consecutive pairs of uniforms u, v: √(−2 ln u) · (cos 2πv, sin 2πv), with u raised by one step
  /// of its grid so that it is in (0, 1].
  static func normal(_ state: ReferenceArray, _ outputs: [TensorType]) throws -> [ReferenceArray] {
    let step = outputs[0].dtype == .float64 ? 0x1p-53 : 0x1p-24
    return try draw(state, outputs) { uniforms in
      Swift.stride(from: 0, to: uniforms.count, by: 2).flatMap { i -> [Double] in
        let radius = (-2 * log(uniforms[i] + step)).squareRoot()
        let angle = 2 * Double.pi * uniforms[i + 1]
        return [radius * cos(angle), radius * sin(angle)]
      }
    }
  }

  private static func draw(
    _ state: ReferenceArray, _ outputs: [TensorType], _ shaped: ([Double]) -> [Double]
  ) throws -> [ReferenceArray] {
    let state64 = try state.integers()
    let cipher = Philox(key: UInt64(bitPattern: state64[0]))
    let offset = UInt64(bitPattern: state64[1])
    let count = outputs[0].shape.elementCount
    let isWide = outputs[0].dtype == .float64
    let perBlock = isWide ? 2 : 4
    let blocks = (count + perBlock - 1) / perBlock
    let uniforms = (0..<blocks).flatMap { block -> [Double] in
      let lanes = cipher.block(offset &+ UInt64(block))
      return isWide
        ? [wide(lanes.0, lanes.1), wide(lanes.2, lanes.3)]
        : [narrow(lanes.0), narrow(lanes.1), narrow(lanes.2), narrow(lanes.3)]
    }
    return [
      ReferenceArray(outputs[0], Array(shaped(uniforms).prefix(count))),
      ReferenceArray(outputs[1], integers: [state64[0], Int64(bitPattern: offset &+ UInt64(blocks))]),
    ]
  }

  private static func narrow(_ lane: UInt32) -> Double { Double(lane >> 8) * 0x1p-24 }
  private static func wide(_ high: UInt32, _ low: UInt32) -> Double {
    Double((UInt64(high) << 32 | UInt64(low)) >> 11) * 0x1p-53
  }
}
