import ApusCore
import ApusNN

/// What `fit` does besides training: `callbacks: [.progress, .checkpoint("ckpt"), .earlyStopping(patience: 3)]`.
///
/// ```swift
/// let log = Callback.onEpochEnd { moment in print(moment.epoch, moment.values) }
/// try await trainer.fit(train, epochs: 5, callbacks: [.progress, log])
/// ```
/// An own one that follows steps too is a ``TrainingObserver``.
public struct Callback: Sendable {
  let makeObserver: @Sendable () -> any TrainingObserver

  /// A callback of an observer; one that is used in several fits is the same object in each.
  /// - Parameter observer: is told of the training's steps and epochs.
  public init(_ observer: any TrainingObserver) { makeObserver = { observer } }

  init(_ makeObserver: @escaping @Sendable () -> any TrainingObserver) { self.makeObserver = makeObserver }

  /// Calls a function after every epoch, validation included.
  /// - Parameter body: is given the moment; what it throws ends the fit.
  public static func onEpochEnd(_ body: @escaping @Sendable (TrainingMoment) throws -> Void) -> Callback {
    Callback { EpochEnd(body) }
  }

  /// Ends the training when a value has not improved for `patience` epochs of the run, which an earlier `fit` is no
  /// part of (Keras' `EarlyStopping`). The weights stay those of the last epoch; `.checkpoint(bestOf:)` keeps the best.
  ///
  /// ```swift
  /// let callbacks: [Callback] = [.earlyStopping(patience: 3), .checkpoint("best", bestOf: "val_loss")]
  /// ```
  /// - Parameters:
  ///   - monitor: a name in ``History``. One that is not there ends the fit with an error (argument).
  ///   - mode: which values are better; nil: as the metric itself says, of the loss the smaller. A metric that does not
  ///     say is an error (argument).
  ///   - patience: epochs in a row without an improvement after which the training ends; 0 is as 1.
  ///   - minimumChange: what counts as an improvement: a change by more than this.
  public static func earlyStopping(
    monitor: String = "val_loss", mode: MonitorMode? = nil, patience: Int = 0, minimumChange: Double = 0
  ) -> Callback {
    Callback { EarlyStopping(Monitor(monitor, mode, minimumChange: minimumChange), patience: patience) }
  }

  /// Sets the learning rate before each step: the optimizer's first one (``Trainer/initialLearningRate``) times the
  /// schedule's factor (Keras' `LearningRateScheduler`).
  ///
  /// ```swift
  /// let schedule = Schedule.cosine(steps: 20 * train.count - 100).warmingUp(steps: 100)
  /// try await trainer.fit(train, epochs: 20, callbacks: [.learningRate(schedule)])
  /// ```
  /// - Parameters:
  ///   - schedule: the factor as a function of progress. One that gives a negative rate ends the fit with an error
  ///     (argument).
  ///   - unit: what the schedule counts: steps of the whole training, or epochs, both from 0.
  ///   - isNew: whether a run that ``Trainer/resume(from:)`` took up may go on with another schedule, or another first
  ///     rate, than it had; otherwise a rate other than that of its last step ends the fit with an error (argument).
  public static func learningRate(
    _ schedule: Schedule, per unit: ScheduleUnit = .step, isNew: Bool = false
  ) -> Callback {
    Callback { LearningRateSetter(schedule, unit, isNew) }
  }
}

/// What a schedule counts: steps of the whole training or epochs.
public enum ScheduleUnit: Hashable, Sendable { case step, epoch }

private final class EpochEnd: TrainingObserver {
  private let body: @Sendable (TrainingMoment) throws -> Void
  init(_ body: @escaping @Sendable (TrainingMoment) throws -> Void) { self.body = body }
  func epochDidEnd(_ moment: TrainingMoment) throws { try body(moment) }
}

/// Its memory is the history, so that it survives a checkpoint.
private final class EarlyStopping: TrainingObserver {
  private let monitor: Monitor
  private let patience: Int

  init(_ monitor: Monitor, patience: Int) {
    self.monitor = monitor
    self.patience = patience
  }

  func trainingWillBegin(_ moment: TrainingMoment) throws { try monitor.check(moment.trainer) }

  func epochDidEnd(_ moment: TrainingMoment) throws {
    let start = moment.trainer.state.withLock { $0.runStart }
    guard let best = try monitor.best(moment.history, moment.trainer, from: start) else { return }
    let waited = moment.history.epochs.count - 1 - best
    if waited > 0 && waited >= patience { moment.stop() }
  }
}

private final class LearningRateSetter: TrainingObserver {
  private let schedule: Schedule
  private let unit: ScheduleUnit
  private let isNew: Bool

  init(_ schedule: Schedule, _ unit: ScheduleUnit, _ isNew: Bool) {
    self.schedule = schedule
    self.unit = unit
    self.isNew = isNew
  }

  /// The checkpoint has the rate of its last step: the same schedule gives it again.
  func trainingWillBegin(_ moment: TrainingMoment) throws {
    let isResumed = moment.trainer.state.withLock { $0.isResumed }
    guard isResumed, !isNew, moment.totalSteps > 0 else { return }
    let place = unit == .step ? moment.totalSteps - 1 : moment.epoch - (moment.step == 0 ? 1 : 0)
    // A run that is within its first epoch has had no other rate than the first.
    guard place >= 0 else { return }
    let (had, gives) = (moment.trainer.optimizer.learningRate, try rate(moment, place))
    // Another machine's cosine may differ in its last bit.
    guard abs(had - gives) <= 1e-12 * Swift.max(had, gives) else {
      throw ApusError(
        .argument,
        "the resumed run had another schedule: its rate at \(unit) \(place) was \(had), this one gives \(gives). The "
          + "schedule, the optimizer's first rate and the epochs that the run was begun with fit; isNew allows another")
    }
  }

  func stepWillBegin(_ moment: TrainingMoment) throws {
    let rate = try rate(moment, unit == .step ? moment.totalSteps : moment.epoch)
    if moment.trainer.optimizer.learningRate != rate { moment.trainer.optimizer.learningRate = rate }
  }

  private func rate(_ moment: TrainingMoment, _ place: Int) throws -> Double {
    let rate = moment.trainer.initialLearningRate * schedule(place)
    guard rate >= 0 else {
      throw ApusError(.argument, "the schedule gives a learning rate of \(rate) at \(unit) \(place): 0 or more fit")
    }
    return rate
  }
}
