import ApusCore
import ApusData
import ApusNN

extension Trainer {
  /// Trains for a number of epochs (Keras' `fit`).
  ///
  /// ```swift
  /// let history = try await trainer.fit(
  ///   digits.train.shuffled(seed: 0).batched(32), epochs: 20, validation: digits.test.batched(128),
  ///   callbacks: [.progress, .earlyStopping(patience: 3)])
  /// print(history["val_accuracy"])
  /// ```
  /// After ``resume(from:)`` it goes on with the interrupted run, of which `epochs` is the whole length. Otherwise it
  /// trains so many epochs more, whose numbers (and so the data's order) follow those before.
  /// - Parameters:
  ///   - train: batches of inputs and targets.
  ///   - epochs: passes over the data, 0 or more.
  ///   - validation: batches that loss and metrics are taken on after every epoch; `val_loss` and so on.
  ///   - callbacks: what else happens; they are asked in their order.
  ///   - file: the caller's file, named by an error where the failing line itself can't be found.
  ///   - line: the caller's line, named with the file.
  /// - Returns: the records of all epochs so far.
  /// - Throws: `ApusError` when the data does not fit the model, (argument) when there is nothing to train or validate
  ///   on, `epochs` is negative, the optimizer does not have all trainable parameters of the model (one that trains
  ///   another model, or a `Slot` with a new module), the trainer is training or evaluating already or a resumed run
  ///   had other data;
  ///   `CancellationError` when the task is cancelled, and what reading the data or callbacks throw. The model keeps
  ///   what it learned.
  @discardableResult
  public func fit(
    _ train: Dataset, epochs: Int, validation: Dataset? = nil, callbacks: [Callback] = [],
    file: StaticString = #fileID, line: UInt = #line
  ) async throws -> History {
    guard epochs >= 0 else { throw ApusError(.argument, "training for \(epochs) epochs: 0 or more fit") }
    guard train.count > 0 || epochs == 0 else {
      throw ApusError(.argument, "there is nothing to train on: the dataset is empty")
    }
    guard validation?.count != 0 else {
      throw ApusError(.argument, "there is nothing to validate on: the dataset is empty")
    }
    return try await CallPlace.telling(file, line) {
      try await occupied("a fit", nests: false) {
        try Self.checkParameters(of: model, optimizer)
        let endEpoch = try begin(epochs)
        return try await run(train, endEpoch, validation, callbacks)
      }
    }
  }

  private func run(_ train: Dataset, _ endEpoch: Int, _ validation: Dataset?, _ callbacks: [Callback]) async throws
    -> History
  {
    let modes = model.modes
    defer { modes.restore() }
    let observers = callbacks.map { $0.makeObserver() }
    model.zeroGradients()
    for observer in observers { try observer.trainingWillBegin(moment(endEpoch, train)) }
    while state.withLock({ $0.epoch < endEpoch && !$0.isAskedToStop }) {
      try await trainEpoch(train, validation, endEpoch, observers)
      // Data that is at hand never suspends: without this a few trainings would keep all other tasks from running.
      await Task.yield()
    }
    state.withLock { $0.isResumed = false }
    for observer in observers { try observer.trainingDidEnd(moment(endEpoch, train)) }
    return history
  }

  private func begin(_ epochs: Int) throws -> Int {
    try state.withLock { state in
      let start = state.isResumed ? state.runStart : state.epoch
      let (end, overflow) = start.addingReportingOverflow(epochs)
      guard !overflow, end <= 1 << 53 else {
        throw ApusError(.argument, "training for \(epochs) epochs after \(start): in all at most \(1 << 53) fit")
      }
      state.isAskedToStop = false
      state.run = RunSettings(epochs: epochs, learningRate: initialLearningRate)
      if !state.isResumed {
        // A run that was stopped within an epoch begins the epoch anew.
        state.runStart = state.epoch
        state.position = 0
        state.examples = 0
        state.seconds = 0
        state.dataset = nil
        sums.reset()
      }
      return end
    }
  }

  private func moment(_ endEpoch: Int, _ train: Dataset) -> TrainingMoment {
    state.withLock {
      TrainingMoment(
        trainer: self, epoch: $0.epoch, endEpoch: endEpoch, step: $0.position, stepsPerEpoch: train.count,
        examples: $0.examples, totalSteps: $0.totalSteps)
    }
  }

  private func trainEpoch(
    _ train: Dataset, _ validation: Dataset?, _ endEpoch: Int, _ observers: [any TrainingObserver]
  ) async throws {
    let clock = ContinuousClock()
    let start = clock.now
    let before = state.withLock { $0.seconds }
    func elapsed() -> Double { before + (clock.now - start).seconds }
    let place = state.withLock { state in
      var place = train.epoch(state.epoch).start
      place.position = state.position
      return (here: place, saved: state.dataset)
    }
    if let saved = place.saved {
      do {
        _ = try train.epoch(from: saved)
      } catch var error as ApusError {
        error.message = "the checkpoint was made with other data: \(error.message)"
        throw error
      }
    }
    model.train()
    var batches = try train.epoch(from: place.here).makeAsyncIterator()
    while let batch = try await batches.next() {
      try Task.checkCancellation()
      for observer in observers { try observer.stepWillBegin(moment(endEpoch, train)) }
      try trainStep(batch)
      let dataset = batches.state
      let stops = state.withLock { state in
        // Not before: after a fit that was refused, with other data say, the next one still goes on with the run.
        state.isResumed = false
        state.position += 1
        state.totalSteps += 1
        state.examples += batch.inputs.shape[0]
        state.seconds = elapsed()
        state.dataset = dataset
        return state.isAskedToStop
      }
      let now = moment(endEpoch, train)
      for observer in observers { try observer.stepDidEnd(now) }
      // Asked to stop in the last step, the epoch is whole: it is recorded and validated.
      if stops || state.withLock({ $0.isAskedToStop }), now.step < now.stepsPerEpoch { return }
    }
    // A cancelled task's data ends early, which is not the end of the epoch.
    try Task.checkCancellation()
    try await finishEpoch(train, validation, endEpoch, observers, elapsed)
  }

  private func finishEpoch(
    _ train: Dataset, _ validation: Dataset?, _ endEpoch: Int, _ observers: [any TrainingObserver],
    _ elapsed: () -> Double
  ) async throws {
    var done = moment(endEpoch, train)
    done.atEnd = done.values
    var values = Dictionary(done.values) { first, _ in first }
    if let validation {
      for (name, value) in try await measure(validation) { values["val_" + name] = value }
    }
    sums.reset()
    state.withLock { [values] state in
      state.history.epochs.append(
        History.Epoch(
          number: state.epoch + 1, values: values, seconds: elapsed(), steps: state.position, examples: state.examples))
      state.epoch += 1
      state.position = 0
      state.examples = 0
      state.seconds = 0
      state.dataset = train.epoch(state.epoch).start
    }
    for observer in observers { try observer.epochDidEnd(done) }
  }
}

extension Duration {
  var seconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}
