import ApusCore
import ApusData
import Foundation
import Testing

@testable import ApusWatch

/// Decodes a picture again with libpng, which shares nothing with the drawing library.
private func pixels(_ picture: some Picture, scale: Double = 1) throws -> RasterImage {
  try RasterImage(png: picture.png(scale: scale)).rgb()
}

private func share(_ image: RasterImage, _ matches: (_ red: Int, _ green: Int, _ blue: Int) -> Bool) -> Double {
  var count = 0
  for first in stride(from: 0, to: image.samples.count, by: 3)
  where matches(Int(image.samples[first]), Int(image.samples[first + 1]), Int(image.samples[first + 2])) { count += 1 }
  return Double(count) / Double(image.width * image.height)
}

private func isRed(_ red: Int, _ green: Int, _ blue: Int) -> Bool { red > 170 && green < 90 && blue < 90 }
private func isBlue(_ red: Int, _ green: Int, _ blue: Int) -> Bool { blue > red + 90 && blue > 130 }
private func isOrange(_ red: Int, _ green: Int, _ blue: Int) -> Bool {
  red > 190 && (90...150).contains(green) && blue < 90
}

private func message(of body: () throws -> some Any) -> String {
  do { _ = try body() } catch { return "\(error)" }
  return ""
}

@Suite struct LearningCurvesTests {
  private let curves = LearningCurves(
    title: "Run", trainLoss: [2, 1, 0.5], validationLoss: [1.8, 1.1, 0.7], trainAccuracy: [0.3, 0.7, 0.9],
    validationAccuracy: [0.4, 0.65, 0.8])

  @Test func drawsBothCurvesInBothPanels() throws {
    let image = try pixels(curves)
    #expect(image.width == Int(curves.size.width) && image.height == Int(curves.size.height))
    for x in [0, image.width / 2] {
      let panel = image.cropped(x: x, y: 0, width: image.width / 2, height: image.height)
      #expect(share(panel, isBlue) > 0.002)
      #expect(share(panel, isOrange) > 0.002)
    }
    #expect(share(image) { $0 == 255 && $1 == 255 && $2 == 255 } > 0.8)
    #expect(try pixels(curves, scale: 2).width == 2 * image.width)
  }

  @Test func curvesWithoutValuesAreLeftOut() throws {
    let lossOnly = LearningCurves(trainLoss: [1, 0.5])
    let image = try pixels(lossOnly)
    #expect(image.width == 420)
    #expect(share(image, isOrange) == 0)
    #expect(try pixels(LearningCurves(trainLoss: [])).width == 420)
  }

  @Test(arguments: [
    [Double.nan, .infinity, -.infinity], [0, 0, 0], [1e-300, 1e300], [-5, 3], [.nan, 1, .nan, 2], [1e-9, 1e-10],
  ]) func oddValuesDraw(values: [Double]) throws {
    let odd = LearningCurves(
      trainLoss: values, validationLoss: values, trainAccuracy: values, validationAccuracy: values)
    #expect(try pixels(odd).width == 840)
    #expect(try !LearningCurves(trainLoss: values, lossScale: .logarithmic).png().isEmpty)
  }

  /// The ends of what a Double holds, where sums overflow and powers of ten vanish, in any combination.
  @Test func extremeValuesDraw() throws {
    let extremes = [
      .leastNonzeroMagnitude, -Double.leastNonzeroMagnitude, 2 * .leastNonzeroMagnitude, .leastNormalMagnitude, 1.7e308,
      -1.7e308, .greatestFiniteMagnitude, 1e-300, 1, 0, 9_007_199_254_740_992, .nan, -.infinity,
    ]
    for a in extremes {
      for values in [[a]] + extremes.map({ [a, $0] }) {
        for axis in [Axis(covering: values), Axis(covering: values, including: [0], limit: 100)] {
          #expect(axis.lower < axis.upper && (1...20).contains(axis.ticks.count), "\(values): \(axis)")
          #expect(axis.ticks.allSatisfy { $0.isFinite && !axis.label($0).isEmpty })
          #expect(
            values.allSatisfy { !$0.isFinite || (0...1).contains(axis.position(of: $0) ?? -1) }, "\(values): \(axis)")
        }
        let axis = Axis(logarithmicCovering: values)
        #expect(0 < axis.lower && axis.lower < axis.upper && !axis.ticks.isEmpty, "\(values): \(axis)")
        #expect(axis.ticks.allSatisfy { $0.isFinite && !axis.label($0).isEmpty })
        #expect(values.allSatisfy { !($0 > 0 && $0.isFinite) || (0...1).contains(axis.position(of: $0) ?? -1) })
      }
      #expect(try pixels(LearningCurves(trainLoss: [a], validationLoss: [a], trainAccuracy: [a])).width == 840)
    }
    for epoch in [Int.max, .min, .max - 1, 0] {
      let odd = LearningCurves(trainLoss: [1, 2, 3], trainAccuracy: [0.5], firstEpoch: epoch)
      #expect(try pixels(odd).width == 840)
    }
  }

  /// A title is shortened in a few measurements, however long it is.
  @Test func longTitles() throws {
    let canvas = try Canvas(width: 400, height: 100)
    let font = Font(size: 12)
    let shortened = canvas.fitted(String(repeating: "letters ", count: 100_000), to: 200, font: font)
    #expect(
      shortened.hasPrefix("letters ") && shortened.hasSuffix("…") && canvas.width(of: shortened, font: font) <= 200)
    #expect(canvas.width(of: String(shortened.dropLast()) + "lett…", font: font) > 200)
    #expect(canvas.fitted("short", to: 200, font: font) == "short" && canvas.fitted("short", to: 1, font: font) == "…")
  }

  @Test func manyEpochs() throws {
    let long = (1...2000).map { 1 / Double($0) }
    #expect(try !LearningCurves(trainLoss: long, trainAccuracy: long).png().isEmpty)
  }
}

@Suite struct ConfusionMatrixTests {
  @Test func countsPairs() throws {
    let matrix = try ConfusionMatrix(predicted: [0, 1, 1, 1], actual: [0, 0, 1, 1], classes: ["cat", "dog"])
    #expect(matrix.counts == [[1, 1], [0, 2]])
    #expect(matrix.total == 4 && matrix.correct == 3)
    #expect(matrix.recall(of: 0) == 0.5 && matrix.recall(of: 1) == 1)
    #expect(try ConfusionMatrix(counts: [[0]], classes: ["x"]).recall(of: 0) == nil)
    #expect(
      message(of: { try ConfusionMatrix(counts: [[.max, 0], [1, 0]], classes: ["x", "y"]) }).contains("add up to more"))
  }

  @Test func mistakesAreRed() throws {
    let right = try pixels(ConfusionMatrix(counts: [[9, 0], [0, 9]], classes: ["a", "b"]))
    let wrong = try pixels(ConfusionMatrix(counts: [[9, 9], [0, 9]], classes: ["a", "b"]))
    #expect(share(right) { r, g, b in r > g + 40 && r > b + 40 } == 0)
    #expect(share(wrong) { r, g, b in r > g + 40 && r > b + 40 } > 0.01)
    #expect(share(right, isBlue) > 0.02)
  }

  @Test func badInputIsNamed() {
    #expect(message { try ConfusionMatrix(predicted: [0], actual: [], classes: ["a"]) }.contains("1 predictions for 0"))
    #expect(
      message { try ConfusionMatrix(predicted: [0], actual: [3], classes: ["a"]) }.contains("class 3 has no name"))
    #expect(message { try ConfusionMatrix(predicted: [-1], actual: [0], classes: ["a"]) }.contains("class -1"))
    #expect(message { try ConfusionMatrix(counts: [[1, 2]], classes: ["a"]) }.contains("1 × 1 counts"))
    #expect(message { try ConfusionMatrix(counts: [[-1]], classes: ["a"]) }.contains("negative"))
    #expect(message { try ConfusionMatrix(counts: [], classes: []) }.contains("0 classes"))
  }

  @Test(arguments: [1, 26, 200]) func anyNumberOfClasses(count: Int) throws {
    let names = (0..<count).map { $0 % 3 == 0 ? "a class with a very long name \($0)" : "\($0)" }
    let counts = (0..<count).map { row in (0..<count).map { $0 == row ? 1000 + row : 0 } }
    #expect(try !ConfusionMatrix(counts: counts, classes: names).png(scale: 1).isEmpty)
  }
}

@Suite struct ImageSheetTests {
  private func sheet(_ items: [ImageSheet.Item], inkDark: Bool = true) throws -> ImageSheet {
    try ImageSheet(
      title: "Digits", subtitle: "held out", items: items, pixelColumns: 2, pixelRows: 2, showsInkDark: inkDark)
  }

  @Test func onlyMistakesAreRed() throws {
    let right = ImageSheet.Item(pixels: [0, 0.5, 0.5, 0], predicted: "3", actual: "3", confidence: 0.9999)
    let wrong = ImageSheet.Item(pixels: [0, 0.5, 0.5, 0], predicted: "3", actual: "8")
    let unknown = ImageSheet.Item(pixels: [0, 0.5, 0.5, 0], predicted: "3")
    #expect(!right.isWrong && wrong.isWrong && !unknown.isWrong)
    #expect(try share(pixels(sheet([right, unknown])), isRed) == 0)
    #expect(try share(pixels(sheet([right, wrong])), isRed) > 0.005)
  }

  @Test func inkIsDarkOnPaperUnlessAskedOtherwise() throws {
    let full = ImageSheet.Item(pixels: [1, 1, 1, .infinity], predicted: "1")
    let empty = ImageSheet.Item(pixels: [0, 0, .nan, -7], predicted: "0")
    // The first image's middle: 20 + 32 units from the left, 66 + 32 from the top.
    func middle(_ item: ImageSheet.Item, inkDark: Bool) throws -> UInt16 {
      let image = try pixels(sheet([item], inkDark: inkDark))
      return image.samples[(98 * image.width + 52) * 3]
    }
    #expect(try middle(full, inkDark: true) == 0 && middle(empty, inkDark: true) == 255)
    #expect(try middle(full, inkDark: false) == 255 && middle(empty, inkDark: false) == 0)
  }

  @Test func badInputIsNamed() throws {
    let item = ImageSheet.Item(pixels: [1, 2, 3], predicted: "1")
    #expect(message { try sheet([item]) }.contains("image 0 has 3 pixels"))
    #expect(message { try ImageSheet(title: "", items: [], pixelColumns: 0, pixelRows: 2) }.contains("0 × 2"))
    let many = [ImageSheet.Item](repeating: .init(pixels: [0, 0, 0, 0], predicted: ""), count: 2001)
    #expect(message { try sheet(many) }.contains("2001 images"))
    #expect(try !sheet([]).png().isEmpty)
  }
}

@Suite struct PictureFileTests {
  @Test func filesAreWholeAndLeaveNothingBehind() throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "apus-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let picture = LearningCurves(trainLoss: [1, 0.5])
    let path = folder.path + "/curves.png"
    for _ in 0..<2 { try picture.write(to: path) }
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["curves.png"])
    #expect(try RasterImage.read(path).width == 840)
    #expect(message { try picture.write(to: folder.path + "/none/curves.png") }.contains("none/curves.png"))
  }

  @Test func impossibleSizesAreNamed() {
    for (width, scale) in [(0.0, 1.0), (1e9, 1), (.nan, 1), (10, 1e9), (10, -1)] {
      #expect(message { try Canvas(width: width, height: 10, scale: scale) }.contains("1 to 32,767 pixels"))
    }
  }

  /// Pictures of different tasks do not disturb each other.
  @Test func drawsConcurrently() async throws {
    let reference = try LearningCurves(trainLoss: [3, 2, 1]).png()
    try await withThrowingTaskGroup(of: Bool.self) { group in
      for _ in 0..<8 { group.addTask { try LearningCurves(trainLoss: [3, 2, 1]).png() == reference } }
      for try await isSame in group { #expect(isSame) }
    }
  }
}

@Suite struct AxisTests {
  @Test func ticksAreNiceAndCoverTheData() {
    var low = -3.0
    while low < 3 {
      for span in [1e-6, 0.03, 0.7, 1, 4.2, 99, 12345] {
        let axis = Axis(covering: [low, low + span])
        #expect(axis.lower <= low + 1e-9 * span && axis.upper >= low + span - 1e-9 * span)
        #expect((2...7).contains(axis.ticks.count), "\(axis)")
        let step = axis.ticks[1] - axis.ticks[0]
        let mantissa = step / power(10, (log10(step) + 1e-9).rounded(.down))
        #expect([1, 2, 2.5, 5].contains { abs($0 - mantissa) < 1e-3 }, "\(step)")
      }
      low += 0.7
    }
  }

  @Test func labels() {
    #expect(Axis(covering: [0, 1]).ticks.map(Axis(covering: [0, 1]).label) == ["0", "0.25", "0.50", "0.75", "1.00"])
    let percent = Axis(covering: [41, 99.9], limit: 100)
    #expect(percent.upper == 100 && percent.ticks.map(percent.label) == ["40", "60", "80", "100"])
    let logarithmic = Axis(logarithmicCovering: [0.003, 2])
    #expect(logarithmic.ticks.map(logarithmic.label).first == "0.002")
    #expect(logarithmic.position(of: 0) == nil && logarithmic.position(of: .nan) == nil)
    #expect(Axis(integersFrom: 1, to: 20).ticks == [1, 5, 10, 15, 20])
    #expect(Axis(integersFrom: 1, to: 3).ticks == [1, 2, 3])
    #expect(Axis(integersFrom: 1, to: 1).ticks == [1])
    #expect(Axis(integersFrom: 0, to: 100).ticks == [0, 20, 40, 60, 80, 100])
  }

  @Test func numbers() {
    #expect(fixed(98.6, 2) == "98.60" && fixed(0.005, 2) == "0.01" && fixed(-1.25, 1) == "−1.3")
    #expect(fixed(-0.001, 1) == "0.0" && fixed(7, 0) == "7" && fixed(.nan, 1) == "nan")
    #expect(percent(1, of: 3) == "33.3 %" && percent(0, of: 0) == "–")
  }
}
