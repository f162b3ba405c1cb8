import Apus

/// A model's answers on held-out images.
struct HeldOutReport {
  let predicted: [Int]
  let actual: [Int]
  /// Probability of the predicted class.
  let confidence: [Float]
  private let images: Tensor

  var correct: Int { zip(predicted, actual).count { $0 == $1 } }
  var accuracy: Double { actual.isEmpty ? 0 : Double(correct) / Double(actual.count) }

  /// For people: "99.44 % (357 of 359)".
  var summary: String { "\((accuracy * 10000).rounded() / 100) % (\(correct) of \(actual.count))" }

  /// - Parameter test: single examples of image and label.
  init(_ model: DigitModel, _ test: Dataset) throws {
    var (predicted, actual): ([Int], [Int]) = ([], [])
    var confidence: [Float] = []
    var parts: [Tensor] = []
    let batches = try test.batched(64)
    for i in 0..<batches.count {
      let batch = try batches.element(at: i)
      guard let labels = batch.targets else { continue }
      let probabilities = try model.probabilities(batch.inputs)
      predicted += probabilities.argMax(axis: 1).toArray(of: Int.self)
      confidence += probabilities.max(1).toArray()
      actual += labels.toArray(of: Int.self)
      parts.append(batch.inputs)
    }
    guard !parts.isEmpty else { throw ApusError(.argument, "there are no held-out images") }
    self.predicted = predicted
    self.actual = actual
    self.confidence = confidence
    images = concatenate(parts, axis: 0)
  }

  /// The first image, large enough to be looked at.
  func firstImage(_ model: DigitModel) throws -> RasterImage {
    let samples = images[0].toArray().map { UInt8(clamping: Int(($0 * 255).rounded())) }
    let side = model.side * Swift.max(256 / model.side, 1)
    return try RasterImage(width: model.side, height: model.side, channels: 1, samples: samples)
      .resized(width: side, height: side)
  }

  /// All mistakes, then others in order, up to `limit` images.
  func sheet(_ model: DigitModel, limit: Int = 60) throws -> ImageSheet {
    let wrong = actual.indices.filter { predicted[$0] != actual[$0] }
    let right = actual.indices.filter { predicted[$0] == actual[$0] }
    let size = model.side * model.side
    let pixels = images.toArray()
    let items = (wrong + right).prefix(limit).map { i in
      ImageSheet.Item(
        pixels: Array(pixels[i * size..<(i + 1) * size]), predicted: model.classNames[predicted[i]],
        actual: model.classNames[actual[i]], confidence: Double(confidence[i]))
    }
    return try ImageSheet(
      title: "Held-out digits", subtitle: "\(correct) of \(actual.count) right; mistakes first", items: items,
      pixelColumns: model.side, pixelRows: model.side)
  }
}
