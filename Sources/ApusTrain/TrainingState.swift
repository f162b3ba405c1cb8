import ApusCore
import ApusData

/// Where a training stands.
struct TrainingState: Sendable {
  var history = History()
  /// The epoch being trained or to be trained next, from 0.
  var epoch = 0
  /// Steps made in it.
  var position = 0
  /// Examples seen in it.
  var examples = 0
  /// Time spent on it in earlier processes, in seconds.
  var seconds = 0.0
  /// The epoch at which the run began: `fit(epochs:)` counts from there.
  var runStart = 0
  /// Steps made in all.
  var totalSteps = 0
  /// The data's order when the state was saved; nil: any.
  var dataset: DatasetState?
  /// Set by ``Trainer/resume(from:)``: the next `fit` goes on with the run instead of beginning one.
  var isResumed = false
  /// What has the model to itself: `a fit`, `an evaluation`.
  var occupation: String?
  var isAskedToStop = false
}

/// A moment of a training, as callbacks see it.
///
/// ```swift
/// let target = Callback.onEpochEnd { if ($0.history["val_accuracy"].last ?? 0) > 0.99 { $0.stop() } }
/// ```
public struct TrainingMoment: Sendable {
  /// The trainer. A callback may predict with it and save checkpoints.
  public let trainer: Trainer
  /// The epoch, from 0. In ``TrainingObserver/epochDidEnd(_:)`` it is still the one that ended.
  public let epoch: Int
  /// The epoch, from 0, before which the training ends.
  public let endEpoch: Int
  /// Steps made in the epoch.
  public let step: Int
  /// Steps of a whole epoch.
  public let stepsPerEpoch: Int
  /// Examples seen in the epoch.
  public let examples: Int
  /// Steps made in all, over all epochs.
  public let totalSteps: Int

  /// Loss and metrics over the epoch's examples so far; NaN before any. Reading them waits for the last step.
  public var values: [(name: String, value: Double)] { atEnd ?? trainer.sums.means }
  /// Those of an epoch that has ended: the running sums are the next one's already.
  var atEnd: [(name: String, value: Double)]?
  /// The records of all epochs so far.
  public var history: History { trainer.history }

  /// Ends the training after this step or epoch.
  public func stop() { trainer.state.withLock { $0.isAskedToStop = true } }
}

/// What takes part in a training without being the model: progress, checkpoints, schedules.
///
/// ```swift
/// final class LossPrinter: TrainingObserver {
///   func stepDidEnd(_ moment: TrainingMoment) {
///     if moment.step % 100 == 0 { print(moment.step, moment.values) }
///   }
/// }
/// try await trainer.fit(train, epochs: 5, callbacks: [Callback(LossPrinter())])
/// ```
/// All functions have empty defaults. What one throws ends the fit.
public protocol TrainingObserver: AnyObject, Sendable {
  /// Before the first step of a fit.
  func trainingWillBegin(_ moment: TrainingMoment) throws
  /// Before each step; ``TrainingMoment/step`` is the number of those before it in the epoch.
  func stepWillBegin(_ moment: TrainingMoment) throws
  /// After each step. Reading ``TrainingMoment/values`` in every one costs time: it waits for the step.
  func stepDidEnd(_ moment: TrainingMoment) throws
  /// After validation; the epoch is in the history.
  func epochDidEnd(_ moment: TrainingMoment) throws
  /// After the last step of a fit, also of one that was stopped; not of one that failed or was cancelled.
  func trainingDidEnd(_ moment: TrainingMoment) throws
}

extension TrainingObserver {
  public func trainingWillBegin(_ moment: TrainingMoment) throws {}
  public func stepWillBegin(_ moment: TrainingMoment) throws {}
  public func stepDidEnd(_ moment: TrainingMoment) throws {}
  public func epochDidEnd(_ moment: TrainingMoment) throws {}
  public func trainingDidEnd(_ moment: TrainingMoment) throws {}
}
