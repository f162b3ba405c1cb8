import ApusCore
import Foundation
import TestSupport
import Testing

@testable import ApusData

/// Files from another encoder (pypng 0.20), which uses what the shim's own encoder does not.
private enum Foreign {
  static let gray1 = [UInt8](
    base64: "iVBORw0KGgoAAAANSUhEUgAAAAMAAAACAQAAAAC1D1u3AAAADElEQVR4nGNYwOAAAAIkAOFz6zvyAAAAAElFTkSuQmCC")
  static let gray16 = [UInt8](
    base64: "iVBORw0KGgoAAAANSUhEUgAAAAQAAAACEAAAAAAKU/78AAAAGUlEQVR4nGNgYGBkbGD4/5+BAUgyMjD+BwAlGgUBSV9RmQAAAABJ"
      + "RU5ErkJggg==")
  static let palette = [UInt8](
    base64: "iVBORw0KGgoAAAANSUhEUgAAAAMAAAACAgMAAADgGo6JAAAACVBMVEX/AAAA/wAAAP8tSs2KAAAAA3RSTlP/gAB/bWh4AAAADElE"
      + "QVR4nGOQYJgAAADcAKls58AjAAAAAElFTkSuQmCC")
  static let interlaced = [UInt8](
    base64: "iVBORw0KGgoAAAANSUhEUgAAAAkAAAAHCAAAAAGI9wgqAAAAWElEQVR4nAFNALL/AABIACQAZIisABI2AHaaADJEVmh6AJaouszeAAkb"
      + "LT8AO01fcQBtf5GjAJ+xw9UAGSIrND1GT1hhAEtUXWZveIGKkwB9ho+YoaqzvMWOERtSL8leXgAAAABJRU5ErkJggg==")
  static let rgb16 = [UInt8](
    base64: "iVBORw0KGgoAAAANSUhEUgAAAAIAAAABEAIAAAAr0DSeAAAAFUlEQVR4nGP4/5+BgZGRUYeBYY4DABlfAwosliFVAAAAAElFTkSuQmCC")
  /// Compressed once more by gzip.
  static let bomb = [UInt8](
    base64:
      "H4sIAAAAAAACA+3QvQ7BUBTA8XMjEal0YDQweAmDRCttaEjT0M3A5AUYjA2TzRuYrIydvYLJR6wmMZvUva9glP8vOTlfyRnOOgo7tlWxRMQOut"
      + "5ApOaYUDk9abZaqU75qB/7OmdZtrts77pS80E4FOdxnopUZ4Hnxovr86iUXiWbz+FVMPcAAAAAAMBfS26rXNkUbjZO65HiIwAAAACAH7yLjamo"
      + "3mlUMl3gh96+PVl+Ac/0clzLHgAA")
  static let all = [gray1, gray16, palette, interlaced, rgb16]
}

@Suite struct PNGTests {
  @Test(arguments: 1...4) func roundTrip(channels: Int) throws {
    var dice = SeededRandom(seed: UInt64(channels))
    for (width, height) in [(1, 1), (7, 3), (64, 65)] {
      let samples = (0..<width * height * channels).map { _ in UInt8.random(in: 0...255, using: &dice) }
      let image = try RasterImage(width: width, height: height, channels: channels, samples: samples)
      #expect(try RasterImage(png: image.png()) == image)
    }
  }

  @Test func foreignFiles() throws {
    #expect(try RasterImage(png: Foreign.gray1).samples == [255, 0, 255, 0, 255, 0])
    #expect(try RasterImage(png: Foreign.gray1).bitDepth == 8)
    #expect(try RasterImage(png: Foreign.gray16).bitDepth == 16)
    let palette = try RasterImage(png: Foreign.palette)
    #expect(palette.channels == 4)
    #expect(
      palette.samples == [
        255, 0, 0, 255, 0, 255, 0, 128, 0, 0, 255, 0, 0, 0, 255, 0, 0, 255, 0, 128, 255, 0, 0, 255,
      ])
    let interlaced = try RasterImage(png: Foreign.interlaced)
    #expect(interlaced.width == 9 && interlaced.height == 7)
    for (index, sample) in interlaced.samples.enumerated() {
      let (x, y) = (index % 9, index / 9)
      #expect(Int(sample) == (x * 9 + y * 25) % 256)
    }
    #expect(try RasterImage(png: Foreign.rgb16).samples.map { $0 >> 8 } == [255, 0, 1, 1, 0, 156])
  }

  @Test func badInputIsNamed() throws {
    #expect(refusal { try RasterImage(png: []) }.contains("signature"))
    #expect(refusal { try RasterImage(png: Array("GIF89a, not a PNG".utf8)) }.contains("signature"))
    #expect(refusal { try RasterImage(png: Foreign.interlaced.dropLast(40)) }.contains("ends early"))
    var broken = Foreign.interlaced
    broken[60] ^= 0xFF
    #expect(refusal { try RasterImage(png: broken) }.contains("not a readable PNG image"))
    #expect(refusal { try RasterImage(width: 2, height: 2, channels: 1, samples: [1, 2, 3]) }.contains("3 samples"))
    #expect(refusal { try RasterImage(width: 0, height: 2, channels: 1, samples: []) }.contains("positive"))
  }

  /// A header that claims more than a file can hold, or than is read, is refused before memory is taken.
  @Test(arguments: [
    (8000, 8000, "cannot hold"), (100_000, 100_000, "MPixel"), (0x7FFF_FFFF, 0x7FFF_FFFF, "MPixel"),
    (9000, 9000, "MPixel"),
    (1, 0x7FFF_FFFF, "MPixel"), (0, 5, "IHDR"),
  ]) func hugeClaims(width: UInt32, height: UInt32, expected: String) throws {
    let text = refusal { try RasterImage(png: header(width: width, height: height, of: Foreign.interlaced)) }
    #expect(text.contains(expected), "\(text)")
  }

  /// A palette of one bit with transparency grows 32 times when it is expanded, on top of what deflate gives.
  @Test func growthIsBounded() throws {
    // Made with Python's zlib: 8000×8000 pixels of a palette with one transparent colour.
    let bytes = try Gzip.inflate(Foreign.bomb, limit: 1 << 20).bytes
    #expect(bytes.count < 9000)
    #expect(refusal { try RasterImage(png: bytes) }.contains("256000000 bytes, more than 2000 times"))
    // What compresses well honestly is read: 4000×4000 equal pixels.
    let plain = try RasterImage(width: 4000, height: 4000, channels: 1, samples: .init(repeating: 7, count: 16_000_000))
    #expect(try RasterImage(png: plain.png()) == plain)
  }

  /// No damage whatever may crash the decoder or yield an image that is not as large as it says.
  @Test func damagedFilesNeverCrash() throws {
    var dice = SeededRandom(seed: 2026)
    let own = try RasterImage(width: 40, height: 30, channels: 3, samples: (0..<3600).map { UInt8($0 * 7 % 256) }).png()
    var refused = 0
    for seed in Foreign.all + [own] {
      for _ in 0..<1500 * soakFactor {
        let bytes = Bool.random(using: &dice) ? seed.damaged(&dice) : repaired(seed.damaged(&dice))
        do {
          let image = try RasterImage(png: bytes)
          #expect(image.samples.count == image.width * image.height * image.channels)
        } catch is ApusError {
          refused += 1
        }
      }
    }
    #expect(refused > 4000)
  }

  @Test func filesAreNamedInErrors() throws {
    try withFolder { folder in
      #expect(refusal { try RasterImage.read(folder + "/none.png") }.contains("none.png: No such file or directory"))
      #expect(refusal { try RasterImage.read(folder) }.contains("is a directory"))
      try Data("hello".utf8).write(to: URL(filePath: folder + "/text.png"))
      #expect(refusal { try RasterImage.read(folder + "/text.png") }.contains("text.png: not a readable PNG"))
      let image = try RasterImage(width: 2, height: 1, channels: 1, samples: [3, 4])
      try image.write(to: folder + "/ok.png")
      #expect(try RasterImage.read(folder + "/ok.png") == image)
      #expect(refusal { try image.write(to: folder + "/no/such/folder.png") }.contains("No such file or directory"))
    }
  }

  /// The file with another size in its header, whose check sum is made to fit.
  private func header(width: UInt32, height: UInt32, of png: [UInt8]) -> [UInt8] {
    var copy = png
    for byte in 0..<4 {
      copy[16 + byte] = UInt8(truncatingIfNeeded: width >> UInt32(24 - 8 * byte))
      copy[20 + byte] = UInt8(truncatingIfNeeded: height >> UInt32(24 - 8 * byte))
    }
    return repaired(copy)
  }

  /// Right check sums after damage, so that the damage gets past the first gate.
  private func repaired(_ png: [UInt8]) -> [UInt8] {
    var copy = png
    var place = 8
    while place + 12 <= copy.count {
      let length = copy[place..<place + 4].reduce(0) { $0 << 8 | Int($1) }
      guard length <= copy.count - place - 12 else { break }
      let end = place + 8 + length
      var sum: UInt32 = 0xFFFF_FFFF
      for byte in copy[place + 4..<end] {
        sum ^= UInt32(byte)
        for _ in 0..<8 { sum = sum & 1 == 1 ? sum >> 1 ^ 0xEDB8_8320 : sum >> 1 }
      }
      for byte in 0..<4 { copy[end + byte] = UInt8(truncatingIfNeeded: ~sum >> UInt32(24 - 8 * byte)) }
      place = end + 4
    }
    return copy
  }
}
