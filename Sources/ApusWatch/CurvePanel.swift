/// One chart with curves over epochs: axes, light grid, legend, a mark at a curve's best value.
struct CurvePanel: Sendable {
  enum Best: Sendable { case lowest, highest }

  struct Curve: Sendable {
    var name: String
    var color: Color
    var values: [Double]
    /// Which value is marked, if any.
    var best: Best?
    /// How the marked value is written.
    var label: @Sendable (Double) -> String

    var bestIndex: Int? {
      guard let best, values.count > 1 else { return nil }
      let finite = values.indices.filter { values[$0].isFinite }
      return switch best {
      case .lowest: finite.min { values[$0] < values[$1] }
      // The first of equal maxima, as for the minima.
      case .highest: finite.min { values[$0] > values[$1] }
      }
    }
  }

  var title: String
  var curves: [Curve]
  /// As ``Axis/countable(_:)`` gives it.
  var firstEpoch: Int
  var axis: Axis

  private static let tickFont = Font(size: 11)

  func draw(on canvas: Canvas, x: Double, y: Double, width: Double, height: Double) {
    let epochs = curves.map(\.values.count).max() ?? 0
    let horizontal = Axis(integersFrom: firstEpoch, to: firstEpoch + max(epochs, 1) - 1)
    let tickWidth = axis.ticks.map { canvas.width(of: axis.label($0), font: Self.tickFont) }.max() ?? 0
    let frame = Frame(
      left: x + 26 + tickWidth, right: x + width - 24, top: y + 52, bottom: y + height - 50, horizontal: horizontal,
      vertical: axis)

    canvas.text(title, at: frame.left, y + 30, font: Font(size: 13, isBold: true))
    drawLegend(on: canvas, right: frame.right, baseline: y + 30)
    drawAxes(on: canvas, frame)
    for curve in curves { draw(curve, on: canvas, frame, marksEpochs: epochs <= 30) }
    for curve in curves { drawBest(of: curve, on: canvas, frame) }
  }

  /// The plot's area and its axes.
  private struct Frame {
    var left: Double, right: Double, top: Double, bottom: Double
    var horizontal: Axis, vertical: Axis

    func point(epoch: Int, value: Double) -> (x: Double, y: Double)? {
      guard let u = horizontal.position(of: Double(epoch)), let v = vertical.position(of: value) else { return nil }
      // A little room at both sides keeps the first and last points off the frame.
      let inset = 8.0
      return (left + inset + u * (right - left - 2 * inset), bottom - v * (bottom - top))
    }
  }

  private func drawLegend(on canvas: Canvas, right: Double, baseline: Double) {
    let font = Font(size: 11)
    var edge = right
    for curve in curves.reversed() {
      canvas.text(curve.name, at: edge, baseline, font: font, color: Palette.muted, anchor: .end)
      edge -= canvas.width(of: curve.name, font: font) + 7
      canvas.line(from: (edge - 20, baseline - 4), to: (edge, baseline - 4), color: curve.color, width: 2.2)
      edge -= 20 + 16
    }
  }

  private func drawAxes(on canvas: Canvas, _ frame: Frame) {
    for tick in axis.ticks {
      guard let share = axis.position(of: tick) else { continue }
      let y = frame.bottom - share * (frame.bottom - frame.top)
      canvas.line(from: (frame.left, y), to: (frame.right, y), color: Palette.grid)
      canvas.text(
        axis.label(tick), at: frame.left - 8, y + 4, font: Self.tickFont, color: Palette.muted, anchor: .end)
    }
    for tick in frame.horizontal.ticks {
      guard let point = frame.point(epoch: Int(tick), value: axis.lower) else { continue }
      canvas.line(from: (point.x, frame.bottom), to: (point.x, frame.bottom + 4), color: Palette.faint)
      canvas.text(
        fixed(tick, 0), at: point.x, frame.bottom + 18, font: Self.tickFont, color: Palette.muted, anchor: .middle)
    }
    canvas.line(from: (frame.left, frame.bottom), to: (frame.right, frame.bottom), color: Palette.faint)
    canvas.text(
      "epoch", at: (frame.left + frame.right) / 2, frame.bottom + 36, font: Self.tickFont, color: Palette.muted,
      anchor: .middle)
  }

  private func draw(_ curve: Curve, on canvas: Canvas, _ frame: Frame, marksEpochs: Bool) {
    var run: [(x: Double, y: Double)] = []
    var points: [(x: Double, y: Double)] = []
    for (index, value) in curve.values.enumerated() {
      if let point = frame.point(epoch: firstEpoch + index, value: value) {
        run.append(point)
        points.append(point)
      } else {
        canvas.path(run, color: curve.color, width: 2)
        run = []
      }
    }
    canvas.path(run, color: curve.color, width: 2)
    if marksEpochs || points.count == 1 {
      for point in points {
        canvas.disc(at: point.x, point.y, radius: 2.6, color: curve.color, outline: Palette.paper, lineWidth: 0.8)
      }
    }
  }

  private func drawBest(of curve: Curve, on canvas: Canvas, _ frame: Frame) {
    guard let index = curve.bestIndex, let best = curve.best,
      let point = frame.point(epoch: firstEpoch + index, value: curve.values[index])
    else { return }
    canvas.disc(at: point.x, point.y, radius: 4.5, color: Palette.paper, outline: curve.color, lineWidth: 2)
    let font = Font(size: 11, isBold: true)
    let label = curve.label(curve.values[index])
    let half = canvas.width(of: label, font: font) / 2
    let x = min(max(point.x, frame.left + half + 2), frame.right - half - 2)
    // On the free side: above a minimum the curves come down from above, so its label goes where room is.
    let above = best == .lowest ? point.y + 20 > frame.bottom - 2 : point.y - 12 < frame.top - 8
    let y = above == (best == .lowest) ? point.y - 12 : point.y + 20
    canvas.text(label, at: x, y, font: font, color: curve.color, anchor: .middle)
  }
}
