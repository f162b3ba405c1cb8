import ApusCore
import CCairo

/// A white drawing surface with its origin in the upper left corner; lengths are in units of 1/96 inch.
///
/// Drawing needs `libcairo.so.2`, loaded at run time, and a font (DejaVu Sans is asked for). A canvas is used by one
/// task at a time.
///
/// ```swift
/// let canvas = try Canvas(width: 100, height: 40)
/// canvas.text("Apus", at: 50, 24, font: Font(size: 14), anchor: .middle)
/// let png = try canvas.png()
/// ```
public final class Canvas {
  /// In units.
  public let width: Double
  /// In units.
  public let height: Double
  private let canvas: OpaquePointer

  /// A white canvas.
  /// - Parameters:
  ///   - width: in units.
  ///   - height: in units.
  ///   - scale: pixels per unit; 2 gives a sharp picture on paper and on dense screens.
  /// - Throws: `ApusError` when libcairo is missing or the size is not drawable (1 to 32,767 pixels a side).
  public init(width: Double, height: Double, scale: Double = 2) throws {
    if let problem = apus_cairo_load() { throw ApusError(.unsupported, String(cString: problem)) }
    guard let canvas = apus_canvas_create(width, height, scale) else {
      throw ApusError(
        .argument,
        "cannot draw on \(width) × \(height) units at scale \(scale): a side must have 1 to 32,767 pixels, "
          + "and 4 bytes a pixel must fit into memory")
    }
    self.canvas = canvas
    self.width = width
    self.height = height
  }

  deinit { apus_canvas_destroy(canvas) }

  /// The picture as the bytes of a PNG file.
  /// - Throws: `ApusError` with cairo's description of the first error since the canvas was made.
  public func png() throws -> [UInt8] {
    var count = 0
    let bytes = apus_canvas_png(canvas, &count)
    defer { apus_canvas_free(bytes) }
    if let problem = apus_canvas_problem(canvas) {
      throw ApusError(.unsupported, "cairo could not draw the picture: " + String(cString: problem))
    }
    return Array(UnsafeBufferPointer(start: bytes, count: count))
  }
}

// MARK: Text

/// A font: DejaVu Sans unless the machine has none.
public struct Font: Sendable {
  /// The em's height in units.
  public var size: Double
  /// Whether it is the bold face.
  public var isBold: Bool

  /// A font of the given size in units.
  public init(size: Double, isBold: Bool = false) {
    self.size = size
    self.isBold = isBold
  }
}

extension Canvas {
  /// Which point of a text is placed: horizontally its start, middle or end; vertically always the base line.
  public enum Anchor: Sendable { case start, middle, end }

  /// The advance width of `text` in units.
  public func width(of text: String, font: Font) -> Double {
    apus_canvas_font(canvas, "DejaVu Sans", font.size, font.isBold)
    return apus_canvas_measure(canvas, text).advance
  }

  /// Draws one line of text.
  /// - Parameters:
  ///   - text: what is written.
  ///   - x: of the anchor.
  ///   - y: of the base line.
  ///   - font: its size and weight.
  ///   - color: of the letters.
  ///   - anchor: which point of the text is placed at `x`.
  ///   - turned: writes it upwards.
  public func text(
    _ text: String, at x: Double, _ y: Double, font: Font, color: Color = .ink, anchor: Anchor = .start,
    turned: Bool = false
  ) {
    let advance = width(of: text, font: font)
    let shift =
      switch anchor {
      case .start: 0.0
      case .middle: -advance / 2
      case .end: -advance
      }
    set(color)
    apus_canvas_save(canvas)
    apus_canvas_translate(canvas, x, y)
    if turned { apus_canvas_rotate(canvas, -.pi / 2) }
    apus_canvas_text(canvas, text, shift, 0)
    apus_canvas_restore(canvas)
  }

  /// `text`, shortened with an ellipsis until it is at most `limit` units wide.
  public func fitted(_ text: String, to limit: Double, font: Font) -> String {
    guard width(of: text, font: font) > limit else { return text }
    // Halved again and again: letter by letter a long text would be measured as often as it has letters.
    let letters = Array(text)
    var (fitting, tooLong) = (0, letters.count)
    while tooLong - fitting > 1 {
      let middle = fitting + (tooLong - fitting) / 2
      if width(of: String(letters[..<middle]) + "…", font: font) > limit { tooLong = middle } else { fitting = middle }
    }
    return String(letters[..<fitting]) + "…"
  }
}

// MARK: Shapes

extension Canvas {
  /// A straight line.
  /// - Parameters:
  ///   - start: where it begins.
  ///   - end: where it ends.
  ///   - color: of the line.
  ///   - width: in units.
  ///   - dashes: lengths of dashes and gaps in turn, in units; none: a whole line.
  public func line(
    from start: (x: Double, y: Double), to end: (x: Double, y: Double), color: Color, width: Double = 1,
    dashes: [Double] = []
  ) {
    path([start, end], color: color, width: width, dashes: dashes)
  }

  /// A polyline with round joins; fewer than two points draw nothing.
  /// - Parameters:
  ///   - points: its corners, both ends included.
  ///   - color: of the line.
  ///   - width: in units.
  ///   - dashes: lengths of dashes and gaps in turn, in units; none: a whole line.
  public func path(_ points: [(x: Double, y: Double)], color: Color, width: Double = 1, dashes: [Double] = []) {
    guard let first = points.first, points.count > 1 else { return }
    set(color)
    apus_canvas_line(canvas, width, dashes.isEmpty, dashes, Int32(dashes.count))
    apus_canvas_move(canvas, first.x, first.y)
    for point in points.dropFirst() { apus_canvas_line_to(canvas, point.x, point.y) }
    apus_canvas_stroke(canvas)
  }

  /// A filled rectangle.
  public func fill(x: Double, y: Double, width: Double, height: Double, color: Color) {
    set(color)
    apus_canvas_rectangle(canvas, x, y, width, height)
    apus_canvas_fill(canvas, false)
  }

  /// A rectangle's outline, drawn centred on its edges.
  public func frame(x: Double, y: Double, width: Double, height: Double, color: Color, lineWidth: Double = 1) {
    set(color)
    apus_canvas_line(canvas, lineWidth, false, nil, 0)
    apus_canvas_rectangle(canvas, x, y, width, height)
    apus_canvas_stroke(canvas)
  }

  /// A filled disc with an outline in a second colour.
  public func disc(
    at x: Double, _ y: Double, radius: Double, color: Color, outline: Color? = nil, lineWidth: Double = 1
  ) {
    set(color)
    apus_canvas_arc(canvas, x, y, radius, 0, 2 * .pi)
    apus_canvas_close(canvas)
    apus_canvas_fill(canvas, outline != nil)
    if let outline {
      set(outline)
      apus_canvas_line(canvas, lineWidth, false, nil, 0)
      apus_canvas_stroke(canvas)
    }
  }

  /// A gray image whose pixels become hard-edged blocks.
  /// - Parameters:
  ///   - samples: row by row, 0 black to 255 white; as many as `columns` × `rows`, otherwise it traps.
  ///   - columns: the image's width in pixels.
  ///   - rows: the image's height in pixels.
  ///   - x: of the left edge.
  ///   - y: of the upper edge.
  ///   - width: on the canvas, in units.
  ///   - height: on the canvas, in units.
  public func image(
    _ samples: [UInt8], columns: Int, rows: Int, x: Double, y: Double, width: Double, height: Double
  ) {
    precondition(columns > 0 && rows > 0 && samples.count == columns * rows, "samples do not fill columns × rows")
    apus_canvas_gray_image(canvas, samples, Int32(columns), Int32(rows), x, y, width, height)
  }

  private func set(_ color: Color) { apus_canvas_color(canvas, color.red, color.green, color.blue, color.opacity) }
}
