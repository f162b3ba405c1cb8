import ApusCore
import TestSupport
import Testing

@testable import ApusData

@Suite struct ImageTests {
  private let sample: [UInt8] = (0..<35).map { index in
    let (x, y) = (index % 7, index / 7)
    return UInt8((x * 37 + y * 91 + x * y * 13) % 256)
  }

  private func image(_ samples: [UInt8], _ width: Int, _ height: Int, channels: Int = 1) throws -> RasterImage {
    try RasterImage(width: width, height: height, channels: channels, samples: samples)
  }

  private func expectClose(_ values: [Float], _ references: [Float], _ tolerance: Float) {
    #expect(values.count == references.count)
    for (value, reference) in zip(values, references) { #expect(Swift.abs(value - reference) < tolerance) }
  }

  /// Numbers from a matrix of exact overlaps, computed with NumPy.
  @Test func shrinkingAveragesAreas() throws {
    let small = try image(sample, 7, 5).resizedValues(width: 3, height: 2)
    let expected: [Float] = [99.343, 134.543, 147.8, 120.6, 139.343, 136.143]
    expectClose(small, expected, 1e-3)
    #expect(try image([0, 10, 20, 30], 2, 2).resized(width: 1, height: 1).samples == [15])
  }

  /// Numbers from Pillow's bilinear resizing of the same image as 32-bit floats.
  @Test func enlargingInterpolates() throws {
    let large = try image(sample, 7, 5).resizedValues(width: 10, height: 8)
    let first: [Float] = [0, 20.35, 46.25, 72.15, 98.05, 123.95, 149.85, 175.75, 201.65, 222]
    let second: [Float] = [39.812, 63.291, 93.172, 123.053, 152.934, 143.616, 100.697, 130.578, 160.459, 183.938]
    expectClose(Array(large.prefix(20)), first + second, 0.01)
  }

  @Test func resizingKeepsWhatItMust() throws {
    var dice = SeededRandom(seed: 4)
    for _ in 0..<200 {
      let (width, height, channels) = (
        Int.random(in: 1...20, using: &dice), Int.random(in: 1...20, using: &dice), Int.random(in: 1...4, using: &dice)
      )
      let (columns, rows) = (Int.random(in: 1...30, using: &dice), Int.random(in: 1...30, using: &dice))
      let level = UInt8.random(in: 0...255, using: &dice)
      let flat = try image(
        [UInt8](repeating: level, count: width * height * channels), width, height, channels: channels)
      #expect(try flat.resized(width: columns, height: rows).samples.allSatisfy { $0 == level })

      let noise = try image(
        (0..<width * height * channels).map { _ in UInt8.random(in: 0...255, using: &dice) }, width, height,
        channels: channels)
      #expect(try noise.resized(width: width, height: height) == noise)
      let scaled = try noise.resizedValues(width: columns, height: rows)
      #expect(scaled.allSatisfy { (-0.01...255.01).contains($0) })
      if columns <= width, rows <= height {
        // Averaging areas keeps the mean.
        let before = noise.samples.reduce(0) { $0 + Double($1) } / Double(noise.samples.count)
        let after = scaled.reduce(0) { $0 + Double($1) } / Double(scaled.count)
        #expect(abs(before - after) < 0.01)
      }
    }
    // Width first, it would have 16 G samples in between.
    let bar = try image([UInt8](repeating: 7, count: 1 << 22), 1, 1 << 22)
    #expect(try bar.resized(width: 4096, height: 1).samples == [UInt16](repeating: 7, count: 4096))
    #expect(refusal { try image([1], 1, 1).resized(width: 0, height: 4) }.contains("positive"))
    #expect(refusal { try image([1], 1, 1).resized(width: 1 << 40, height: 1 << 40) }.contains("MPixel"))
  }

  @Test func grayAndColour() throws {
    #expect(
      try image([255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255], 4, 1, channels: 3).gray().samples == [
        76, 150, 29, 255,
      ])
    // Transparent black is paper; half transparent black is mid-gray.
    #expect(try image([0, 0, 0, 128, 0, 255], 3, 1, channels: 2).gray().samples == [255, 127, 0])
    #expect(try image([9, 8, 7, 0], 1, 1, channels: 4).rgb(background: 5).samples == [5, 5, 5])
    #expect(try image([9], 1, 1).rgb().samples == [9, 9, 9])
    #expect(try image([9, 8, 7, 6], 1, 1, channels: 4).inverted().samples == [246, 247, 248, 6])
  }

  @Test func polarity() throws {
    let paper = try image([255, 250, 255, 250, 0, 250, 255, 255, 255], 3, 3)
    #expect(paper.hasLightBackground)
    #expect(!paper.inverted().hasLightBackground)
    #expect(try image([200], 1, 1).hasLightBackground)
    #expect(try image([200, 0, 0, 0, 200], 1, 5).hasLightBackground == false)
  }

  @Test func contentIsFound() throws {
    let dots = try image([0, 0, 0, 0, 0, 90, 0, 0, 0, 0, 0, 200, 0, 0, 0, 0], 4, 4)
    #expect(try dots.croppedToBright() == image([90, 0, 0, 0, 0, 200], 3, 2).cropped(x: 0, y: 0, width: 3, height: 2))
    #expect(try image([1, 2, 3, 4], 2, 2).croppedToBright().samples == [1, 2, 3, 4])
    #expect(try image([1, 2, 3, 4], 2, 2).cropped(x: 1, y: -4, width: 9, height: 1).samples == [2])
  }

  @Test func tensorsOfImages() throws {
    let gray = try ImageReader.tensor(image([1, 2, 3, 4, 5, 6], 3, 2))
    #expect(gray.type == TensorType(.uint8, [2, 3]))
    #expect(values(gray) == [1, 2, 3, 4, 5, 6] as [UInt8])
    let color = try ImageReader.tensor(image([1, 2, 3, 4, 5, 6], 2, 1, channels: 3))
    #expect(color.type == TensorType(.uint8, [3, 1, 2]))
    #expect(values(color) == [1, 4, 2, 5, 3, 6] as [UInt8])
  }

  @Test func fittingAModel() throws {
    // Dark on light turns bright on dark; an image of the right size is only inverted.
    let paper = try image([255, 255, 255, 255, 0, 255, 255, 255, 255], 3, 3)
    let same = try ImageReader.tensor(paper, fitting: .init(width: 3, height: 3, cropsToContent: true))
    #expect(same.type == TensorType(.float32, [1, 3, 3]))
    #expect(values(same) == [0, 0, 0, 0, 1, 0, 0, 0, 0] as [Float])
    let kept = try ImageReader.tensor(paper, fitting: .init(width: 3, height: 3, inversion: .never))
    #expect(values(kept, as: Float.self).prefix(2) == [1, 1])

    // A tall bar, contained with a margin, is centred and keeps its shape.
    let bar = try image([255, 255, 255, 255], 1, 4)
    let placed = try ImageReader.tensor(
      bar, fitting: .init(width: 6, height: 6, inversion: .never, mode: .contain, margin: 1))
    #expect(values(placed, as: Float.self).map { $0 > 0 ? 1 : 0 }.reduce(0, +) == 4)
    #expect(values(placed, as: Float.self)[6 + 2] == 1)

    let colour = try ImageReader.tensor(paper, fitting: .init(width: 2, height: 5, channels: 3))
    #expect(colour.shape == [3, 5, 2])
    #expect(
      refusal { try ImageReader.tensor(paper, fitting: .init(width: 4, height: 4, channels: 2)) }.contains("2 channels")
    )
    #expect(
      refusal { try ImageReader.tensor(paper, fitting: .init(width: 4, height: 4, margin: 2)) }.contains("margin of 2"))
    #expect(refusal { try ImageReader.tensor(paper, fitting: .init(width: -1, height: 4)) }.contains("positive"))
  }

  /// A digit of the built-in set, enlarged and drawn dark on light paper with wide borders, comes back as itself.
  @Test func drawnDigitsAreRecovered() throws {
    let original = try Datasets.digits().train.element(at: 0).inputs
    let pixels = values(original, as: Float.self).map { UInt8($0 * 255) }
    // The rows and columns that have ink: those that cropping finds again.
    let (left, right) = (1, 6)
    #expect((0..<64).allSatisfy { pixels[$0] < 64 || (left...right).contains($0 % 8) })
    let (size, border) = (20 * 8, 37)
    let side = size + 2 * border
    var paper = [UInt8](repeating: 255, count: side * side)
    for y in 0..<size {
      for x in 0..<size { paper[(y + border) * side + x + border] = 255 - pixels[y / 20 * 8 + x / 20] }
    }
    let again = try values(ImageReader.tensor(image(paper, side, side), fitting: .opticalDigits), as: Float.self)
    for y in 0..<8 {
      for x in 0..<8 {
        // Faint edges outside the box of the ink are lost, the ink itself is not.
        let expected = (left...right).contains(x) ? Float(pixels[y * 8 + x]) / 255 : 0
        #expect(abs(again[y * 8 + x] - expected) < 0.01)
      }
    }
    let large = try ImageReader.tensor(image(paper, side, side), fitting: .mnist)
    #expect(large.shape == [1, 28, 28])
    let rows = values(large, as: Float.self)
    #expect(rows[..<(4 * 28)].allSatisfy { $0 == 0 } && rows[(24 * 28)...].allSatisfy { $0 == 0 })
    #expect(rows[(4 * 28)..<(24 * 28)].contains { $0 > 0.9 })
  }

  @Test func readsFiles() throws {
    try withFolder { folder in
      try image([10, 20, 30, 40], 2, 2).write(to: folder + "/a.png")
      #expect(try ImageReader.read(folder + "/a.png").shape == [2, 2])
      #expect(
        try ImageReader.read(folder + "/a.png", fitting: .init(width: 1, height: 1, inversion: .never)).elementCount
          == 1
      )
      #expect(refusal { try ImageReader.read(folder + "/b.png") }.contains("b.png"))
    }
  }
}
