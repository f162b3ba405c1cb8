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
  /// - Throws: `ApusError` (memory) for an order of more elements than memory holds.
  func plan(epoch: Int) throws -> any Plan
}

/// The elements of one epoch of a stage.
protocol Plan: Sendable {
  func element(at position: Int) throws -> [Tensor]
  /// The elements at those positions, stacked along a new first dimension.
  func stacked(at positions: Positions) throws -> [Tensor]
}

/// The places of a batch's elements. Neighbours are not listed: there may be more of them than memory holds, where they
/// have no bytes.
enum Positions {
  case run(Range<Int>)
  case chosen([Int])

  /// - Parameters:
  ///   - bytesEach: what a result takes at least.
  ///   - transform: gives it.
  /// - Throws: what `transform` throws, `ApusError` (memory) when so many results can't be had.
  func map<R>(bytesEach: Int, _ transform: (Int) throws -> R) throws -> [R] {
    switch self {
    case .run(let range):
      try HostMemory.require(range.count, ofBytes: bytesEach, for: "a batch of \(range.count) elements")
      return try range.map(transform)
    case .chosen(let list): return try list.map(transform)
    }
  }
}

extension Plan {
  func stacked(at positions: Positions) throws -> [Tensor] {
    // An array and a tensor, even of nothing.
    try Rows.stack(positions.map(bytesEach: 256) { try element(at: $0) })
  }
}

/// Calls a function of the user's on data. Its operations fail as errors: it may run on a task of ours, where nobody
/// could have said `checked`. Data are values whatever surrounds the call.
private func called(_ body: () throws -> Batch) throws -> [Tensor] {
  try outsideTrace { try checked { try body().tensors } }
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
  func stacked(at positions: Positions) throws -> [Tensor] { try Rows.gather(tensors, at: positions) }
}

/// Elements that a function makes from their number.
struct ComputedStage: Stage, Plan {
  let count: Int
  let load: @Sendable (Int) throws -> Batch

  var order: String { "\(count) examples" }
  func plan(epoch: Int) -> any Plan { self }
  func element(at position: Int) throws -> [Tensor] { try called { try load(position) } }
}

/// A function over every element.
struct MapStage: Stage {
  let base: any Stage
  let transform: @Sendable (Batch) throws -> Batch

  var count: Int { base.count }
  var order: String { base.order }
  func plan(epoch: Int) throws -> any Plan { Mapped(base: try base.plan(epoch: epoch), transform: transform) }

  private struct Mapped: Plan {
    let base: any Plan
    let transform: @Sendable (Batch) throws -> Batch
    func element(at position: Int) throws -> [Tensor] {
      let tensors = try base.element(at: position)
      return try called { try transform(Batch(tensors)) }
    }
  }
}

/// A function over every element that does the same to a stack of elements as to each of them.
struct VectorizedMapStage: Stage {
  let base: any Stage
  let transform: @Sendable (Batch) throws -> Batch

  var count: Int { base.count }
  var order: String { base.order }
  func plan(epoch: Int) throws -> any Plan { Mapped(base: try base.plan(epoch: epoch), transform: transform) }

  private struct Mapped: Plan {
    let base: any Plan
    let transform: @Sendable (Batch) throws -> Batch
    func element(at position: Int) throws -> [Tensor] { try apply(base.element(at: position)) }
    func stacked(at positions: Positions) throws -> [Tensor] { try apply(base.stacked(at: positions)) }
    private func apply(_ tensors: [Tensor]) throws -> [Tensor] { try called { try transform(Batch(tensors)) } }
  }
}

/// A new order in every epoch.
struct ShuffleStage: Stage {
  let base: any Stage
  let seed: UInt64

  var count: Int { base.count }
  var order: String { "\(base.order), shuffled with seed \(seed)" }
  func plan(epoch: Int) throws -> any Plan {
    Reordered(
      base: try base.plan(epoch: epoch), order: try Permutation.make(count: base.count, seed: seed, epoch: epoch))
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
  func plan(epoch: Int) throws -> any Plan { Reordered(base: try base.plan(epoch: epoch), order: positions) }
}

private struct Reordered: Plan {
  let base: any Plan
  let order: [Int]
  func element(at position: Int) throws -> [Tensor] { try base.element(at: order[position]) }
  func stacked(at positions: Positions) throws -> [Tensor] {
    try base.stacked(at: .chosen(positions.map(bytesEach: MemoryLayout<Int>.stride) { order[$0] }))
  }
}

/// A run of neighbouring elements.
struct RangeStage: Stage {
  let base: any Stage
  let range: Range<Int>

  var count: Int { range.count }
  var order: String { "\(base.order), \(count) from \(range.lowerBound) on" }
  func plan(epoch: Int) throws -> any Plan { Shifted(base: try base.plan(epoch: epoch), offset: range.lowerBound) }

  private struct Shifted: Plan {
    let base: any Plan
    let offset: Int
    func element(at position: Int) throws -> [Tensor] { try base.element(at: position + offset) }
    func stacked(at positions: Positions) throws -> [Tensor] {
      switch positions {
      case .run(let range): try base.stacked(at: .run(range.lowerBound + offset..<range.upperBound + offset))
      case .chosen(let list): try base.stacked(at: .chosen(list.map { $0 + offset }))
      }
    }
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
  func plan(epoch: Int) throws -> any Plan { Grouped(base: try base.plan(epoch: epoch), size: size, limit: base.count) }

  private struct Grouped: Plan {
    let base: any Plan
    let size: Int
    let limit: Int
    func element(at position: Int) throws -> [Tensor] {
      let first = position * size
      return try base.stacked(at: .run(first..<first + min(size, limit - first)))
    }
  }
}
