import ApusCore

/// A place in a training's data: enough to go on exactly there.
public struct DatasetState: Hashable, Codable, Sendable {
  /// The seeds of the dataset's shuffles, innermost first: a state fits only a dataset with the same.
  public var seeds: [UInt64]
  /// The epoch's number, from 0.
  public var epoch: Int
  /// How many elements of the epoch were handed out.
  public var position: Int
  /// What decides which examples come when, as `54 examples, shuffled with seed 7, batches of 16`; a state fits only a
  /// dataset of the same. nil, as in states saved before there was this, fits any.
  public var pipeline: String?

  /// A place put together by hand; ``Epoch/Iterator/state`` gives the present one.
  /// - Parameters:
  ///   - seeds: of the dataset's shuffles, innermost first.
  ///   - epoch: its number, from 0.
  ///   - position: how many of its elements were handed out.
  ///   - pipeline: what the dataset is made of; nil fits any.
  public init(seeds: [UInt64], epoch: Int, position: Int, pipeline: String? = nil) {
    self.seeds = seeds
    self.epoch = epoch
    self.position = position
    self.pipeline = pipeline
  }
}

/// The elements of one epoch from some position on: a sequence to be read by `for try await`, which prefetches, or
/// by ``Iterator/next()``, which does everything on the caller's thread.
///
/// ```swift
/// var batches = dataset.epoch(0).makeIterator()
/// while let batch = try batches.next() { print(batch.inputs.shape) }
/// ```
public struct Epoch: Sendable {
  let dataset: Dataset
  /// Where it begins.
  public let start: DatasetState

  /// How many elements are left from the beginning on.
  public var count: Int { dataset.count - start.position }

  /// An order that can't be made is an error in the first element's place.
  fileprivate var plan: Result<any Plan, any Error> { Result { try dataset.stage.plan(epoch: start.epoch) } }
}

extension Dataset {
  /// Epoch `number` from its beginning.
  ///
  /// ```swift
  /// for try await batch in data.epoch(3) { print(batch.inputs.shape) }
  /// ```
  /// - Parameter number: from 0; decides the order of shuffled data.
  public func epoch(_ number: Int) -> Epoch {
    Epoch(dataset: self, start: DatasetState(seeds: seeds, epoch: number, position: 0, pipeline: stage.order))
  }

  /// The rest of an epoch whose earlier elements were handed out before: the very elements that would have followed.
  ///
  /// ```swift
  /// var batches = data.epoch(0).makeIterator()
  /// _ = try batches.next()
  /// let rest = try data.epoch(from: batches.state)      // from the second element on
  /// ```
  /// - Parameter state: the place of the next element, by ``Epoch/Iterator/state``.
  /// - Throws: `ApusError` (argument) when the state belongs to a dataset of another size or order, or lies outside
  ///   this one.
  public func epoch(from state: DatasetState) throws -> Epoch {
    guard state.seeds == seeds else {
      throw ApusError(
        .argument, "the state is of a dataset shuffled with seeds \(state.seeds), this one is shuffled with \(seeds)")
    }
    if let pipeline = state.pipeline, pipeline != stage.order {
      throw ApusError(.argument, "the state is of a dataset of \(pipeline), this one has \(stage.order)")
    }
    guard state.epoch >= 0, (0...count).contains(state.position) else {
      throw ApusError(
        .argument, "the state is at element \(state.position) of epoch \(state.epoch), this dataset has \(count)")
    }
    return Epoch(dataset: self, start: state)
  }
}

// MARK: Synchronous

extension Epoch {
  /// Hands the elements out one by one, computed on the caller's thread.
  public struct Iterator {
    private let plan: Result<any Plan, any Error>
    private let count: Int
    /// The place of the next element.
    public private(set) var state: DatasetState

    init(_ epoch: Epoch) {
      plan = epoch.plan
      count = epoch.dataset.count
      state = epoch.start
    }

    /// The next element, nil at the epoch's end.
    /// - Throws: as ``Dataset/element(at:)``; the place stays before the failed element.
    public mutating func next() throws -> Batch? {
      guard state.position < count else { return nil }
      let element = Batch(try plan.get().element(at: state.position))
      state.position += 1
      return element
    }
  }

  /// An iterator that computes on the caller's thread.
  public func makeIterator() -> Iterator { Iterator(self) }
}

// MARK: Asynchronous

extension Epoch: AsyncSequence {
  /// What an epoch hands out.
  public typealias Element = Batch

  /// Hands the elements out one by one while up to ``Dataset/prefetchCount`` further ones are computed on other tasks.
  ///
  /// An error is thrown in its element's place, after the elements before it, and ends the iteration. Cancelling the
  /// consuming task, or dropping the iterator, cancels the tasks.
  public struct AsyncIterator: AsyncIteratorProtocol {
    private let ahead: Prefetcher
    /// The place of the next element.
    public private(set) var state: DatasetState

    init(_ epoch: Epoch) {
      ahead = Prefetcher(epoch)
      state = epoch.start
    }

    /// The next element, nil at the epoch's end.
    /// - Throws: as ``Dataset/element(at:)``, `CancellationError` after the consumer was cancelled.
    public mutating func next() async throws -> Batch? { try await next(isolation: nil) }

    /// As ``next()``, on the caller's actor.
    /// - Throws: as that does.
    public mutating func next(isolation actor: isolated (any Actor)?) async throws -> Batch? {
      guard let element = try await ahead.next(isolation: actor) else { return nil }
      state.position += 1
      return element
    }
  }

  /// An iterator that prefetches as ``Dataset/prefetched(_:)`` says.
  public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(self) }
}

/// Keeps a bounded number of elements in the making, in order. Used by one consumer.
private final class Prefetcher {
  private let plan: Result<any Plan, any Error>
  private let limit: Int
  private let count: Int
  private var position: Int
  private var tasks: [Task<Batch, any Error>] = []
  private var hasFailed = false

  init(_ epoch: Epoch) {
    plan = epoch.plan
    limit = epoch.dataset.prefetchCount
    count = epoch.dataset.count
    position = epoch.start.position
  }

  deinit { for task in tasks { task.cancel() } }

  func next(isolation actor: isolated (any Actor)?) async throws -> Batch? {
    do {
      try Task.checkCancellation()
      if hasFailed { return nil }
      if limit == 0 { return try nextHere() }
      fill(limit)
      guard !tasks.isEmpty else { return nil }
      let first = tasks.removeFirst()
      // The place just freed is used while the consumer waits or works.
      fill(limit)
      return try await withTaskCancellationHandler {
        try await first.value
      } onCancel: {
        first.cancel()
      }
    } catch {
      hasFailed = true
      for task in tasks { task.cancel() }
      tasks = []
      throw error
    }
  }

  private func nextHere() throws -> Batch? {
    guard position < count else { return nil }
    let element = Batch(try plan.get().element(at: position))
    position += 1
    return element
  }

  private func fill(_ target: Int) {
    while tasks.count < target, position < count {
      let (plan, position) = (plan, position)
      tasks.append(
        Task.detached {
          try Task.checkCancellation()
          return Batch(try plan.get().element(at: position))
        })
      self.position += 1
    }
  }
}
