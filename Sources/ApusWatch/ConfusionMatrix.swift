import ApusCore

/// A classifier's answers against the truth: a heat map with counts, class names and the recall of each class.
///
/// Rows are true classes, columns predicted ones. Right answers are shaded blue by their share of the row, wrong ones
/// red by their share of the commonest mistake, so that single mistakes stay visible beside hundreds of right answers.
///
/// ```swift
/// let predicted = try trainer.predict(images).argMax(axis: 1).toArray(of: Int.self)
/// let matrix = try ConfusionMatrix(predicted: predicted, actual: labels.toArray(of: Int.self), classes: classNames)
/// try matrix.write(to: "confusion.png")
/// ```
public struct ConfusionMatrix: Picture {
  /// The headline; the accuracy stands below it.
  public var title: String
  /// `counts[actual][predicted]`.
  public let counts: [[Int]]
  /// The classes' names.
  public let classes: [String]

  /// A matrix of given counts.
  /// - Parameters:
  ///   - title: the headline.
  ///   - counts: `counts[actual][predicted]`.
  ///   - classes: their names.
  /// - Throws: `ApusError` (argument) unless `counts` is square, not negative, of a sum that an Int holds, and as large as
  ///   `classes`, with 1 to 200 classes.
  public init(title: String = "Confusion matrix", counts: [[Int]], classes: [String]) throws {
    guard (1...200).contains(classes.count) else {
      throw ApusError(.argument, "a confusion matrix of \(classes.count) classes cannot be drawn: 1 to 200 can")
    }
    guard counts.count == classes.count, counts.allSatisfy({ $0.count == classes.count }) else {
      throw ApusError(
        .argument,
        "\(classes.count) class names need \(classes.count) × \(classes.count) counts, not \(counts.count) rows of "
          + "\(Set(counts.map(\.count)).sorted())")
    }
    var total = 0
    for count in counts.joined() {
      guard count >= 0 else { throw ApusError(.argument, "a count is negative") }
      let (sum, overflow) = total.addingReportingOverflow(count)
      guard !overflow else { throw ApusError(.argument, "the counts add up to more than \(Int.max)") }
      total = sum
    }
    self.title = title
    self.counts = counts
    self.classes = classes
  }

  /// Counts pairs of predicted and actual class indices.
  /// - Parameters:
  ///   - title: the headline.
  ///   - predicted: the class that was predicted for each example, from 0.
  ///   - actual: the true class of each.
  ///   - classes: their names, 1 to 200.
  /// - Throws: `ApusError` (argument) when the arrays differ in length or an index names no class.
  public init(title: String = "Confusion matrix", predicted: [Int], actual: [Int], classes: [String]) throws {
    guard predicted.count == actual.count else {
      throw ApusError(.argument, "\(predicted.count) predictions for \(actual.count) true classes")
    }
    var counts = Array(repeating: Array(repeating: 0, count: classes.count), count: classes.count)
    for (prediction, truth) in zip(predicted, actual) {
      guard classes.indices.contains(prediction), classes.indices.contains(truth) else {
        throw ApusError(
          .argument,
          "class \(classes.indices.contains(prediction) ? truth : prediction) has no name: there are \(classes.count)")
      }
      counts[truth][prediction] += 1
    }
    try self.init(title: title, counts: counts, classes: classes)
  }

  /// How many examples were counted.
  public var total: Int { counts.reduce(0) { $0 + $1.reduce(0, +) } }
  /// How many examples were classified rightly.
  public var correct: Int { counts.indices.reduce(0) { $0 + counts[$1][$1] } }

  /// The share of a class's examples that were recognised; nil for a class without examples.
  /// - Parameter index: of the class, from 0. Traps for others.
  public func recall(of index: Int) -> Double? {
    let examples = counts[index].reduce(0, +)
    return examples == 0 ? nil : Double(counts[index][index]) / Double(examples)
  }

  // Layout, in units. Many classes get smaller cells.
  private var cell: Double { classes.count <= 12 ? 38 : max(13, 456 / Double(classes.count)) }
  private var labelFont: Font { Font(size: min(12, cell * 0.62)) }
  private var left: Double {
    // Measured without a canvas: a generous width per letter of the longest name, within bounds.
    let letters = classes.map(\.count).max() ?? 1
    return 44 + min(max(Double(letters) * labelFont.size * 0.62, 16), 130)
  }
  private var turnsColumnNames: Bool { Double(classes.map(\.count).max() ?? 1) * labelFont.size * 0.66 > cell }
  private var columnNameHeight: Double { turnsColumnNames ? left - 32 : 20 }
  private var top: Double { 92 + columnNameHeight }
  private var side: Double { cell * Double(classes.count) }

  public var size: (width: Double, height: Double) { (max(left + side + 118, 320), top + side + 26) }

  public func draw(on canvas: Canvas) {
    canvas.text(
      canvas.fitted(title, to: size.width - 40, font: Font(size: 15, isBold: true)), at: 20, 30,
      font: Font(size: 15, isBold: true))
    canvas.text(
      "accuracy \(percent(correct, of: total)) – \(correct) of \(total) right", at: 20, 49, font: Font(size: 11.5),
      color: Palette.muted)
    canvas.text(
      "predicted class", at: left + side / 2, 76, font: Font(size: 11.5), color: Palette.muted, anchor: .middle)
    canvas.text(
      "true class", at: 26, top + side / 2, font: Font(size: 11.5), color: Palette.muted, anchor: .middle, turned: true)
    drawCells(on: canvas)
    drawNames(on: canvas)
    drawRecall(on: canvas)
  }

  private func drawCells(on canvas: Canvas) {
    let worst = counts.indices.flatMap { row in counts.indices.map { row == $0 ? 0 : counts[row][$0] } }.max() ?? 0
    let widest = counts.joined().map { String($0).count }.max() ?? 1
    let font = Font(size: min(12, cell * 0.5, cell * 1.25 / Double(widest)))
    for row in counts.indices {
      for column in counts.indices {
        let count = counts[row][column]
        let shade =
          row == column
          ? Palette.paper.mixed(with: Palette.blue, count == 0 ? 0.04 : 0.12 + 0.88 * (recall(of: row) ?? 0))
          : count == 0
            ? Color(hex: 0xF7F8FA)
            : Palette.paper.mixed(with: Palette.red, 0.22 + 0.6 * Double(count) / Double(max(worst, 1)))
        let x = left + Double(column) * cell
        let y = top + Double(row) * cell
        canvas.fill(x: x + 0.75, y: y + 0.75, width: cell - 1.5, height: cell - 1.5, color: shade)
        guard font.size >= 5 else { continue }
        canvas.text(
          String(count), at: x + cell / 2, y + cell / 2 + font.size * 0.36,
          font: Font(size: font.size, isBold: count > 0 && row != column),
          color: count == 0 ? Color(hex: 0xC9CED4) : shade.luminance > 0.3 ? Palette.ink : Palette.paper,
          anchor: .middle)
      }
    }
  }

  private func drawNames(on canvas: Canvas) {
    for (index, name) in classes.enumerated() {
      let center = (Double(index) + 0.5) * cell
      let shown = canvas.fitted(name, to: left - 40, font: labelFont)
      canvas.text(
        shown, at: left - 8, top + center + labelFont.size * 0.36, font: labelFont, color: Palette.ink, anchor: .end)
      if turnsColumnNames {
        canvas.text(
          shown, at: left + center + labelFont.size * 0.36, top - 8, font: labelFont, color: Palette.ink, turned: true)
      } else {
        canvas.text(shown, at: left + center, top - 8, font: labelFont, color: Palette.ink, anchor: .middle)
      }
    }
  }

  private func drawRecall(on canvas: Canvas) {
    let x = left + side + 12
    canvas.text("recall", at: x, top - 8, font: Font(size: 11.5), color: Palette.muted)
    for row in counts.indices {
      let y = top + Double(row) * cell
      let share = recall(of: row)
      let examples = counts[row].reduce(0, +)
      if let share {
        canvas.fill(x: x, y: y + cell / 2 + labelFont.size * 0.62, width: 52, height: 2.5, color: Palette.grid)
        canvas.fill(x: x, y: y + cell / 2 + labelFont.size * 0.62, width: 52 * share, height: 2.5, color: Palette.blue)
      }
      canvas.text(
        percent(counts[row][row], of: examples), at: x, y + cell / 2 + labelFont.size * 0.3, font: labelFont,
        color: share.map { $0 < 0.9 } == true ? Palette.red : Palette.ink)
    }
  }
}
