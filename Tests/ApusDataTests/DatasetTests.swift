import ApusCore
import Synchronization
import TestSupport
import Testing

@testable import ApusData

/// `count` examples: int64 number i and float32[2] (i, -i).
private func numbers(_ count: Int) throws -> Dataset {
  try Dataset(
    tensor((0..<count).map(Int64.init), count),
    tensor((0..<count).flatMap { [Float($0), -Float($0)] }, count, 2))
}

private func numbers(in batch: Batch) -> [Int] { values(batch[0], as: Int64.self).map(Int.init) }

/// The numbers of an epoch's elements, read without tasks.
private func read(_ epoch: Epoch) throws -> [[Int]] {
  var iterator = epoch.makeIterator()
  var result: [[Int]] = []
  while let batch = try iterator.next() { result.append(numbers(in: batch)) }
  return result
}

private func readAhead(_ epoch: Epoch) async throws -> [[Int]] {
  var result: [[Int]] = []
  for try await batch in epoch { result.append(numbers(in: batch)) }
  return result
}

@Suite struct DatasetTests {
  @Test func examplesAndBatches() throws {
    let data = try numbers(5)
    #expect(data.count == 5)
    let example = try data.element(at: 3)
    #expect(example[0].type == TensorType(.int64, []) && example[1].type == TensorType(.float32, [2]))
    #expect(values(example[1]) == [3, -3] as [Float])
    let batched = try data.batched(2)
    #expect(batched.count == 3)
    #expect(try read(batched.epoch(0)) == [[0, 1], [2, 3], [4]])
    #expect(try values(batched.element(at: 1)[1]) == [2, -2, 3, -3] as [Float])
    #expect(try read(data.batched(2, dropLast: true).epoch(0)) == [[0, 1], [2, 3]])
    #expect(try read(data.batched(100).epoch(0)) == [[0, 1, 2, 3, 4]])
    #expect(try data.batched(100, dropLast: true).count == 0)
    // Batches of batches gain a dimension.
    #expect(try data.batched(2, dropLast: true).batched(2).element(at: 0)[1].shape == [2, 2, 2])
  }

  /// Rows of every width, from tensors with gaps too, come out as one by one they are.
  @Test func gathersAnyLayout() throws {
    let columns = try tensor((0..<60).map { Float($0) }, 5, 12).permuted([1, 0])
    let bytes = try tensor((0..<12).map { UInt8($0) }, 12)
    let flags = try tensor((0..<36).map { $0 % 3 == 0 }, 12, 3)
    let data = try Dataset(columns, bytes, flags).shuffled(seed: 2)
    let batch = try data.batched(12).element(at: 0)
    let order = try Permutation.make(count: 12, seed: 2, epoch: 0)
    #expect(values(batch[1], as: UInt8.self) == order.map { UInt8($0) })
    #expect(values(batch[0], as: Float.self) == order.flatMap { row in (0..<5).map { Float($0 * 12 + row) } })
    #expect(values(batch[2], as: Bool.self) == order.flatMap { _ in [true, false, false] })
    for (place, row) in order.enumerated() {
      #expect(try values(data.element(at: place)[0], as: Float.self) == (0..<5).map { Float($0 * 12 + row) })
    }
    // Rows without elements.
    let hollow = try Dataset(Tensor.zeros([4, 0, 2])).shuffled(seed: 1).batched(3)
    #expect(try hollow.element(at: 0).inputs.shape == [3, 0, 2])
  }

  @Test func emptyData() async throws {
    let empty = try numbers(0)
    for data in [empty, empty.shuffled(seed: 1), try empty.batched(3), empty.take(2), empty.skip(2)] {
      #expect(data.count == 0)
      #expect(try read(data.epoch(0)).isEmpty)
      #expect(try await readAhead(data.prefetched(2).epoch(0)).isEmpty)
    }
    let (a, b) = try empty.split(0.5)
    #expect(a.count == 0 && b.count == 0)
  }

  /// Any size of a batch is allowed: no sum of counts and sizes overflows.
  @Test(arguments: [false, true]) func hugeBatches(dropsLast: Bool) async throws {
    let data = try numbers(5).batched(.max, dropLast: dropsLast)
    #expect(data.count == (dropsLast ? 0 : 1))
    #expect(try read(data.epoch(0)) == (dropsLast ? [] : [[0, 1, 2, 3, 4]]))
    #expect(try numbers(0).batched(.max, dropLast: dropsLast).count == 0)
    #expect(try numbers(4).batched(2).batched(.max).element(at: 0)[1].shape == [2, 2, 2])
  }

  /// Examples without bytes may be more than memory can number: what needs their numbers is an error, what does not works.
  @Test(arguments: [Int.max, 1 << 61, 1 << 40], [false, true])
  func moreExamplesThanMemoryNumbers(count: Int, ahead: Bool) async throws {
    func expectNoMemory(_ data: Dataset, _ location: SourceLocation = #_sourceLocation) async throws {
      let data = try data.prefetched(ahead ? 2 : 0)
      func check(_ error: ApusError?) {
        #expect(error?.kind == .memory, "\(error?.message ?? "")", sourceLocation: location)
      }
      check(#expect(throws: ApusError.self, sourceLocation: location) { try data.element(at: 0) })
      var iterator = data.epoch(1).makeIterator()
      check(#expect(throws: ApusError.self, sourceLocation: location) { try iterator.next() })
      #expect(iterator.state.position == 0, sourceLocation: location)
      var waiting = data.epoch(1).makeAsyncIterator()
      check(await #expect(throws: ApusError.self, sourceLocation: location) { try await waiting.next() })
      #expect(try await waiting.next() == nil, sourceLocation: location)
    }
    let sources = [
      try Dataset(Tensor.zeros([count, 0])), try Dataset(Tensor.zeros([count, 0, 3], dtype: .uint8)),
      try Dataset(count: count) { Batch(Tensor(Int64($0))) },
    ]
    for (index, data) in sources.enumerated() {
      try await expectNoMemory(data.shuffled(seed: 3))
      try await expectNoMemory(data.map { $0 }.shuffled(seed: 3).batched(7))
      try await expectNoMemory(data.skip(5).shuffled())
      #expect(throws: ApusError.self) { try data.split(0.5, seed: 1) }
      // Neighbours are a view, however many; others would have to be listed.
      if index < 2 {
        #expect(try data.batched(count).element(at: 0).inputs.shape[0] == count)
        #expect(try data.skip(2).batched(.max).element(at: 0).inputs.shape[0] == count - 2)
        #expect(try data.mapVectorized { $0 }.batched(count / 2).element(at: 1).inputs.shape[0] == count / 2)
      } else {
        try await expectNoMemory(data.batched(count))
      }
      try await expectNoMemory(data.map { $0 }.batched(.max))
      for fraction in [0, 0.3, 0.9999999999999999, 1] {
        let (first, second) = try data.split(fraction)
        #expect(first.count + second.count == count)
      }
      #expect(try await data.prefetched(ahead ? 3 : 0).take(4).batched(2).epoch(0).reduce(0) { sum, _ in sum + 1 } == 2)
    }
  }

  @Test func badArguments() throws {
    let data = try numbers(4)
    #expect(refusal { try Dataset(tensors: []) }.contains("at least one tensor"))
    #expect(refusal { try Dataset(tensor([1, 2] as [Int64], 2), tensor([1] as [Int64], 1)) }.contains("must agree"))
    #expect(refusal { try Dataset(tensor([1] as [Int64])) }.contains("first dimensions"))
    #expect(refusal { try data.batched(0) }.contains("batches of 0"))
    #expect(refusal { try data.prefetched(-1) }.contains("prefetching -1"))
    #expect(refusal { try data.split(1.5) }.contains("fraction"))
    #expect(refusal { try data.shuffled(seed: 1).split(0.5) }.contains("split before shuffled"))
    #expect(refusal { try data.element(at: 4) }.contains("element 4 of a dataset of 4"))
    #expect(refusal { try Dataset(count: -1) { _ in Batch() } }.contains("-1"))
  }

  /// The order is a promise: a training resumed by a later version must see the same data.
  @Test func orderIsFrozen() throws {
    #expect(try Permutation.make(count: 12, seed: 0, epoch: 0) == [3, 6, 11, 4, 0, 7, 9, 5, 8, 2, 10, 1])
    #expect(try Permutation.make(count: 12, seed: 0, epoch: 1) == [10, 0, 6, 3, 7, 9, 5, 2, 4, 8, 11, 1])
    #expect(try Permutation.make(count: 12, seed: 7, epoch: 3) == [8, 1, 4, 0, 6, 9, 5, 2, 10, 11, 7, 3])
    // SplitMix64's published first numbers for this seed.
    var mixer = SplitMix64(state: 1_234_567)
    #expect([mixer.next(), mixer.next()] == [6_457_827_717_110_365_317, 3_203_168_211_198_807_973])
  }

  @Test func shufflesAreUniform() throws {
    // Every element comes to every place about equally often: 5 places, 20,000 epochs, 4,000 expected ± 5 deviations.
    var seen = [[Int]](repeating: [0, 0, 0, 0, 0], count: 5)
    for epoch in 0..<20_000 {
      for (place, element) in try Permutation.make(count: 5, seed: 3, epoch: epoch).enumerated() {
        seen[place][element] += 1
      }
    }
    #expect(seen.joined().allSatisfy { abs($0 - 4000) < 5 * 57 }, "\(seen)")
  }

  @Test func shuffling() throws {
    let data = try numbers(100).shuffled(seed: 5)
    let epochs = try (0..<4).map { try read(data.epoch($0)).flatMap { $0 } }
    #expect(Set(epochs).count == 4)
    for epoch in epochs { #expect(epoch.sorted() == Array(0..<100)) }
    #expect(try read(numbers(100).shuffled(seed: 5).epoch(2)).flatMap { $0 } == epochs[2])
    #expect(try read(numbers(100).shuffled(seed: 6).epoch(2)).flatMap { $0 } != epochs[2])
  }

  @Test func takeSkipSplitSelect() throws {
    let data = try numbers(10)
    #expect(try read(data.take(3).epoch(0)).flatMap { $0 } == [0, 1, 2])
    #expect(try read(data.skip(8).epoch(0)).flatMap { $0 } == [8, 9])
    #expect(data.take(99).count == 10 && data.skip(99).count == 0 && data.take(-1).count == 0)
    #expect(try read(data.select { $0 % 5 == 4 }.epoch(0)).flatMap { $0 } == [4, 9])
    for seed in [nil, 11] as [UInt64?] {
      let (a, b) = try data.split(0.7, seed: seed)
      let parts = try (read(a.epoch(0)).flatMap { $0 }, read(b.epoch(3)).flatMap { $0 })
      #expect(parts.0.count == 7)
      #expect((parts.0 + parts.1).sorted() == Array(0..<10))
      #expect((parts.0 == Array(0..<7)) == (seed == nil))
    }
  }

  @Test func mapping() throws {
    let doubled = try numbers(6).map { batch in
      Batch(batch[0] * 2)
    }
    #expect(try read(doubled.batched(4).epoch(0)) == [[0, 2, 4, 6], [8, 10]])
    let calls = Mutex(0)
    let vectorized = try numbers(6).mapVectorized { batch in
      calls.withLock { $0 += 1 }
      return Batch(batch[0] * 2)
    }
    #expect(
      try read(vectorized.shuffled(seed: 3).batched(4).epoch(1)) == read(doubled.shuffled(seed: 3).batched(4).epoch(1)))
    #expect(calls.withLock { $0 } == 2)
    #expect(try values(vectorized.element(at: 5)[0]) == [10] as [Int64])
    let uneven = try Dataset(count: 3) { Batch(Tensor.ones([$0 + 1])) }
    #expect(try uneven.element(at: 2).inputs.shape == [3])
    #expect(refusal { try uneven.batched(2).element(at: 0) }.contains("must be alike"))
  }

  /// Random pipelines: whatever is put together, prefetching changes nothing, every place can be resumed from, and no
  /// element appears twice.
  @Test func anyPipelineResumesExactly() async throws {
    var dice = SeededRandom(seed: 99)
    for _ in 0..<60 {
      let count = Int.random(in: 0...40, using: &dice)
      var data = try numbers(count)
      for _ in 0..<Int.random(in: 0...4, using: &dice) {
        switch Int.random(in: 0..<5, using: &dice) {
        case 0: data = data.shuffled(seed: dice.next())
        case 1: data = data.take(Int.random(in: 0...40, using: &dice))
        case 2: data = data.skip(Int.random(in: 0...5, using: &dice))
        case 3: data = data.map { $0 }
        default: data = data.select { $0 % 3 != 1 }
        }
      }
      if Bool.random(using: &dice) {
        data = try data.batched(Int.random(in: 1...7, using: &dice), dropLast: Bool.random(using: &dice))
        if Bool.random(using: &dice) { data = data.shuffled(seed: dice.next()) }
      }
      let epoch = Int.random(in: 0...5, using: &dice)
      let whole = try read(data.epoch(epoch))
      #expect(whole.count == data.count)
      let all = whole.flatMap { $0 }
      #expect(Set(all).count == all.count && all.allSatisfy { (0..<count).contains($0) })
      let ahead = try data.prefetched(Int.random(in: 1...5, using: &dice))
      #expect(try await readAhead(ahead.epoch(epoch)) == whole)

      var iterator = data.epoch(epoch).makeIterator()
      for place in 0...whole.count {
        #expect(iterator.state.position == place)
        #expect(try await readAhead(ahead.epoch(from: iterator.state)) == Array(whole[place...]))
        #expect(try read(data.epoch(from: iterator.state)) == Array(whole[place...]))
        _ = try iterator.next()
      }
    }
  }

  @Test func statesOfOtherDataAreRefused() throws {
    let data = try numbers(10).shuffled(seed: 1)
    let state = DatasetState(seeds: [1], epoch: 2, position: 4)
    #expect(try data.epoch(from: state).count == 6)
    // Data of another size or batch size has other elements at that place.
    let pipeline = data.epoch(0).start.pipeline
    #expect(pipeline == "10 examples, shuffled with seed 1")
    let full = DatasetState(seeds: [1], epoch: 2, position: 4, pipeline: pipeline)
    #expect(try data.epoch(from: full).count == 6)
    for other in [try numbers(11).shuffled(seed: 1), try data.batched(2), data.take(9), data.select { $0 > 1 }] {
      #expect(
        refusal { try other.epoch(from: full) }.contains("a dataset of 10 examples, shuffled with seed 1, this one"))
    }
    // As many, but others.
    let (part, other) = try (numbers(10).split(0.8, seed: 1).0, numbers(10).split(0.8, seed: 2).0)
    #expect(try part.epoch(from: numbers(10).split(0.8, seed: 1).0.epoch(0).start).count == 8)
    #expect(refusal { try other.epoch(from: part.epoch(0).start) }.contains("10 examples, 8 chosen ("))
    // The same in every process.
    #expect(try numbers(10).select { $0 > 7 }.epoch(0).start.pipeline == "10 examples, 2 chosen (9a57db2521f878a3)")
    #expect(refusal { try data.epoch(from: DatasetState(seeds: [2], epoch: 2, position: 4)) }.contains("seeds [2]"))
    #expect(refusal { try data.epoch(from: DatasetState(seeds: [1], epoch: 2, position: 11)) }.contains("element 11"))
    #expect(refusal { try data.epoch(from: DatasetState(seeds: [1], epoch: -1, position: 0)) }.contains("epoch -1"))
  }
}

private struct Failure: Error, Equatable { let position: Int }

/// What a function of a pipeline may do wrong.
private enum Misdeed: CaseIterable {
  case shapes, outOfRange, noTensor, nothing, throwing

  func commit(_ batch: Batch) throws -> Batch {
    switch self {
    case .shapes: Batch(batch[0].matmul(Tensor.ones([5, 7])))
    case .outOfRange: Batch(batch[0][12])
    case .noTensor: Batch(batch[3])
    case .nothing: Batch(Batch([]).inputs)
    case .throwing: throw Failure(position: 1)
    }
  }
}

@Suite struct PrefetchTests {
  /// An operation that fails in a user's function is an error in the element's place, on whatever thread the function runs.
  @Test(arguments: Misdeed.allCases, [0, 2])
  fileprivate
    func failingOperationsAreErrors(misdeed: Misdeed, ahead: Int) async throws
  {
    let make: @Sendable (Batch) throws -> Batch = { batch in
      batch.inputs.elementCount > 1 || batch.inputs[0].item(as: Int.self) == 2 ? try misdeed.commit(batch) : batch
    }
    let data = try Dataset(tensor((0..<4).map(Int64.init), 4, 1))
    let pipelines = [
      data.map(make), data.mapVectorized(make),
      try Dataset(count: 4) { try make(Batch(tensor([Int64($0)], 1))) },
    ]
    for pipeline in pipelines {
      let failing = try #require(
        (0..<4).first { place in (try? pipeline.element(at: place)) == nil }, "nothing was thrown")
      var iterator = try pipeline.prefetched(ahead).epoch(0).makeAsyncIterator()
      for _ in 0..<failing { _ = try await iterator.next() }
      let error = await #expect(throws: (any Error).self) { try await iterator.next() }
      #expect(misdeed == .throwing ? error is Failure : error is ApusError, "\(String(describing: error))")
      #expect(iterator.state.position == failing)
      // Whole batches too. (Naming the user's line in an error takes its time.)
      guard ahead > 0 else { continue }
      var batches = try pipeline.batched(4).prefetched(ahead).epoch(0).makeAsyncIterator()
      await #expect(throws: (any Error).self) { try await batches.next() }
    }
  }

  @Test func errorsComeInTheirPlace() async throws {
    let data = try Dataset(count: 10) { position in
      if position >= 6 { throw Failure(position: position) }
      return Batch(try tensor([Int64(position)], 1))
    }
    for ahead in 0...4 {
      var iterator = try data.prefetched(ahead).epoch(0).makeAsyncIterator()
      for position in 0..<6 { #expect(try await iterator.next().map(numbers(in:)) == [position]) }
      await #expect(throws: Failure(position: 6)) { try await iterator.next() }
      #expect(iterator.state.position == 6)
      #expect(try await iterator.next() == nil)
    }
    var iterator = data.epoch(0).makeIterator()
    for _ in 0..<6 { _ = try iterator.next() }
    #expect(throws: Failure(position: 6)) { try iterator.next() }
  }

  @Test func neverMoreAheadThanAsked() async throws {
    let made = Mutex(0)
    let data = try Dataset(count: 50) { position in
      made.withLock { $0 += 1 }
      return Batch(try tensor([Int64(position)], 1))
    }.prefetched(3)
    var taken = 0
    for try await _ in data.epoch(0) {
      taken += 1
      if taken % 10 == 0 { try await Task.sleep(for: .milliseconds(20)) }
      #expect(made.withLock { $0 } <= taken + 3)
    }
    #expect(taken == 50 && made.withLock { $0 } == 50)
  }

  @Test func elementsAreMadeWhileTheConsumerWorks() async throws {
    let (made, making) = AsyncStream.makeStream(of: Int.self)
    let data = try Dataset(count: 4) { position in
      making.yield(position)
      return Batch(try tensor([Int64(position)], 1))
    }.prefetched(2)
    var iterator = data.epoch(0).makeAsyncIterator()
    _ = try await iterator.next()
    // The third is made while nobody asks.
    for await position in made where position == 2 { break }
    #expect(try await iterator.next().map(numbers(in:)) == [1])
  }

  @Test func cancellationStopsEverything() async throws {
    let made = Mutex(0)
    let data = try Dataset(count: 100_000) { position in
      made.withLock { $0 += 1 }
      return Batch(try tensor([Int64(position)], 1))
    }.prefetched(4)
    let consumer = Task {
      var taken = 0
      for try await _ in data.epoch(0) {
        taken += 1
        if taken == 20 { withUnsafeCurrentTask { $0?.cancel() } }
      }
    }
    await #expect(throws: CancellationError.self) { try await consumer.value }
    #expect(made.withLock { $0 } <= 25)
  }

  @Test func droppingTheIteratorStopsTheTasks() async throws {
    let made = Mutex(0)
    let data = try Dataset(count: 1000) { position in
      made.withLock { $0 += 1 }
      return Batch(try tensor([Int64(position)], 1))
    }.prefetched(4)
    for try await _ in data.epoch(0) { break }
    try await Task.sleep(for: .milliseconds(50))
    #expect(made.withLock { $0 } <= 5)
  }
}
