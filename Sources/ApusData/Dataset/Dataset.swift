import ApusCore

/// A finite, random-access collection of examples and the pipeline that turns them into batches (PyTorch's `Dataset`
/// and `DataLoader`, the part of `tf.data` that can be indexed).
///
/// A dataset is a value: `map`, `shuffled`, `batched` and the others return a new one and read nothing. An epoch is
/// asked for by its number, which decides the order of shuffled data; so any place in a training can be returned to
/// exactly.
///
/// ```swift
/// let train = try Dataset(images, labels).shuffled(seed: 1).batched(64)
/// for epoch in 0..<5 {
///   for try await batch in try train.prefetched(2).epoch(epoch) { step(batch.inputs, batch[1]) }
/// }
/// ```
public struct Dataset: Sendable {
  let stage: any Stage
  /// The seeds of all shuffles, innermost first.
  let seeds: [UInt64]
  /// How many elements are prepared ahead by ``Epoch``'s asynchronous iteration.
  public let prefetchCount: Int

  private init(_ stage: any Stage, seeds: [UInt64] = [], prefetchCount: Int = 0) {
    self.stage = stage
    self.seeds = seeds
    self.prefetchCount = prefetchCount
  }

  private func with(_ stage: any Stage) -> Dataset {
    Dataset(stage, seeds: seeds, prefetchCount: prefetchCount)
  }

  /// Number of elements in an epoch: examples, or after ``batched(_:dropLast:)`` batches.
  public var count: Int { stage.count }

  /// Element `position` of epoch 0.
  /// - Throws: `ApusError` (argument) outside 0 ..< `count`, (memory) when memory can't hold a batch or the order of so many
  ///   shuffled elements, the first error of an operation that failed in a function of the pipeline, and what those throw.
  public func element(at position: Int) throws -> Batch {
    guard position >= 0 && position < count else {
      throw ApusError(.argument, "element \(position) of a dataset of \(count)")
    }
    return Batch(try stage.plan(epoch: 0).element(at: position))
  }
}

// MARK: Sources

extension Dataset {
  /// Examples in memory: row `i` of every tensor makes example `i` (`TensorDataset`, `from_tensor_slices`).
  ///
  /// ```swift
  /// let data = try Dataset(images, labels)  // float32[N, 1, 28, 28], int64[N]
  /// ```
  /// - Parameter tensors: [N, …] each, with the same N, which may be 0.
  /// - Throws: `ApusError` (shape) when the first dimensions differ, (argument) without a tensor, (trace) for symbolic
  ///   tensors.
  public init(_ tensors: Tensor...) throws { try self.init(tensors: tensors) }

  /// As ``init(_:)``.
  /// - Throws: as that does.
  public init(tensors: [Tensor]) throws { self.init(try TensorStage(tensors)) }

  /// `count` examples that `load` makes from their number, when they are asked for: files in a folder, say.
  ///
  /// ```swift
  /// let data = try Dataset(count: paths.count) { i in
  ///   Batch(try ImageReader.read(paths[i], fitting: .mnist), Tensor(labels[i]))
  /// }
  /// ```
  /// With ``prefetched(_:)`` several calls run at the same time. Before ``batched(_:dropLast:)`` the examples' shapes
  /// may differ; stacking them needs equal ones.
  /// - Parameters:
  ///   - count: how many examples there are.
  ///   - load: makes example `i`, from 0; the same each time, for a training to be repeatable.
  /// - Throws: `ApusError` (argument) when `count` is negative. What `load` throws arrives where the example is asked
  ///   for.
  public init(count: Int, load: @escaping @Sendable (Int) throws -> Batch) throws {
    guard count >= 0 else { throw ApusError(.argument, "a dataset of \(count) examples: 0 or more fit") }
    self.init(ComputedStage(count: count, load: load))
  }
}

// MARK: Pipeline

extension Dataset {
  /// Every element put through a function: single examples before ``batched(_:dropLast:)``, whole batches (cheaper)
  /// after.
  ///
  /// ```swift
  /// let noisy = data.map { Batch($0.inputs + Tensor.normal([1, 28, 28]) * 0.1, $0[1]) }
  /// ```
  /// With ``prefetched(_:)`` it runs on several tasks at the same time: a random function then gives other numbers from
  /// run to run.
  /// - Parameter transform: of an element; gives the new one. What it throws, and the first error of its operations,
  ///   arrives where the element is asked for.
  public func map(_ transform: @escaping @Sendable (Batch) throws -> Batch) -> Dataset {
    with(MapStage(base: stage, transform: transform))
  }

  /// As ``map(_:)``, for a function that does the same to stacked examples as to each alone, like `x / 255`: it is
  /// called once a batch even where it stands before ``batched(_:dropLast:)``.
  ///
  /// ```swift
  /// let scaled = data.mapVectorized { Batch($0.inputs.cast(to: .float32) / 255, $0[1]) }
  /// ```
  /// - Parameter transform: of one or several examples.
  public func mapVectorized(_ transform: @escaping @Sendable (Batch) throws -> Batch) -> Dataset {
    with(VectorizedMapStage(base: stage, transform: transform))
  }

  /// A new random order of all elements in every epoch, which `seed` and the epoch's number decide alone.
  ///
  /// All elements change places, not those of a buffer as in `tf.data`. Before ``batched(_:dropLast:)`` examples are
  /// shuffled, after it whole batches.
  /// - Parameter seed: another one gives other orders. An order of more elements than memory holds is an error where the
  ///   first is asked for.
  public func shuffled(seed: UInt64 = 0) -> Dataset {
    Dataset(ShuffleStage(base: stage, seed: seed), seeds: seeds + [seed], prefetchCount: prefetchCount)
  }

  /// Groups of `size` neighbouring elements, stacked along a new first dimension; the last may be smaller.
  ///
  /// ```swift
  /// let train = try data.shuffled(seed: 0).batched(64, dropLast: true)
  /// ```
  /// - Parameters:
  ///   - size: elements in a batch, at least 1.
  ///   - dropLast: leaves a smaller last group out (`drop_last`, `drop_remainder`).
  /// - Throws: `ApusError` (argument) unless `size` is positive. Elements whose types differ are an error (shape) where
  ///   the batch is asked for.
  public func batched(_ size: Int, dropLast: Bool = false) throws -> Dataset {
    guard size > 0 else { throw ApusError(.argument, "batches of \(size) elements: 1 or more fit") }
    return with(BatchStage(base: stage, size: size, dropsLast: dropLast))
  }

  /// Prepares up to `elements` ahead, on other tasks, while the consumer works (`num_workers`, `prefetch`). Order and
  /// errors stay the same.
  ///
  /// It holds for asynchronous iteration, wherever it stands in the pipeline. 0 switches it off.
  /// - Parameter elements: how many, batches after ``batched(_:dropLast:)``.
  /// - Throws: `ApusError` (argument) unless 0 ≤ `elements` ≤ 1024.
  public func prefetched(_ elements: Int) throws -> Dataset {
    guard (0...1024).contains(elements) else {
      throw ApusError(.argument, "prefetching \(elements) elements: 0 to 1024 fit")
    }
    return Dataset(stage, seeds: seeds, prefetchCount: elements)
  }

  /// The first `count` elements of every epoch, or all if there are fewer. After ``shuffled(seed:)`` these are others
  /// in every epoch.
  public func take(_ count: Int) -> Dataset {
    with(RangeStage(base: stage, range: 0..<min(max(count, 0), self.count)))
  }

  /// All but the first `count` elements of every epoch; none if there are fewer.
  public func skip(_ count: Int) -> Dataset {
    with(RangeStage(base: stage, range: min(max(count, 0), self.count)..<self.count))
  }

  /// The elements for which `condition` holds of their position, in the same order.
  ///
  /// ```swift
  /// let held = data.select { $0 % 5 == 4 }
  /// ```
  /// - Parameter condition: of a position from 0; asked once for each, here.
  public func select(where condition: (Int) -> Bool) -> Dataset {
    with(SelectStage(base: stage, positions: (0..<count).filter(condition)))
  }

  /// Two disjoint parts, the first with `fraction` of the elements (rounded).
  ///
  /// ```swift
  /// let (train, validation) = try data.split(0.9, seed: 0)
  /// ```
  /// - Parameters:
  ///   - fraction: from 0 to 1.
  ///   - seed: draws the parts at random, the same way in every epoch; nil cuts the sequence in two.
  /// - Throws: `ApusError` (argument) for another fraction, and after ``shuffled(seed:)``, where every epoch would
  ///   mix the parts anew; (memory) for a random split of more elements than memory holds.
  public func split(_ fraction: Double, seed: UInt64? = nil) throws -> (Dataset, Dataset) {
    guard (0...1).contains(fraction) else { throw ApusError(.argument, "a fraction of \(fraction): 0 to 1 fit") }
    guard seeds.isEmpty else {
      throw ApusError(.argument, "split before shuffled: afterwards every epoch would mix the parts anew")
    }
    // The largest counts are no doubles: their product may be one too many.
    let cut = Int(exactly: (Double(count) * fraction).rounded()).map { min($0, count) } ?? count
    guard let seed else { return (take(cut), skip(cut)) }
    let order = try Permutation.make(count: count, seed: seed, epoch: 0)
    return (
      with(SelectStage(base: stage, positions: Array(order[..<cut]))),
      with(SelectStage(base: stage, positions: Array(order[cut...])))
    )
  }
}
