import ApusCore
import ApusData
import ApusFiles
import ApusNN
import Synchronization

/// How gradients are limited before the optimizer's step (Keras' `global_clipnorm` and `clipvalue`).
///
/// ```swift
/// let trainer = Trainer(model, optimizer: Adam(), loss: .crossEntropy, gradientClipping: .norm(1))
/// ```
public enum GradientClipping: Hashable, Sendable {
  /// All together to a Euclidean norm.
  case norm(Double)
  /// Every element to ± a value.
  case value(Double)
}

/// Trains, evaluates and applies a model.
///
/// ```swift
/// let trainer = Trainer(model, optimizer: Adam(), loss: .sparseCategoricalCrossEntropy, metrics: [.accuracy])
/// let history = try await trainer.fit(train, epochs: 5, validation: test, callbacks: [.progress, .checkpoint("ckpt")])
/// let result = try await trainer.evaluate(test)          // ["loss": …, "accuracy": …]
/// let scores = try trainer.predict(images)
/// ```
/// Batches' first tensor is the model's input, their last the loss's target. The whole step (forward, backward, update,
/// metrics) is compiled once, with the batch's size left open, so that a smaller last batch is not traced anew.
public final class Trainer: Sendable {
  /// How steps run.
  public enum Execution: Hashable, Sendable {
    /// The step is traced and compiled at its first batch.
    case compiled
    /// Every operation runs at once: for debugging.
    case eager
  }

  /// The model that is trained, evaluated and applied.
  public let model: any Layer
  /// What changes the model's parameters.
  public let optimizer: any Optimizer
  /// Of predictions and targets: a batch's mean is what training makes smaller.
  public let loss: Loss
  /// What is measured beside the loss.
  public let metrics: [Metric]
  /// How gradients are limited before each step; nil: not at all.
  public let gradientClipping: GradientClipping?
  /// The optimizer's learning rate when the trainer was made: what schedules are relative to.
  public let initialLearningRate: Double
  let sums: RunningSums
  private let trainSteps: StepFunctions
  private let evaluationSteps: StepFunctions
  private let forward: StepFunctions
  let state = Mutex(TrainingState())
  /// Those of the folders that are saved to.
  let locks = Mutex<[FolderLock.Key: WeakLock]>([:])

  /// A trainer of a model; nothing runs before ``fit(_:epochs:validation:callbacks:file:line:)``.
  /// - Parameters:
  ///   - model: is trained in place.
  ///   - optimizer: is given the model's parameters unless it has some. One that has others is an error when training
  ///     begins: see ``fit(_:epochs:validation:callbacks:file:line:)``.
  ///   - loss: of predictions and targets, the mean over the batch.
  ///   - metrics: what is measured beside the loss, over each epoch and by ``evaluate(_:file:line:)``. Their names differ from
  ///     each other and from `loss`, and don't begin with `val_`.
  ///   - mode: whether steps are compiled.
  ///   - gradientClipping: limits the gradients before each of the optimizer's steps; nil: not at all.
  public init(
    _ model: any Layer, optimizer: any Optimizer, loss: Loss, metrics: [Metric] = [], mode: Execution = .compiled,
    gradientClipping: GradientClipping? = nil
  ) {
    let names = metrics.map(\.name)
    require(
      Set(names + ["loss"]).count == names.count + 1 && !names.contains { $0.hasPrefix("val_") },
      "metrics named \(names): names that differ from each other and from \"loss\", without \"val_\" before them, fit")
    self.model = model
    self.optimizer = optimizer
    self.loss = loss
    self.metrics = metrics
    self.gradientClipping = gradientClipping
    if optimizer.parameters.isEmpty { optimizer.attach(model.parameters) }
    initialLearningRate = optimizer.learningRate
    let sums = RunningSums(loss, metrics)
    self.sums = sums
    trainSteps = StepFunctions("train", mode) { inputs, targets in
      // The model may have changed since the fit began: a slot's module, what is trainable.
      try Trainer.checkParameters(of: model, optimizer)
      optimizer.zeroGradients()
      let predictions = model(inputs)
      let value = loss(predictions, targets)
      value.backward()
      switch gradientClipping {
      case .norm(let maximum): clipGradientNorm(optimizer.parameters, maximum: maximum)
      case .value(let maximum): clipGradientValue(optimizer.parameters, maximum: maximum)
      case nil: break
      }
      optimizer.step()
      // Nothing is left to be carried from one step to the next.
      optimizer.zeroGradients()
      withoutGradients { sums.add(loss: value, predictions, targets) }
      return []
    }
    evaluationSteps = StepFunctions("evaluate", mode) { inputs, targets in
      withoutGradients {
        let predictions = model(inputs)
        sums.add(loss: loss(predictions, targets), predictions, targets)
      }
      return []
    }
    forward = StepFunctions("predict", mode) { inputs, _ in [withoutGradients { model(inputs) }] }
  }

  /// The records of all epochs so far.
  public var history: History { state.withLock { $0.history } }

  /// How often the training step was traced: once, unless dtypes, ranks or sizes other than the batch's change.
  public var traceCount: Int { trainSteps.traceCount }

  func trainStep(_ batch: Batch) throws {
    guard let targets = batch.targets else { throw Trainer.withoutTargets }
    _ = try trainSteps(batch.inputs, targets)
  }

  /// Checks that the optimizer has every parameter that is to be trained: others would stay as they are without a word.
  static func checkParameters(of model: any Layer, _ optimizer: any Optimizer) throws {
    let known = Set(optimizer.parameters.map { ObjectIdentifier($0) })
    let missing = model.namedParameters().filter { _, parameter in
      // Only floating-point ones have gradients. What they hold is looked at, and is no part of a graph.
      !known.contains(ObjectIdentifier(parameter)) && parameter.isTrainable
        && outsideTrace { !parameter.isInitialized || parameter.value.dtype.isFloatingPoint }
    }
    if missing.isEmpty { return }
    let names = missing.prefix(12).map(\.name).joined(separator: ", ")
    throw ApusError(
      .argument,
      "the optimizer does not have all that is to be trained: \(names)\(missing.count > 12 ? " and \(missing.count - 12) more" : ""). "
        + "Give it them (optimizer.attach(model.parameters)), or freeze them (setTrainable(false))")
  }

  // MARK: Evaluation

  /// The loss and the metrics over a dataset, in inference mode: over all examples, however they are cut into batches.
  ///
  /// ```swift
  /// let result = try await trainer.evaluate(digits.test.batched(128))
  /// print(result["accuracy"] ?? 0)
  /// ```
  /// - Parameters:
  ///   - dataset: of batches, inputs first and targets last.
  ///   - file: the caller's file, named by an error where the failing line itself can't be found.
  ///   - line: the caller's line, named with the file.
  /// - Returns: the values under `loss` and the metrics' names.
  /// - Throws: `ApusError` when the data does not fit the model, (argument) when there is none, all targets are ignored or
  ///   the trainer is at work already, or what reading the data throws.
  public func evaluate(
    _ dataset: Dataset, file: StaticString = #fileID, line: UInt = #line
  ) async throws -> [String: Double] {
    try await CallPlace.telling(file, line) {
      try await occupied("an evaluation") { try await measure(dataset) }
    }
  }

  func measure(_ dataset: Dataset) async throws -> [String: Double] {
    let before = sums.values
    let modes = model.modes
    defer {
      sums.restore(before)
      modes.restore()
    }
    sums.reset()
    model.eval()
    var examples = 0
    for try await batch in dataset.epoch(0) {
      guard let targets = batch.targets else { throw Trainer.withoutTargets }
      _ = try evaluationSteps(batch.inputs, targets)
      examples += batch.inputs.shape[0]
    }
    guard examples > 0 else { throw ApusError(.argument, "there is nothing to evaluate on: the dataset is empty") }
    guard sums.values[0][1] > 0 else {
      throw ApusError(.argument, "there is nothing to evaluate on: no target counts for the loss \(loss.name)")
    }
    return Dictionary(sums.means) { first, _ in first }
  }

  // MARK: One at a time

  /// The trainer that the present task works for: callbacks and validation run within a fit and may use its model.
  @TaskLocal private static var holder: ObjectIdentifier?

  /// Runs `body` while nothing else may use the model, whose modes and running sums it changes.
  /// - Parameters:
  ///   - occupation: what others are told that the trainer is busy with.
  ///   - nests: whether the present holder may run it too, in its own time.
  ///   - body: what is to be alone.
  func occupied<R: Sendable>(
    _ occupation: String, nests: Bool = true, _ body: () async throws -> R
  ) async throws -> R {
    if nests, isHeldHere { return try await body() }
    try occupy(occupation)
    defer { state.withLock { $0.occupation = nil } }
    return try await Self.$holder.withValue(ObjectIdentifier(self), operation: body)
  }

  /// The same for what does not suspend.
  func occupied<R>(_ occupation: String, nests: Bool = true, _ body: () throws -> R) throws -> R {
    if nests, isHeldHere { return try body() }
    try occupy(occupation)
    defer { state.withLock { $0.occupation = nil } }
    return try Self.$holder.withValue(ObjectIdentifier(self), operation: body)
  }

  private var isHeldHere: Bool { Self.holder == ObjectIdentifier(self) }

  private func occupy(_ occupation: String) throws {
    try state.withLock { state in
      if let other = state.occupation {
        throw ApusError(.argument, "the trainer is busy with \(other): wait for its end, or use a model of its own")
      }
      state.occupation = occupation
    }
  }

  // MARK: Prediction

  /// The model's outputs for one batch of inputs, in inference mode. No gradients are recorded.
  ///
  /// ```swift
  /// let classes = try trainer.predict(images).argMax(axis: 1)     // float32[N, 10] → int64[N]
  /// ```
  /// - Parameters:
  ///   - inputs: [N, …], as the model takes it.
  ///   - file: the caller's file, named by an error where the failing line itself can't be found.
  ///   - line: the caller's line, named with the file.
  /// - Returns: [N, …], what the model gives: logits where it was trained on them.
  /// - Throws: `ApusError` when the input does not fit the model, (argument) when the trainer is at work already,
  ///   unless a callback of that training asks.
  public func predict(_ inputs: Tensor, file: StaticString = #fileID, line: UInt = #line) throws -> Tensor {
    try CallPlace.telling(file, line) {
      try occupied("a prediction") {
        let modes = model.modes
        defer { modes.restore() }
        model.eval()
        return try forward(inputs, nil)[0]
      }
    }
  }

  /// The model's outputs for a dataset of batches, joined along the first axis, in the order of its epoch 0.
  /// - Parameters:
  ///   - dataset: of batches, inputs first; targets are not looked at.
  ///   - file: the caller's file, named by an error where the failing line itself can't be found.
  ///   - line: the caller's line, named with the file.
  /// - Returns: [examples, …].
  /// - Throws: `ApusError` when the data does not fit the model or there is none, (argument) when the trainer is at
  ///   work already, or what reading the data throws.
  public func predict(
    _ dataset: Dataset, file: StaticString = #fileID, line: UInt = #line
  ) async throws -> Tensor {
    try await CallPlace.telling(file, line) {
      try await occupied("a prediction") {
        let modes = model.modes
        defer { modes.restore() }
        model.eval()
        var outputs: [Tensor] = []
        for try await batch in dataset.epoch(0) { outputs.append(try forward(batch.inputs, nil)[0]) }
        guard !outputs.isEmpty else { throw ApusError(.argument, "there is nothing to predict: the dataset is empty") }
        return concatenate(outputs, axis: 0)
      }
    }
  }

  private static let withoutTargets = ApusError(
    .argument, "the dataset's elements hold one tensor; training and evaluation need inputs and targets")
}

/// A step as a function of inputs and targets: compiled for each combination of ranks, or run as it is.
private final class StepFunctions: Sendable {
  private let name: String
  private let mode: Trainer.Execution
  private let body: @Sendable (Tensor, Tensor?) throws -> [Tensor]
  private let functions = Mutex<[[Int]: Compiled<Tensor, Tensor?, [Tensor]>]>([:])

  init(
    _ name: String, _ mode: Trainer.Execution, _ body: @escaping @Sendable (Tensor, Tensor?) throws -> [Tensor]
  ) {
    self.name = name
    self.mode = mode
    self.body = body
  }

  convenience init(
    _ name: String, _ mode: Trainer.Execution, _ body: @escaping @Sendable (Tensor, Tensor) throws -> [Tensor]
  ) {
    self.init(name, mode) { inputs, targets in
      guard let targets else { return [] }
      return try body(inputs, targets)
    }
  }

  var traceCount: Int { functions.withLock { $0.values.reduce(0) { $0 + $1.traceCount } } }

  func callAsFunction(_ inputs: Tensor, _ targets: Tensor?) throws -> [Tensor] {
    guard inputs.rank > 0, targets?.rank != 0 else {
      throw ApusError(
        .shape, "a batch's tensors begin with the batch's size: call batched(_:) on the dataset",
        operands: [inputs.type] + (targets.map { [$0.type] } ?? []))
    }
    if mode == .eager { return try checked { try body(inputs, targets) } }
    return try function(inputs, targets)(inputs, targets)
  }

  private func function(_ inputs: Tensor, _ targets: Tensor?) -> Compiled<Tensor, Tensor?, [Tensor]> {
    let ranks = [inputs.rank] + (targets.map { [$0.rank] } ?? [])
    return functions.withLock { functions in
      if let known = functions[ranks] { return known }
      // The first size has a name and stays open, 0 stands for "as it comes".
      let shapes = ranks.map { Shape(dims: ["batch"] + [Dim](repeating: 0, count: $0 - 1)) }
      let made = compiled(inputs: shapes, name: name, body)
      functions[ranks] = made
      return made
    }
  }
}
