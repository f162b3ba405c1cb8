import ApusCore
import ApusData
import ApusFiles
import ApusFormats
import ApusNN

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

extension Callback {
  /// Saves a checkpoint after every epoch.
  ///
  /// ```swift
  /// try await trainer.fit(train, epochs: 20, callbacks: [.checkpoint("ckpt", everySteps: 500)])
  /// ```
  /// A checkpoint is a directory with `model.safetensors` (loadable on its own), `optimizer.safetensors` and
  /// `state.json`. It is replaced in one step: a process killed at any moment leaves the old or the new one.
  /// ``Trainer/resume(from:)`` goes on from it.
  /// - Parameters:
  ///   - directory: where; made when it does not exist, its parent must. A folder that holds anything else than a
  ///     checkpoint is an error, and left as it is.
  ///   - everySteps: saves after every so many steps as well.
  ///   - bestOf: saves after an epoch only when this value of the history is its best so far.
  ///   - mode: which values are better; nil: as the metric itself says, of the loss the smaller. A metric that does not
  ///     say is an error (argument).
  public static func checkpoint(
    _ directory: String, everySteps: Int? = nil, bestOf: String? = nil, mode: MonitorMode? = nil
  ) -> Callback {
    Callback { CheckpointSaver(directory, everySteps, bestOf.map { Monitor($0, mode) }) }
  }
}

private final class CheckpointSaver: TrainingObserver {
  private let directory: String
  private let everySteps: Int?
  private let monitor: Monitor?

  init(_ directory: String, _ everySteps: Int?, _ monitor: Monitor?) {
    self.directory = directory
    self.everySteps = everySteps
    self.monitor = monitor
  }

  func trainingWillBegin(_ moment: TrainingMoment) throws {
    if let everySteps, everySteps < 1 {
      throw ApusError(.argument, "a checkpoint every \(everySteps) steps: 1 or more fit")
    }
    // Better now than after an epoch.
    try monitor?.check(moment.trainer)
    try AtomicReplacement.checkDirectory(directory, holds: Trainer.checkpointFiles)
  }

  func stepDidEnd(_ moment: TrainingMoment) throws {
    // The epoch's last step is saved with the epoch.
    guard let everySteps, moment.totalSteps % everySteps == 0, moment.step < moment.stepsPerEpoch else { return }
    try moment.trainer.saveCheckpoint(directory)
  }

  func epochDidEnd(_ moment: TrainingMoment) throws {
    let history = moment.history
    if let monitor, try monitor.best(history, moment.trainer) != history.epochs.count - 1 { return }
    try moment.trainer.saveCheckpoint(directory)
  }
}

extension Trainer {
  static let checkpointFiles = ["model.safetensors", "optimizer.safetensors", "state.json"]

  /// Saves all that training needs to go on exactly: see ``Callback/checkpoint(_:everySteps:bestOf:mode:)``.
  /// - Parameter directory: where, as there.
  /// - Throws: `ApusError` (file) when it can't be written, or `directory` holds anything else than a checkpoint; what
  ///   was there is still there then. (argument) when the trainer is at work already, unless a callback of that
  ///   training asks.
  public func saveCheckpoint(_ directory: String) throws {
    // A step in the middle of it would leave values of different steps in one checkpoint.
    try occupied("saving a checkpoint") { try writeCheckpoint(directory) }
  }

  private func writeCheckpoint(_ directory: String) throws {
    let (saved, generators) = (state.withLock { $0 }, namedGenerators)
    let record = CheckpointState(
      epoch: saved.epoch, position: saved.position, examples: saved.examples, seconds: saved.seconds,
      runStart: saved.runStart, totalSteps: saved.totalSteps,
      dataset: saved.dataset, totals: sums.values,
      generators: generators.mapValues { $0.state.value.toArray(of: Int64.self) }, history: saved.history)
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    let json = try encoder.encode(record)
    try AtomicReplacement.directory(directory, holding: Self.checkpointFiles) { folder in
      try model.save(to: "\(folder)/model.safetensors")
      try SafetensorsFile.write(optimizer.stateDictionary(model), to: "\(folder)/optimizer.safetensors")
      try AtomicReplacement.file("\(folder)/state.json", Array(json))
    }
  }

  /// Takes up a training where a checkpoint left it: weights, optimizer, random numbers, history and the place in the
  /// data. The next ``fit(_:epochs:validation:callbacks:)`` goes on with that run as if it had not been interrupted;
  /// model, optimizer and data must be made as they were. Data of another size, batch size or order is refused there;
  /// checkpoints made before there was a record of those are held to the shuffles' seeds alone.
  ///
  /// ```swift
  /// try trainer.resume(from: "ckpt")
  /// try await trainer.fit(train, epochs: 20, callbacks: [.checkpoint("ckpt")])      // 20 in all
  /// ```
  /// - Parameter directory: of the checkpoint.
  /// - Throws: `ApusError` (file) when files are missing or damaged, (argument) when they don't fit the model or
  ///   optimizer, or when the trainer is at work already; the model may hold the checkpoint's weights then, the
  ///   optimizer is as it was.
  public func resume(from directory: String) throws {
    try occupied("resuming a training", nests: false) { try readCheckpoint(directory) }
  }

  private func readCheckpoint(_ directory: String) throws {
    var folder = directory
    if (try? InputFile("\(directory)/state.json")) == nil {
      let previous = AtomicReplacement.previous(directory)
      if (try? InputFile("\(previous)/state.json")) != nil { folder = previous }
    }
    let record = try CheckpointState(path: "\(folder)/state.json")
    let weights = try SafetensorsFile("\(folder)/model.safetensors").stateDictionary()
    let slots = try SafetensorsFile("\(folder)/optimizer.safetensors").stateDictionary()
    let generators = namedGenerators
    guard Set(record.generators.keys) == Set(generators.keys) else {
      throw ApusError(
        .argument,
        "\(folder): its random generators are not the model's: \(record.generators.keys.sorted()) and \(generators.keys.sorted())"
      )
    }
    let totals = record.runningSums
    guard totals.count == sums.names.count else {
      throw ApusError(
        .argument, "\(folder) was made with other metrics: \(totals.count - 1), not \(metrics.count)")
    }
    guard sums.fits(totals) else {
      throw ApusError(.argument, "\(folder) was made with other metrics: their sums are not those of \(sums.names)")
    }
    try model.loadStateDictionary(weights)
    try optimizer.loadStateDictionary(slots, model)
    for (name, generator) in generators {
      if let values = record.generators[name] { generator.state.value = Tensor(values) }
    }
    sums.restore(totals)
    state.withLock {
      $0 = TrainingState(
        history: record.history, epoch: record.epoch, position: record.position, examples: record.examples,
        seconds: record.seconds, runStart: record.runStart, totalSteps: record.totalSteps, dataset: record.dataset,
        isResumed: true, occupation: $0.occupation)
    }
  }

  /// The default generator, whose name is empty, and those of the model's layers.
  private var namedGenerators: [String: Generator] {
    var all = ["": Generator.default]
    for (name, generator) in model.namedGenerators() { all[name] = generator }
    return all
  }
}
