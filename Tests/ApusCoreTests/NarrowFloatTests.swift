import Testing

@testable import ApusCore

@Suite struct NarrowFloatTests {
  @Test("float16 is the processor's, for every pattern and between all neighbours")
  func float16() {
    for pattern in UInt16.min...UInt16.max {
      let value = Double(Float16(bitPattern: pattern))
      let decoded = NarrowFloat.float16.decode(pattern)
      #expect(decoded == value || decoded.isNaN && value.isNaN)
      guard value.isFinite else { continue }
      #expect(NarrowFloat.float16.encode(value) == pattern)
      // Ties and numbers just beside them.
      let next = Double(Float16(bitPattern: pattern).nextUp)
      guard next.isFinite else { continue }
      let middle = (value + next) / 2
      for probe in [middle, middle.nextUp, middle.nextDown] {
        #expect(NarrowFloat.float16.encode(probe) == Float16(probe).bitPattern, "\(probe)")
      }
    }
    for beyond in [65519.99, 65520, 1e6, .infinity] {
      #expect(NarrowFloat.float16.encode(beyond) == Float16(beyond).bitPattern)
      #expect(NarrowFloat.float16.encode(-beyond) == Float16(-beyond).bitPattern)
    }
    #expect(NarrowFloat.float16.decode(NarrowFloat.float16.encode(.nan)).isNaN)
  }

  @Test("bfloat16 is the upper half of a Float, rounded to even")
  func bfloat16() {
    for pattern in UInt16.min...UInt16.max {
      let value = Float(bitPattern: UInt32(pattern) << 16)
      let decoded = NarrowFloat.bfloat16.decode(pattern)
      #expect(decoded == Double(value) || decoded.isNaN && value.isNaN)
      if !value.isNaN { #expect(NarrowFloat.bfloat16.encode(Double(value)) == pattern) }
      // Adding half a step to the bits rounds half away from zero; on ties the last bit decides.
      guard pattern & 0x7FFF < 0x7F7F else { continue }
      let tie = Double(Float(bitPattern: UInt32(pattern) << 16 | 0x8000))
      #expect(NarrowFloat.bfloat16.encode(tie) == pattern + (pattern & 1))
      #expect(NarrowFloat.bfloat16.encode(tie * (1 + 0x1p-40)) == pattern + 1)
    }
  }

  /// "FP8 Formats for Deep Learning", table 1.
  @Test("the 8-bit formats' extremes are the paper's")
  func float8() {
    let (e4m3, e5m2) = (NarrowFloat.e4m3fn, NarrowFloat.e5m2)
    #expect(e4m3.decode(0b0_1111_110) == 448)
    #expect(e4m3.decode(0b0_1111_111).isNaN && e4m3.decode(0b1_1111_111).isNaN)
    #expect(e4m3.decode(0b0_0001_000) == 0x1p-6)
    #expect(e4m3.decode(0b0_0000_111) == 0.875 * 0x1p-6)
    #expect(e4m3.decode(0b0_0000_001) == 0x1p-9)
    #expect(e5m2.decode(0b0_11110_11) == 57344)
    #expect(e5m2.decode(0b0_11111_00) == .infinity)
    #expect(e5m2.decode(0b0_11111_01).isNaN && e5m2.decode(0b0_11111_11).isNaN)
    #expect(e5m2.decode(0b0_00001_00) == 0x1p-14)
    #expect(e5m2.decode(0b0_00000_01) == 0x1p-16)
    // Beyond the largest: NaN without infinities, infinity with them.
    #expect(e4m3.encode(464) == 0b0_1111_110 && e4m3.encode(464.5) == 0b0_1111_111)
    #expect(e5m2.encode(61439) == 0b0_11110_11 && e5m2.encode(61440) == 0b0_11111_00)
  }

  @Test("encoding undoes decoding, and takes the nearest value", arguments: [NarrowFloat.e4m3fn, .e5m2])
  func nearest(_ format: NarrowFloat) {
    let finite = (UInt16(0)...127).map(format.decode).filter(\.isFinite)
    for pattern in UInt16(0)...255 {
      let value = format.decode(pattern)
      if !value.isNaN { #expect(format.encode(value) == pattern) }
    }
    for i in 0..<2000 {
      let probe = finite[finite.count - 1] * Double(i) / 2000 * (i % 3 == 0 ? 1e-3 : 1)
      let distances = finite.map { abs($0 - probe) }
      let best = distances.min() ?? 0
      #expect(abs(format.decode(format.encode(probe)) - probe) == best, "\(probe)")
    }
  }

  @Test("integers become floats by one rounding")
  func roundedToOdd() {
    let odd: [Int64] = [
      0, 1, -1, .max, .min, .min + 1, 16_777_217, 16_777_219, (1 << 53) + 1, (1 << 53) + 3, 0x4000_0040_0000_0001,
      -0x4000_0040_0000_0001,
      0x4000_00C0_0000_0000, 0x7FFF_FFBF_FFFF_FFFF, 0x7FFF_FFC0_0000_0000,
    ]
    for n in odd { #expect(Float(Double(roundedToOdd: n)) == Float(n), "\(n)") }
    for n in odd.map({ UInt64(bitPattern: $0) }) { #expect(Float(Double(roundedToOdd: n)) == Float(n), "\(n)") }
  }

  /// Known answers of the Random123 library for philox4x32-10 (kat_vectors), as far as 64-bit counters go.
  @Test("Philox gives the published numbers")
  func philox() {
    #expect(Philox(key: 0).block(0) == (0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8))
  }
}
