import ApusCore

/// One step of a dataset's pipeline, seen from behind: a number of elements, and their order in each epoch.
///
/// Every stage is random access, which is what makes resuming exact and parallel prefetching simple: element `i` of an
/// epoch depends on nothing but the stage, the epoch and `i`.
protocol Stage: Sendable {
  var count: Int { get }
  /// What decides which examples come when, for a person: `54 examples, shuffled with seed 7, batches of 16`.
  var order: String { get }
  /// Prepares an epoch: whatever its order needs is computed once here.
  func plan(epoch: Int) -> any Plan
}

/// The elements of one epoch of a stage.
protocol Plan: Sendable {
  func element(at position: Int) throws -> [Tensor]
  /// The elements at those positions, stacked along a new first dimension.
  func stacked(at positions: [Int]) throws -> [Tensor]
}

extension Plan {
  func stacked(at positions: [Int]) throws -> [Tensor] {
    try Rows.stack(positions.map { try element(at: $0) })
  }
}

/// Rows of tensors in memory. A batch of them is one indexed gather, or a view where the rows are neighbours.
struct TensorStage: Stage, Plan {
  let tensors: [Tensor]
  let count: Int

  /// - Throws: `ApusError` (shape) unless all tensors have the same first dimension.
  init(_ tensors: [Tensor]) throws {
    guard let first = tensors.first else { throw ApusError(.argument, "a dataset needs at least one tensor") }
    guard tensors.allSatisfy({ !$0.isSymbolic }) else {
      throw ApusError(
        .trace, "a dataset holds values, and a symbolic tensor has none", operation: "Dataset",
        operands: tensors.map(\.type))
    }
    guard tensors.allSatisfy({ $0.rank > 0 && $0.shape[0] == (first.rank > 0 ? first.shape[0] : -1) }) else {
      throw ApusError(
        .shape, "the tensors' first dimensions, the number of examples, must agree", operation: "Dataset",
        operands: tensors.map(\.type))
    }
    self.tensors = try tensors.map(Rows.packed)
    count = first.shape[0]
  }

  var order: String { "\(count) examples" }
  func plan(epoch: Int) -> any Plan { self }
  func element(at position: Int) throws -> [Tensor] { try tensors.map { try Rows.row(of: $0, at: position) } }
  func stacked(at positions: [Int]) throws -> [Tensor] { try Rows.gather(tensors, at: positions) }
}

/// Elements that a function makes from their number.
struct ComputedStage: Stage, Plan {
  let count: Int
  let load: @Sendable (Int) throws -> Batch

  var order: String { "\(count) examples" }
  func plan(epoch: Int) -> any Plan { self }
  func element(at position: Int) throws -> [Tensor] { try load(position).tensors }
}

/// A function over every element.
struct MapStage: Stage {
  let base: any Stage
  let transform: @Sendable (Batch) throws -> Batch

  var count: Int { base.count }
  var order: String { base.order }
  func plan(epoch: Int) -> any Plan { Mapped(base: base.plan(epoch: epoch), transform: transform) }

  private struct Mapped: Plan {
    let base: any Plan
    let transform: @Sendable (Batch) throws -> Batch
    func element(at position: Int) throws -> [Tensor] { try transform(Batch(base.element(at: position))).tensors }
  }
}

/// A function over every element that does the same to a stack of elements as to each of them.
struct VectorizedMapStage: Stage {
  let base: any Stage
  let transform: @Sendable (Batch) throws -> Batch

  var count: Int { base.count }
  var order: String { base.order }
  func plan(epoch: Int) -> any Plan { Mapped(base: base.plan(epoch: epoch), transform: transform) }

  private struct Mapped: Plan {
    let base: any Plan
    let transform: @Sendable (Batch) throws -> Batch
    func element(at position: Int) throws -> [Tensor] { try transform(Batch(base.element(at: position))).tensors }
    func stacked(at positions: [Int]) throws -> [Tensor] { try transform(Batch(base.stacked(at: positions))).tensors }
  }
}

/// A new order in every epoch.
struct ShuffleStage: Stage {
  let base: any Stage
  let seed: UInt64

  var count: Int { base.count }
  var order: String { "\(base.order), shuffled with seed \(seed)" }
  func plan(epoch: Int) -> any Plan {
    Reordered(
      base: base.plan(epoch: epoch), order: Permutation.make(count: base.count, seed: seed, epoch: epoch))
  }
}

/// Chosen elements, in the same order in every epoch.
struct SelectStage: Stage {
  let base: any Stage
  let positions: [Int]
  /// Tells other choices of as many elements apart.
  private let digest: UInt64

  init(base: any Stage, positions: [Int]) {
    self.base = base
    self.positions = positions
    digest = positions.reduce(0) { digest, position in
      var mixer = SplitMix64(state: digest ^ UInt64(position))
      return mixer.next()
    }
  }

  var count: Int { positions.count }
  var order: String { "\(base.order), \(count) chosen (\(String(digest, radix: 16)))" }
  func plan(epoch: Int) -> any Plan { Reordered(base: base.plan(epoch: epoch), order: positions) }
}

private struct Reordered: Plan {
  let base: any Plan
  let order: [Int]
  func element(at position: Int) throws -> [Tensor] { try base.element(at: order[position]) }
  func stacked(at positions: [Int]) throws -> [Tensor] { try base.stacked(at: positions.map { order[$0] }) }
}

/// A run of neighbouring elements.
struct RangeStage: Stage {
  let base: any Stage
  let range: Range<Int>

  var count: Int { range.count }
  var order: String { "\(base.order), \(count) from \(range.lowerBound) on" }
  func plan(epoch: Int) -> any Plan { Shifted(base: base.plan(epoch: epoch), offset: range.lowerBound) }

  private struct Shifted: Plan {
    let base: any Plan
    let offset: Int
    func element(at position: Int) throws -> [Tensor] { try base.element(at: position + offset) }
    func stacked(at positions: [Int]) throws -> [Tensor] { try base.stacked(at: positions.map { $0 + offset }) }
  }
}

/// Groups of neighbouring elements, stacked.
struct BatchStage: Stage {
  let base: any Stage
  let size: Int
  let dropsLast: Bool

  // No sum of count and size: any size is allowed.
  var count: Int { dropsLast ? base.count / size : base.count == 0 ? 0 : (base.count - 1) / size + 1 }
  var order: String { "\(base.order), batches of \(size)\(dropsLast ? " without a smaller last one" : "")" }
  func plan(epoch: Int) -> any Plan { Grouped(base: base.plan(epoch: epoch), size: size, limit: base.count) }

  private struct Grouped: Plan {
    let base: any Plan
    let size: Int
    let limit: Int
    func element(at position: Int) throws -> [Tensor] {
      let first = position * size
      return try base.stacked(at: Array(first..<first + min(size, limit - first)))
    }
  }
}
