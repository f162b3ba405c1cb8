import ApusCore

/// A grid of small gray images, each with what was predicted; mistakes are red, framed, and say what was right.
///
/// ```swift
/// let items = [ImageSheet.Item(pixels: image, predicted: "3", actual: "8", confidence: 0.61)]
/// try ImageSheet(title: "Held-out digits", items: items, pixelColumns: 8, pixelRows: 8).write(to: "digits.png")
/// ```
public struct ImageSheet: Picture {
  /// One image and its captions.
  public struct Item: Sendable {
    /// Gray values row by row, 0 to 1; others are cut off.
    public var pixels: [Float]
    /// The predicted class's name.
    public var predicted: String
    /// The true class, nil when it is not known.
    public var actual: String?
    /// The predicted class's probability, 0 to 1, if it is to be shown.
    public var confidence: Double?

    /// An image with what is known of it.
    /// - Parameters:
    ///   - pixels: gray values row by row, 0 to 1.
    ///   - predicted: the predicted class's name.
    ///   - actual: the true class's name, nil when it is not known.
    ///   - confidence: the predicted class's probability, if it is to be shown. A mistake shows the true class instead.
    public init(pixels: [Float], predicted: String, actual: String? = nil, confidence: Double? = nil) {
      self.pixels = pixels
      self.predicted = predicted
      self.actual = actual
      self.confidence = confidence
    }

    /// Whether the true class is known and another was predicted.
    public var isWrong: Bool { actual.map { $0 != predicted } ?? false }
  }

  /// The headline.
  public var title: String
  /// A line below it.
  public var subtitle: String?
  /// The images in reading order.
  public let items: [Item]
  /// The images' width in pixels.
  public let pixelColumns: Int
  /// The images' height in pixels.
  public let pixelRows: Int
  /// Images in one row of the sheet.
  public let columns: Int
  /// True where 1 means ink (as in MNIST): such images are shown dark on white.
  public var showsInkDark: Bool

  /// A sheet of images of one size.
  /// - Throws: `ApusError` when an image has not `pixelColumns` × `pixelRows` pixels, a size is not positive, or the
  ///   sheet would have more than 2,000 images.
  public init(
    title: String, subtitle: String? = nil, items: [Item], pixelColumns: Int, pixelRows: Int, columns: Int = 10,
    showsInkDark: Bool = true
  ) throws {
    guard pixelColumns > 0, pixelRows > 0, pixelColumns <= 4096, pixelRows <= 4096, columns > 0 else {
      throw ApusError(
        .argument,
        "images of \(pixelColumns) × \(pixelRows) pixels in \(columns) columns cannot be drawn: sizes from 1 to 4096 can"
      )
    }
    guard items.count <= 2000 else {
      throw ApusError(.argument, "\(items.count) images do not fit on a sheet: at most 2,000 do")
    }
    if let odd = items.firstIndex(where: { $0.pixels.count != pixelColumns * pixelRows }) {
      throw ApusError(
        .argument,
        "image \(odd) has \(items[odd].pixels.count) pixels, not \(pixelColumns) × \(pixelRows)")
    }
    self.title = title
    self.subtitle = subtitle
    self.items = items
    self.pixelColumns = pixelColumns
    self.pixelRows = pixelRows
    self.columns = min(columns, max(items.count, 1))
    self.showsInkDark = showsInkDark
  }

  private static let margin = 20.0
  private static let gap = 14.0
  private static let imageWidth = 64.0
  private static let captionHeight = 20.0

  private var imageHeight: Double {
    min(max(Self.imageWidth * Double(pixelRows) / Double(pixelColumns), 16), 4 * Self.imageWidth)
  }
  private var top: Double { subtitle == nil ? 48 : 66 }
  private var rows: Int { max((items.count + columns - 1) / columns, 1) }

  public var size: (width: Double, height: Double) {
    let width = 2 * Self.margin + Double(columns) * (Self.imageWidth + Self.gap) - Self.gap
    return (max(width, 320), top + Double(rows) * (imageHeight + Self.captionHeight + Self.gap) + 8)
  }

  public func draw(on canvas: Canvas) {
    let titleFont = Font(size: 15, isBold: true)
    canvas.text(
      canvas.fitted(title, to: size.width - 2 * Self.margin, font: titleFont), at: Self.margin, 30, font: titleFont)
    if let subtitle {
      let font = Font(size: 11.5)
      canvas.text(
        canvas.fitted(subtitle, to: size.width - 2 * Self.margin, font: font), at: Self.margin, 49, font: font,
        color: Palette.muted)
    }
    for (index, item) in items.enumerated() {
      draw(
        item, on: canvas, x: Self.margin + Double(index % columns) * (Self.imageWidth + Self.gap),
        y: top + Double(index / columns) * (imageHeight + Self.captionHeight + Self.gap))
    }
  }

  private func draw(_ item: Item, on canvas: Canvas, x: Double, y: Double) {
    let samples = item.pixels.map { value -> UInt8 in
      let gray = value.isNaN ? 0 : min(max(value, 0), 1)
      return UInt8(((showsInkDark ? 1 - gray : gray) * 255).rounded())
    }
    canvas.image(
      samples, columns: pixelColumns, rows: pixelRows, x: x, y: y, width: Self.imageWidth, height: imageHeight)
    if item.isWrong {
      canvas.frame(
        x: x - 1.25, y: y - 1.25, width: Self.imageWidth + 2.5, height: imageHeight + 2.5, color: Palette.red,
        lineWidth: 2.5)
    } else {
      canvas.frame(x: x, y: y, width: Self.imageWidth, height: imageHeight, color: Palette.grid)
    }
    drawCaption(of: item, on: canvas, x: x, baseline: y + imageHeight + 15)
  }

  private func drawCaption(of item: Item, on canvas: Canvas, x: Double, baseline: Double) {
    let strong = Font(size: 11.5, isBold: true)
    let light = Font(size: 10)
    let color = item.isWrong ? Palette.red : Palette.ink
    let notes: String? =
      if item.isWrong, let actual = item.actual { "true " + actual } else { item.confidence.map { percentage($0) } }
    let room = Self.imageWidth - (notes.map { canvas.width(of: $0, font: light) + 4 } ?? 0)
    canvas.text(
      canvas.fitted(item.predicted, to: max(room, 20), font: strong), at: x, baseline, font: strong, color: color)
    if let notes {
      canvas.text(
        notes, at: x + Self.imageWidth, baseline, font: light, color: item.isWrong ? Palette.red : Palette.muted,
        anchor: .end)
    }
  }

  private func percentage(_ share: Double) -> String {
    // Never round an uncertain answer up to certainty.
    share < 1 && share > 0.995 ? "> 99 %" : fixed(100 * share, 0) + " %"
  }
}
