import ApusCore
import Foundation
import TestSupport
import Testing

@testable import ApusData

/// A file of `png.json` and what is in it.
struct PNGCase: Decodable, Sendable, CustomTestStringConvertible {
  let name: String
  let width, height, channels, bitDepth: Int
  let samples: [UInt16]
  let png: Data

  var testDescription: String { name }

  static let all: [PNGCase] = {
    let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    do {
      return try JSONDecoder().decode(
        [PNGCase].self, from: Data(contentsOf: folder.appending(path: "Fixtures/png.json")))
    } catch {
      fatalError("png.json: \(error)")
    }
  }()
}

/// Every color type, bit depth, interlacing and transparency that PNG has, with all their bits.
@Suite struct PNGKindTests {
  @Test(arguments: PNGCase.all) func isReadWhole(example: PNGCase) throws {
    let image = try RasterImage(png: [UInt8](example.png))
    #expect(image.width == example.width && image.height == example.height && image.channels == example.channels)
    #expect(image.bitDepth == example.bitDepth)
    #expect(image.samples == example.samples)
    #expect(try RasterImage(png: image.png()) == image)
  }

  @Test(arguments: PNGCase.all) func becomesATensorOfItsDepth(example: PNGCase) throws {
    try withFolder { folder in
      try example.png.write(to: URL(filePath: "\(folder)/a.png"))
      let read = try ImageReader.read("\(folder)/a.png")
      let (pixels, channels) = (example.width * example.height, example.channels)
      let size = [example.height, example.width]
      let shape = Shape(channels == 1 ? size : [channels] + size)
      #expect(read.type == TensorType(example.bitDepth == 16 ? .uint16 : .uint8, shape))
      let planes = (0..<channels * pixels).map { example.samples[$0 % pixels * channels + $0 / pixels] }
      let found = example.bitDepth == 16 ? read.toArray(of: UInt16.self) : read.toArray(of: UInt8.self).map(UInt16.init)
      #expect(found == planes)
      #expect(read.cast(to: .float32).toArray() == planes.map { Float($0) })

      // For a model: all levels are kept, 0 to 1.
      guard channels % 2 == 1 else { return }
      let fitting = ImageReader.Fitting(
        width: example.width, height: example.height, channels: channels, inversion: .never)
      let fitted = try ImageReader.read("\(folder)/a.png", fitting: fitting)
      let top: Float = example.bitDepth == 16 ? 65535 : 255
      #expect(fitted.toArray(of: Float.self) == planes.map { Float($0) / top })
    }
  }

  /// What is made of a 16-bit image has 16 bits; levels that are given by 8 mean the same.
  @Test func transformsKeepTheDepth() throws {
    func deep(_ samples: [UInt16], _ width: Int, _ channels: Int) throws -> RasterImage {
      try RasterImage(
        width: width, height: samples.count / width / channels, channels: channels, bitDepth: 16, samples: samples)
    }
    // BT.601 by hand: 0.299 · 65535 = 19595, 0.587 · 65535 = 38469, 0.114 · 65535 = 7471.
    let gray = try deep([65535, 0, 0, 0, 65535, 0, 0, 0, 65535, 1, 1, 1], 4, 3).gray()
    #expect(gray.samples == [19595, 38469, 7471, 1] && gray.bitDepth == 16)
    #expect(try deep([300, 0, 700, 65535], 2, 2).gray().samples == [65535, 700])
    #expect(try deep([9, 8, 7, 0], 1, 4).rgb(background: 1).samples == [257, 257, 257])
    #expect(try deep([1, 2, 3, 4], 1, 4).inverted().samples == [65534, 65533, 65532, 4])
    #expect(try deep([0, 257, 514, 771], 2, 1).resized(width: 1, height: 1).samples == [386])
    #expect(try deep([65535, 40000, 65535], 3, 1).hasLightBackground)
    #expect(try !deep([300, 300, 300], 3, 1).hasLightBackground)
    let dot = try deep([0, 0, 0, 16447, 16448, 0], 6, 1)
    #expect(dot.croppedToBright(threshold: 64).samples == [16448])
    #expect(refusal { try RasterImage(width: 1, height: 1, channels: 1, bitDepth: 8, samples: [256]) }.contains("256"))
    #expect(
      refusal { try RasterImage(width: 1, height: 1, channels: 1, bitDepth: 12, samples: [2]) }.contains("12-bit"))
  }
}
