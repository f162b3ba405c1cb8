import ApusCore
import ApusData
import ApusNN
import TestSupport
import Testing

@testable import ApusTrain

/// No result depends on how examples are cut into batches. Expected values were computed by NumPy over the whole set, in
/// float64: argmax, means, log-sum-exp; ranks of the target with the first of equal scores before the others.
@Suite struct BatchingTests {
  private static let scores = Tensor([
    [2.0, -0.5, -1.5, 1.0], [1.5, -1.0, -0.5, -2.0], [2.0, 2.0, 1.0, 0.5], [0.5, 0.5, 1.0, 0.5],
    [1.5, 0.0, -0.5, -1.5],
    [1.5, -1.0, 0.5, 1.0], [1.0, 2.0, 1.0, 1.5], [1.0, 2.0, 0.0, -2.0], [0.5, 1.0, -1.5, 1.0], [1.0, 0.5, -1.0, 0.5],
    [0.5, -1.5, 1.0, 0.5], [1.5, 1.5, 1.5, -2.0], [-2.0, 2.0, 1.5, -1.5], [-1.0, -0.5, 1.5, 0.0], [1.5, 0.5, 0.0, 0.0],
    [-2.0, -0.5, 1.5, 1.5], [0.5, -0.5, 1.0, 1.5], [2.0, -1.0, -0.5, 0.5], [1.5, 1.5, 1.0, -1.5],
    [-1.5, -1.5, -1.5, 1.0], [0.0, -1.5, 1.5, -2.0],
  ])
  private static let labels = [3, 0, 2, 1, 1, 2, 0, 2, 1, 0, 1, 0, 0, 0, 3, 0, 2, 0, 0, 3, 1]
  /// The first three and the last seven, and so all of the first and the last batch of some of the cuts.
  private static let ignored = Tensor(labels.enumerated().map { $0 < 3 || $0 >= 14 ? -100 : $1 })
  private static let targets = Tensor([
    [-0.25, 0.0, 0.5, -0.25], [0.5, 0.75, 0.25, 0.25], [0.25, -0.5, 1.0, -0.75], [-1.0, 0.0, 0.0, 0.75],
    [-0.5, 0.75, -1.0, -0.5], [0.5, 0.0, -1.0, -0.75], [-1.0, 0.0, -0.5, 0.75], [-1.0, 1.0, 0.5, 0.75],
    [-1.0, -0.5, 0.25, 1.0], [-0.25, 0.75, 1.0, 0.5], [0.25, 1.0, 0.5, 0.5], [0.75, 0.75, -0.5, -1.0],
    [-0.5, -1.0, 0.75, 0.0], [1.0, -0.25, 0.0, 0.5], [-0.5, -1.0, 1.0, 1.0], [-0.75, 1.0, -1.0, 0.0],
    [0.5, -0.75, 0.25, 0.5], [-0.25, -0.75, -0.25, 0.0], [0.0, 0.5, 1.0, 1.0], [-0.5, 1.0, 0.0, 0.25],
    [-1.0, 0.0, 0.25, -0.5],
  ])

  /// Hands its input on, with something to train.
  private final class Scores: Module {
    let scale = Parameter(Tensor(1.0))
    func forward(_ x: Tensor) -> Tensor { x * scale.tensor }
  }

  private static let metrics: [Metric] = [
    .accuracy, .topAccuracy(1), .topAccuracy(2), .topAccuracy(3),
    Metric("own", mode: .max) { ($0.argMax(axis: 1) .== $1).cast(to: .float32) },
  ]
  private static let distance = Metric("distance") { (($0 - $1) ** 2).sum(1) }
  private static let f1 = Metric("f1", mode: .max) { predictions, targets in
    let (found, real) = (predictions .> 0, targets .> 0)
    return [found .&& real, found, real].map { $0.cast(to: .int64).sum() }
  } value: {
    2 * $0[0] / ($0[1] + $0[2])
  }
  private static let rmse = Metric("rmse", mode: .min) {
    [(($0 - $1) ** 2).sum(), Tensor(4.0) * Double($0.shape[0])]
  } value: {
    ($0[0] / $0[1]).squareRoot()
  }

  private struct Case {
    var name: String
    var loss: Loss
    var metrics: [Metric]
    var targets: Tensor
    var expected: [String: Double]
  }

  /// Roots of weights: 0 for the first three and the last seven examples.
  private static let weights = targets * (ignored .!= -100).cast(to: .float32).unsqueezed(1)
  private static let binary = (targets .> 0).cast(to: .float32)
  private static let ofKept = [
    "loss": 2.0928933376804952, "accuracy": 3.0 / 11, "top1_accuracy": 3.0 / 11, "top2_accuracy": 4.0 / 11,
    "top3_accuracy": 8.0 / 11, "own": 3.0 / 11,
  ]
  private static let ofAll = [
    "loss": 1.8556071853995046, "accuracy": 7.0 / 21, "top1_accuracy": 7.0 / 21, "top2_accuracy": 10.0 / 21,
    "top3_accuracy": 16.0 / 21, "own": 7.0 / 21,
  ]
  private static let ofDistances = [
    "mean_squared_error": 2.0535714285714284, "mean_absolute_error": 1.2261904761904763,
    "distance": 4 * 2.0535714285714284, "rmse": 1.433028760552777, "f1": 0.5111111111111111,
  ]
  private static func distances(_ loss: Loss, _ value: Double) -> Case {
    Case(
      name: loss.name, loss: loss, metrics: [.meanSquaredError, .meanAbsoluteError, distance, rmse, f1],
      targets: targets,
      expected: ofDistances.merging(["loss": value]) { $1 })
  }
  private static let cases = [
    Case(name: "class numbers", loss: .crossEntropy, metrics: metrics, targets: Tensor(labels), expected: ofAll),
    Case(
      name: "ignored ones", loss: .crossEntropy(ignoreIndex: -100), metrics: metrics, targets: ignored, expected: ofKept
    ),
    Case(
      name: "ignored ones, a loss of one's own",
      loss: Loss("own", ignoreIndex: -100) { ApusNN.crossEntropy($0, $1, ignoreIndex: -100) }, metrics: metrics,
      targets: ignored, expected: ofKept),
    Case(
      name: "ignored ones, NaN for a batch of them",
      loss: Loss("own", ignoreIndex: -100) { scores, labels in
        let counts = labels .!= -100
        let all = ApusNN.crossEntropy(scores, labels, ignoreIndex: -100, reduction: .sum)
        return all / counts.cast(to: .float32).sum()
      }, metrics: metrics, targets: ignored, expected: ofKept),
    Case(
      name: "a loss that says what it counts",
      loss: Loss("own", counting: { ($1 .!= -100).cast(to: .float32).sum() }) {
        ApusNN.crossEntropy($0, $1, ignoreIndex: -100)
      }, metrics: metrics.map { $0.ignoring(-100) }, targets: ignored, expected: ofKept),
    distances(.mse, 2.0535714285714284), distances(.mae, 1.2261904761904763), distances(.huber(), 0.7987351190476191),
    distances(Loss("own") { (($0 - $1) ** 2).mean() }, 2.0535714285714284),
    Case(
      name: "weights, some of them 0",
      loss: Loss("weighted", counting: { ($1 * $1).sum() }) {
        (($0 * $1) ** 2).sum() / ($1 * $1).sum().clamped(min: 1e-9)
      }, metrics: [], targets: weights, expected: ["loss": 1.5373900293255132]),
    Case(
      name: "yes or no", loss: .binaryCrossEntropy, metrics: [.binaryAccuracy, f1], targets: binary,
      expected: ["loss": 0.8807048119156934, "binary_accuracy": 0.47619047619047616, "f1": 0.5111111111111111]),
  ]

  @Test(arguments: [Trainer.Execution.compiled, .eager]) func resultsAreThoseOfTheWholeSet(mode: Trainer.Execution)
    async throws
  {
    for entry in Self.cases {
      for size in [1, 3, 7, 20, 21] {
        let data = try Dataset(Self.scores, entry.targets).batched(size)
        let trainer = Trainer(
          Scores(), optimizer: SGD(learningRate: 0), loss: entry.loss, metrics: entry.metrics, mode: mode)
        let evaluated = try await trainer.evaluate(data)
        let trained = try await trainer.fit(data, epochs: 1, validation: data).epochs[0].values
        for (name, value) in entry.expected {
          for (place, found) in [
            ("evaluated", evaluated[name]), ("trained", trained[name]), ("validated", trained["val_" + name]),
          ] {
            #expect(
              abs((found ?? .nan) - value) < 2e-6,
              "\(entry.name), batches of \(size), \(place): \(name) \(found ?? .nan) is not \(value)")
          }
        }
        #expect(evaluated.count == entry.expected.count)
      }
    }
  }

  /// Further axes: every target counts the same, the ignored ones not.
  @Test func sequences() async throws {
    // Seven sequences of three targets, classes in axis 1.
    let scores = Self.scores.reshape([7, 3, 4]).permuted(0, 2, 1)
    for (loss, labels, expected) in [
      (Loss.crossEntropy, Tensor(Self.labels), Self.ofAll),
      (.crossEntropy(ignoreIndex: -100), Self.ignored, Self.ofKept),
    ] {
      for size in [1, 2, 3, 7] {
        let trainer = Trainer(Scores(), optimizer: SGD(), loss: loss, metrics: Self.metrics)
        let result = try await trainer.evaluate(Dataset(scores, labels.reshape([7, 3])).batched(size))
        for (name, value) in expected {
          #expect(abs((result[name] ?? .nan) - value) < 2e-6, "\(name), batches of \(size)")
        }
      }
    }
  }

  @Test func numbersForAWholeBatchAreRefused() async throws {
    let data = try Dataset(Self.scores, Self.targets).batched(8)
    for metric in [
      Metric("mean") { ($0 - $1).abs().mean() }, Metric("columns") { ($0 - $1).abs().mean(0) },
      Metric("one") { ($0 - $1).flattened(from: 0) },
      Metric("sums", sums: { [($0 - $1).sum(0)] }, value: { $0[0] }),
    ] {
      for mode in [Trainer.Execution.compiled, .eager] {
        let trainer = Trainer(Scores(), optimizer: SGD(), loss: .mse, metrics: [metric, .meanSquaredError], mode: mode)
        let text = await message { _ = try await trainer.evaluate(data) }
        #expect(
          text.contains("the metric \(metric.name)") && text.contains("fit") || text.contains("sum it up"), "\(text)")
      }
    }
  }

  /// A mean over nothing is no number: an error says so where it is asked for, and a batch of nothing adds nothing.
  @Test func nothingButIgnoredTargets() async throws {
    let data = try Dataset(Self.scores[14..<21], Self.ignored[14..<21]).batched(3)
    let trainer = Trainer(
      Scores(), optimizer: Adam(learningRate: 0.1), loss: .crossEntropy(ignoreIndex: -100), metrics: [.accuracy])
    #expect(
      await message { _ = try await trainer.evaluate(data) }.contains("no target counts for the loss crossEntropy"))
    try await trainer.fit(data, epochs: 1)
    #expect(trainer.model.parameters[0].value.item() == 1)
    #expect(trainer.history["accuracy"].allSatisfy { $0.isNaN })
  }
}
