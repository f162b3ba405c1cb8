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
public struct TrainingMoment: Sendable {
  public let trainer: Trainer
  /// The epoch, from 0, and the one at which the training ends.
  public let epoch: Int
  public let endEpoch: Int
  /// Steps made in the epoch, and how many there are.
  public let step: Int
  public let stepsPerEpoch: Int
  /// Examples seen in the epoch.
  public let examples: Int
  /// Steps made in all, over all epochs.
  public let totalSteps: Int

  /// Loss and metrics over the epoch's examples so far. Reading them waits for the last step.
  public var values: [(name: String, value: Double)] { atEnd ?? trainer.sums.means(examples) }
  /// Those of an epoch that has ended: the running sums are the next one's already.
  var atEnd: [(name: String, value: Double)]?
  public var history: History { trainer.history }

  /// Ends the training after this step or epoch.
  public func stop() { trainer.state.withLock { $0.isAskedToStop = true } }
}

/// What takes part in a training without being the model: progress, checkpoints, schedules.
public protocol TrainingObserver: AnyObject, Sendable {
  func trainingWillBegin(_ moment: TrainingMoment) throws
  func stepWillBegin(_ moment: TrainingMoment) throws
  func stepDidEnd(_ moment: TrainingMoment) throws
  /// After validation; the epoch is in the history.
  func epochDidEnd(_ moment: TrainingMoment) throws
  func trainingDidEnd(_ moment: TrainingMoment) throws
}

extension TrainingObserver {
  public func trainingWillBegin(_ moment: TrainingMoment) throws {}
  public func stepWillBegin(_ moment: TrainingMoment) throws {}
  public func stepDidEnd(_ moment: TrainingMoment) throws {}
  public func epochDidEnd(_ moment: TrainingMoment) throws {}
  public func trainingDidEnd(_ moment: TrainingMoment) throws {}
}
