/// Loss and accuracy over the epochs of a training, for training and validation data, side by side.
///
/// Values that are not finite leave a gap. A curve without values is left out, and so is a panel without curves. A loss
/// that falls by more than a factor of fifty is shown on a logarithmic axis. The best validation value is marked.
///
/// ```swift
/// let history = try await trainer.fit(train, epochs: 20, validation: test)
/// try LearningCurves(
///   trainLoss: history["loss"], validationLoss: history["val_loss"], trainAccuracy: history["accuracy"],
///   validationAccuracy: history["val_accuracy"]
/// ).write(to: "curves.png")
/// ```
public struct LearningCurves: Picture {
  /// How the loss axis is divided; `automatic`: by logarithms when the losses are positive and span more than a factor
  /// of 50.
  public enum LossScale: Sendable { case automatic, linear, logarithmic }

  /// The headline, if any.
  public var title: String?
  /// Mean loss per epoch.
  public var trainLoss: [Double]
  /// The same for validation data.
  public var validationLoss: [Double]
  /// Share of right answers per epoch, 0 to 1.
  public var trainAccuracy: [Double]
  /// The same for validation data.
  public var validationAccuracy: [Double]
  /// The number of the first epoch.
  public var firstEpoch: Int
  /// How the loss axis is divided.
  public var lossScale: LossScale

  /// Curves over epochs `firstEpoch`, `firstEpoch + 1`, …; they may differ in length.
  /// - Parameters:
  ///   - title: the headline, if any.
  ///   - trainLoss: mean loss of each epoch.
  ///   - validationLoss: the same for validation data.
  ///   - trainAccuracy: share of right answers of each epoch, 0 to 1.
  ///   - validationAccuracy: the same for validation data.
  ///   - firstEpoch: the number of the first epoch, counted as far as ±2⁵².
  ///   - lossScale: how the loss axis is divided.
  public init(
    title: String? = nil, trainLoss: [Double], validationLoss: [Double] = [], trainAccuracy: [Double] = [],
    validationAccuracy: [Double] = [], firstEpoch: Int = 1, lossScale: LossScale = .automatic
  ) {
    self.title = title
    self.trainLoss = trainLoss
    self.validationLoss = validationLoss
    self.trainAccuracy = trainAccuracy
    self.validationAccuracy = validationAccuracy
    self.firstEpoch = firstEpoch
    self.lossScale = lossScale
  }

  private static let panelWidth = 420.0
  private static let panelHeight = 320.0

  private var titleHeight: Double { title == nil ? 0 : 34 }

  public var size: (width: Double, height: Double) {
    (Self.panelWidth * Double(max(panels.count, 1)), Self.panelHeight + titleHeight)
  }

  public func draw(on canvas: Canvas) {
    if let title {
      let font = Font(size: 15, isBold: true)
      canvas.text(canvas.fitted(title, to: size.width - 40, font: font), at: 20, 30, font: font)
    }
    for (index, panel) in panels.enumerated() {
      panel.draw(
        on: canvas, x: Double(index) * Self.panelWidth, y: titleHeight, width: Self.panelWidth,
        height: Self.panelHeight)
    }
  }

  private var panels: [CurvePanel] {
    var panels: [CurvePanel] = []
    let losses = curves(trainLoss, validationLoss, best: .lowest) { fixed($0, $0 < 0.1 ? 4 : 3) }
    if !losses.isEmpty {
      let values = losses.flatMap(\.values).filter(\.isFinite)
      let low = values.min() ?? 0
      let high = values.max() ?? 1
      let logarithmic =
        switch lossScale {
        case .automatic: low > 0 && high / low > 50
        case .linear: false
        case .logarithmic: low > 0
        }
      let including = low >= 0 && low < 0.5 * high ? [0.0] : []
      panels.append(
        CurvePanel(
          title: "Loss", curves: losses, firstEpoch: Axis.countable(firstEpoch),
          axis: logarithmic ? Axis(logarithmicCovering: values) : Axis(covering: values, including: including)))
    }
    let accuracies = curves(
      trainAccuracy.map { 100 * $0 }, validationAccuracy.map { 100 * $0 }, best: .highest
    ) { fixed($0, 2) + " %" }
    if !accuracies.isEmpty {
      let values = accuracies.flatMap(\.values)
      panels.append(
        CurvePanel(
          title: "Accuracy (%)", curves: accuracies, firstEpoch: Axis.countable(firstEpoch),
          axis: Axis(covering: values, limit: 100)))
    }
    return panels
  }

  private func curves(
    _ train: [Double], _ validation: [Double], best: CurvePanel.Best, label: @escaping @Sendable (Double) -> String
  ) -> [CurvePanel.Curve] {
    [
      CurvePanel.Curve(name: "train", color: Palette.blue, values: train, best: nil, label: label),
      CurvePanel.Curve(name: "validation", color: Palette.orange, values: validation, best: best, label: label),
    ].filter { !$0.values.isEmpty }
  }
}
