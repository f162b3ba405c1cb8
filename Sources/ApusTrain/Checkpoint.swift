import ApusCore
import ApusData
import ApusFiles
import ApusFormats
import ApusNN
import Synchronization

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
  /// ``Trainer/resume(from:)`` goes on from it. While the training runs, a file `.ckpt.lock` beside it says so, and another
  /// training that would save there ends with an error that says which process has the folder.
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
  /// Goes with the fit, however that ends.
  private let lock = Mutex<FolderLock?>(nil)

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
    let taken = try moment.trainer.lock(directory)
    lock.withLock { $0 = taken }
  }

  func trainingDidEnd(_ moment: TrainingMoment) { lock.withLock { $0 = nil } }

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
  /// - Throws: `ApusError` (file) when it can't be written, `directory` holds anything else than a checkpoint, or another
  ///   training saves there; what was there is still there then. (argument) when the trainer is at work already, unless a callback of that
  ///   training asks.
  public func saveCheckpoint(_ directory: String) throws {
    // A step in the middle of it would leave values of different steps in one checkpoint.
    try occupied("saving a checkpoint") { try writeCheckpoint(directory) }
  }

  private func writeCheckpoint(_ directory: String) throws {
    let (saved, generators) = (state.withLock { $0 }, namedGenerators)
    var record = CheckpointState(
      epoch: saved.epoch, position: saved.position, examples: saved.examples, seconds: saved.seconds,
      runStart: saved.runStart, totalSteps: saved.totalSteps,
      dataset: saved.dataset, totals: sums.values,
      generators: GeneratorStates(
        NamedValues(generators.map { ($0.key, $0.value.state.value.toArray(of: Int64.self)) })),
      history: saved.history, run: saved.run)
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    try model.requireSizes()
    try AtomicReplacement.directory(directory, holding: Self.checkpointFiles, under: lock(directory)) { draft in
      var digests: [String: String] = [:]
      for (name, tensors) in [
        ("model.safetensors", model.stateDictionary()), ("optimizer.safetensors", optimizer.stateDictionary(model)),
      ] {
        digests[name] = try draft.file(name) { try SafetensorsFile.write(tensors, to: $0) }
      }
      record.digests = digests
      let json = try encoder.encode(record)
      try draft.file("state.json") { try $0.write(Array(json)) }
    }
  }

  /// The lock of a folder that this trainer saves to: its callbacks share it.
  func lock(_ directory: String) throws -> FolderLock {
    let key = try FolderLock.key(directory)
    return try locks.withLock { locks in
      locks = locks.filter { $0.value.lock != nil }
      if let known = locks[key]?.lock { return known }
      let made = try FolderLock(directory)
      locks[key] = WeakLock(lock: made)
      return made
    }
  }

  /// Takes up a training where a checkpoint left it: weights, optimizer, random numbers, history and the place in the
  /// data. The next ``fit(_:epochs:validation:callbacks:file:line:)`` goes on with that run as if it had not been interrupted;
  /// model, optimizer and data must be made as they were. Data of another size, batch size or order is refused there;
  /// checkpoints made before there was a record of those are held to the shuffles' seeds alone.
  ///
  /// ```swift
  /// try trainer.resume(from: "ckpt")
  /// try await trainer.fit(train, epochs: 20, callbacks: [.checkpoint("ckpt")])      // 20 in all
  /// ```
  /// While another task or process saves there, one whole checkpoint is read.
  /// - Parameter directory: of the checkpoint.
  /// - Throws: `ApusError` (file) when files are missing, damaged or of several checkpoints, (argument) when they don't
  ///   fit the model or optimizer, or when the trainer is at work already; the model may hold the checkpoint's weights
  ///   then, the optimizer is as it was.
  public func resume(from directory: String) throws {
    try occupied("resuming a training", nests: false) { try readCheckpoint(directory) }
  }

  private func readCheckpoint(_ directory: String) throws {
    let files = try CheckpointFiles(reading: directory)
    let record = files.record
    let (saved, own) = (record.generators.values, namedGenerators)
    guard Set(saved.keys.map(ExactName.init)) == Set(own.keys.map(ExactName.init)) else {
      throw ApusError(
        .argument,
        "\(directory): its random generators are not the model's: \(saved.keys.sorted()) and \(own.keys.sorted())")
    }
    let totals = record.runningSums
    guard totals.count == sums.names.count else {
      throw ApusError(
        .argument, "\(directory) was made with other metrics: \(totals.count - 1), not \(metrics.count)")
    }
    guard sums.fits(totals) else {
      throw ApusError(.argument, "\(directory) was made with other metrics: their sums are not those of \(sums.names)")
    }
    try model.loadStateDictionary(files.weights)
    try optimizer.loadStateDictionary(files.slots, model)
    for (name, generator) in own {
      if let values = saved[name] { generator.state.value = Tensor(values) }
    }
    sums.restore(totals)
    state.withLock {
      $0 = TrainingState(
        history: record.history, epoch: record.epoch, position: record.position, examples: record.examples,
        seconds: record.seconds, runStart: record.runStart, totalSteps: record.totalSteps, dataset: record.dataset,
        run: record.run, isResumed: true, occupation: $0.occupation)
    }
  }

  /// The default generator, whose name is empty, and those of the model's layers.
  private var namedGenerators: NamedValues<Generator> {
    var all: NamedValues = ["": Generator.default]
    for (name, generator) in model.namedGenerators() { all[name] = generator }
    return all
  }
}
