import ApusCore
import Foundation
import TestSupport
import Testing

@testable import ApusData

/// Files that claim, or hold in few bytes, much more than they are.
enum HostileFile: Codable, CaseIterable, Sendable {
  case chunksThatClaim, chunksThatAreLarge, tallBits, tallBitsFitted, wideBits, tallInterlaced, tallDeep
  case idxClaim, idxClaimZipped, idxFull, idxFullZipped, idxEmptyMembers

  static let mebi = 1 << 20

  /// Every kind of chunk the specification has, and unknown ones.
  static let chunks = [
    "tEXt", "zTXt", "iTXt", "iCCP", "eXIf", "sPLT", "hIST", "gAMA", "cHRM", "sRGB", "sBIT", "bKGD", "pHYs", "tIME",
    "oFFs", "pCAL", "sCAL", "sTER", "tRNS", "PLTE", "IDAT", "IEND", "acTL", "fcTL", "fdAT", "cICP", "mDCV", "cLLI",
    "prVt", "JUNK", "aaaa",
  ]

  /// The files, and how many bytes what is in them takes.
  func files() throws -> (files: [[UInt8]], result: Int) {
    switch self {
    case .chunksThatClaim:
      let claims: [UInt32] = [0x7FFF_FFFF, 0x7FFF_FFFE, 1 << 30, 500 << 20, 0xFFFF_FFFF]
      return (
        Self.chunks.flatMap { name in
          claims.map { claim in
            PNGFile.signature + PNGFile.header(8, 8, depth: 8, color: 3) + PNGFile.bytes(claim) + Array(name.utf8)
          }
        }, 0
      )
    case .chunksThatAreLarge:
      // Deflated a thousandfold: 64 MiB of a profile or text.
      let profile = Array("x".utf8) + [0, 0] + PNGFile.zlib(of: 64 * Self.mebi)
      let body = PNGFile.image(8, 8, depth: 8, color: 0)
      return (["iCCP", "zTXt"].map { body.head + PNGFile.chunk($0, profile) + body.tail }, 64)
    case .tallBits, .tallBitsFitted:
      return ([PNGFile.image(1, 32 * Self.mebi, depth: 1, color: 0).file], 32 * Self.mebi)
    case .wideBits: return ([PNGFile.image(4 * Self.mebi, 4, depth: 1, color: 0).file], 16 * Self.mebi)
    case .tallInterlaced:
      return ([PNGFile.image(1, 16 * Self.mebi, depth: 1, color: 0, interlaced: true).file], 16 * Self.mebi)
    case .tallDeep: return ([PNGFile.image(1, 8 * Self.mebi, depth: 16, color: 6).file], 64 * Self.mebi)
    case .idxClaim: return ([[0, 0, 0x0E, 2, 0x20, 0, 0, 0, 0, 0, 0, 8]], 0)
    case .idxClaimZipped: return ([try Gzip.compress([0, 0, 0x0E, 2, 0x20, 0, 0, 0, 0, 0, 0, 8])], 0)
    case .idxFull, .idxFullZipped:
      let whole = [0, 0, 0x0E, 1, 0, 0x40, 0, 0] + [UInt8](repeating: 3, count: 32 * Self.mebi)
      return ([self == .idxFull ? whole : try Gzip.compress(whole)], 32 * Self.mebi)
    case .idxEmptyMembers:
      return (
        [try [[UInt8]](repeating: Gzip.compress([]), count: 100_000).flatMap { $0 } + Gzip.compress([0, 0, 8, 0, 7])], 1
      )
    }
  }

  func read(_ file: [UInt8]) {
    switch self {
    case .chunksThatClaim, .chunksThatAreLarge, .tallBits, .wideBits, .tallInterlaced, .tallDeep:
      _ = try? ImageReader.tensor(RasterImage(png: file))
    case .tallBitsFitted: _ = try? ImageReader.tensor(RasterImage(png: file), fitting: .mnist)
    case .idxClaim, .idxClaimZipped, .idxFull, .idxFullZipped, .idxEmptyMembers: _ = try? IDX.decode(file)
    }
  }
}

/// PNG files put together by hand, of zeros.
enum PNGFile {
  static let signature: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]

  static func bytes(_ value: UInt32) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * $0)) } }

  static func chunk(_ name: String, _ data: [UInt8]) -> [UInt8] {
    var sum: UInt32 = 0xFFFF_FFFF
    for byte in Array(name.utf8) + data {
      sum ^= UInt32(byte)
      for _ in 0..<8 { sum = sum & 1 == 1 ? sum >> 1 ^ 0xEDB8_8320 : sum >> 1 }
    }
    return bytes(UInt32(data.count)) + Array(name.utf8) + data + bytes(~sum)
  }

  static func header(_ width: Int, _ height: Int, depth: UInt8, color: UInt8, interlaced: Bool = false) -> [UInt8] {
    chunk("IHDR", bytes(UInt32(width)) + bytes(UInt32(height)) + [depth, color, 0, 0, interlaced ? 1 : 0])
  }

  /// `count` zeros as zlib data: the deflated data of gzip with zlib's header and check sum. Adler-32 of n zeros is n mod
  /// 65521 in its upper half and 1 in its lower.
  static func zlib(of count: Int) -> [UInt8] {
    guard let zipped = try? Gzip.compress([UInt8](repeating: 0, count: count)) else { return [] }
    return [0x78, 0x9C] + zipped[10..<zipped.count - 8] + bytes(UInt32(count % 65521) << 16 | 1)
  }

  static func image(_ width: Int, _ height: Int, depth: UInt8, color: UInt8, interlaced: Bool = false)
    -> (head: [UInt8], tail: [UInt8], file: [UInt8])
  {
    let bits = Int(depth) * [0: 1, 2: 3, 3: 1, 4: 2, 6: 4][color, default: 1]
    // Of one column the passes are the first, the third, the fifth and the seventh: all rows, once.
    let row = (width * bits + 7) / 8 + 1
    let head = signature + header(width, height, depth: depth, color: color, interlaced: interlaced)
    let tail = chunk("IDAT", zlib(of: row * height)) + chunk("IEND", [])
    return (head, tail, head + tail)
  }
}

@Suite struct ReaderMemoryTests {
  /// Reading takes a small multiple of the file and what is in it, whatever it claims.
  @Test(arguments: HostileFile.allCases) func staysSmall(kind: HostileFile) async {
    await #expect(processExitsWith: .success) { [kind = kind as HostileFile] in
      let (files, result) = try kind.files()
      for file in files {
        let growth = try peakMemoryGrowth { kind.read(file) }
        let allowed = 8 * HostileFile.mebi + 4 * (file.count + result)
        precondition(
          growth <= allowed, "\(kind): \(growth) bytes for a file of \(file.count) and a result of \(result)")
      }
    }
  }

  /// They are what they should be: else nothing would be measured.
  @Test func theLargeOnesAreRead() throws {
    for kind in [HostileFile.chunksThatAreLarge, .wideBits, .tallInterlaced] {
      for file in try kind.files().files { #expect(try RasterImage(png: file).samples.allSatisfy { $0 == 0 }) }
    }
    #expect(try IDX.decode(HostileFile.idxEmptyMembers.files().files[0]).item(as: Int.self) == 7)
  }

  /// A file with a hole is larger than memory: an error.
  @Test func filesWithHoles() throws {
    try withFolder { folder in
      let path = folder + "/hole"
      try Data([0, 0, 8, 1]).write(to: URL(filePath: path))
      for size: UInt64 in [1 << 36, 1 << 42] {
        let handle = try FileHandle(forWritingTo: URL(filePath: path))
        guard (try? handle.truncate(atOffset: size)) != nil else { continue }
        try handle.close()
        #expect(refusal { try IDX.read(path) }.contains("at most"))
        #expect(refusal { try RasterImage.read(path) }.contains("at most"))
      }
    }
  }
}
