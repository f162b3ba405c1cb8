import Testing

@testable import ApusCore

#if canImport(Glibc)
  import Glibc
#endif

/// Compiled functions: signatures, state, errors, gradients through the call; on the reference and the embedded engine.
@Suite struct CompiledTests {
  static var engines: [any Engine] { [ReferenceEngine.shared, Engines.embedded] }

  private func onEach(_ body: () throws -> Void) throws {
    for engine in Self.engines { try withEngine(engine, body) }
  }

  @Test func aSymbolicBatchIsTracedOnce() throws {
    try onEach {
      let f = compiled(inputs: [["batch", 3], ["batch"]]) { (x: Tensor, w: Tensor) in
        (x * w.unsqueezed(1)).flattened(from: 0).sum() / x.mean()
      }
      for n in [2, 5, 1, 2] {
        let x = Tensor.arange(3 * n, dtype: .float32).reshape([Dim(n), 3]) + 1
        let w = Tensor.arange(n, dtype: .float32)
        let expected = ((x * w.unsqueezed(1)).sum() / x.mean()).item()
        let found = try f(x, w).item()
        #expect(abs(found - expected) < 1e-4 * Swift.max(1, abs(expected)))
      }
      #expect(f.traceCount == 1)
      #expect(throws: ApusError.self) { try f(Tensor.ones([2, 3]), Tensor.ones([4])) }
      #expect(throws: ApusError.self) { try f(Tensor.ones([2, 4]), Tensor.ones([2])) }
    }
  }

  @Test func readingASizeAsIntSpecialises() throws {
    let f = compiled(inputs: [["n"]]) { (x: Tensor) in x * Double(x.shape[0]) }
    let result1 = try f(Tensor.ones([2]))
    #expect(result1.toArray() == [2, 2])
    let result2 = try f(Tensor.ones([3]))
    #expect(result2.toArray() == [3, 3, 3])
    let result3 = try f(Tensor.ones([2]))
    #expect(result3.toArray() == [2, 2])
    #expect(f.traceCount == 2)
  }

  @Test func dtypesStructuresAndPlainValuesMakeSignatures() throws {
    let f = compiled { (x: [Tensor], scale: Double, flag: Bool) in
      flag ? x.reduce(Tensor(0.0)) { $0 + $1 } * scale : x[0]
    }
    let a = Tensor([1.0, 2])
    let result4 = try f([a, a], 2, true)
    #expect(result4.toArray() == [4, 8])
    let result5 = try f([a, a], 2, false)
    #expect(result5.toArray() == [1, 2])
    let result6 = try f([a], 3, true)
    #expect(result6.toArray() == [3, 6])
    #expect(f.traceCount == 3)
  }

  @Test func stateIsReadAndWrittenEachTime() throws {
    try onEach {
      let counter = Variable(Tensor(0.0))
      let f = compiled { (x: Tensor) in
        counter.value = counter.value + x
        return counter.value * 2
      }
      let before = counter.value
      for i in 1...5 {
        let result7 = try f(Tensor(1.0))
        #expect(result7.item() == Double(2 * i))
      }
      #expect(counter.value.item() == 5)
      // A value read earlier is not overwritten by a donated update.
      #expect(before.item() == 0)
      let held = counter.value
      _ = try f(Tensor(10.0))
      #expect(held.item() == 5)
      #expect(counter.value.item() == 15)
      #expect(f.traceCount == 1)
    }
  }

  @Test func aTraceWritesNothingAndAnErrorLeavesStateAlone() throws {
    try onEach {
      let state = Variable(Tensor([1.0, 2, 3]))
      let f = compiled { (index: Tensor) in
        state.value = state.value + 1
        return state.value.gathered(index)
      }
      #expect(throws: ApusError.self) { try f(Tensor([7])) }
      #expect(state.value.toArray() == [1, 2, 3])
      let result8 = try f(Tensor([2]))
      #expect(result8.toArray() == [4])
      #expect(state.value.toArray() == [2, 3, 4])

      let g = compiled { (x: Tensor) in
        state.value = x
        return x.matmul(x)
      }
      let error = #expect(throws: ApusError.self) { try g(Tensor.ones([2, 3])) }
      #expect(error?.operation == "matmul")
      #expect(state.value.toArray() == [2, 3, 4])
    }
  }

  @Test func modesAreGuarded() throws {
    let mode = Mode(true)
    let f = compiled { (x: Tensor) in mode.value ? x * 2 : x }
    let result9 = try f(Tensor(1.0))
    #expect(result9.item() == 2)
    mode.value = false
    let result10 = try f(Tensor(1.0))
    #expect(result10.item() == 1)
    mode.value = true
    let result11 = try f(Tensor(1.0))
    #expect(result11.item() == 2)
    #expect(f.traceCount == 2)
  }

  @Test func gradientsFlowThroughTheCall() throws {
    try onEach {
      let w = Parameter(Tensor([1.0, 2, 3]))
      let f = compiled { (x: Tensor) in (x * w.tensor).tanh() }
      let x = Tensor([0.1, -0.2, 0.3], requiresGradient: true)
      try f(x).sum().backward()
      let gradients = (x.gradient, w.gradient)
      x.gradient = nil
      w.gradient = nil
      (x * w.tensor).tanh().sum().backward()
      for (found, expected) in [(gradients.0, x.gradient), (gradients.1, w.gradient)] {
        let found = try #require(found).toArray()
        let expected = try #require(expected).toArray()
        #expect(zip(found, expected).allSatisfy { abs($0 - $1) < 1e-6 })
      }
      let second = try gradient(at: Tensor(0.5)) { x in
        try gradient(at: x) { x in
          let cube = compiled { (x: Tensor) in x ** 3 }
          return try cube(x)
        }
      }
      #expect(abs(second.item() - 3) < 1e-5)
    }
  }

  @Test func aStepWithBackwardInsideLeavesNoGradientItCleared() throws {
    try onEach {
      let w = Parameter(Tensor([2.0]))
      let step = compiled { (x: Tensor) in
        let loss = ((w.tensor * x) ** 2).sum()
        loss.backward()
        if let g = w.gradient { w.value = w.value - g * 0.1 }
        w.gradient = nil
        return loss
      }
      let result12 = try step(Tensor([1.0]))
      #expect(result12.item() == 4)
      #expect(abs(w.value.item() - 1.6) < 1e-6)
      #expect(w.gradient == nil)
      // Without clearing, the gradient accumulates over calls as it does eagerly.
      let accumulate = compiled { (x: Tensor) in (w.tensor * x).sum().backward() }
      try accumulate(Tensor([3.0]))
      try accumulate(Tensor([3.0]))
      #expect(w.gradient?.item() == 6)
    }
  }

  @Test func aStepThatBeginsByClearingIsTracedOnce() throws {
    try onEach {
      let w = Parameter(Tensor([2.0]))
      let step = compiled { (x: Tensor) in
        w.gradient = nil
        (w.tensor * x).sum().backward()
      }
      for _ in 0..<3 { try step(Tensor([3.0])) }
      #expect(w.gradient?.item() == 3)
      #expect(step.traceCount == 1)
    }
  }

  @Test func aLeakedSymbolicTensorIsRefused() throws {
    let leaked = Variable(nil)
    final class Box: @unchecked Sendable { var tensor: Tensor? }
    let box = Box()
    let f = compiled { (x: Tensor) in
      box.tensor = x * 2
      return x
    }
    _ = try f(Tensor(1.0))
    let tensor = try #require(box.tensor)
    #expect(throws: ApusError.self) { try checked { tensor + 1 } }
    let g = compiled { (x: Tensor) in x + tensor }
    #expect(throws: ApusError.self) { try g(Tensor(1.0)) }
    let result13 = try f(Tensor(3.0))
    #expect(result13.item() == 3)
    _ = leaked
  }

  /// The two zeros are different constants, though they are equal as numbers.
  @Test func zerosKeepTheirSigns() throws {
    try onEach {
      let f = compiled { (x: Tensor) in (x / 0.0, x / -0.0) }
      let (positive, negative) = try f(Tensor([1.0, 2]))
      #expect(positive.toArray() == [.infinity, .infinity])
      #expect(negative.toArray() == [-.infinity, -.infinity])
    }
  }

  @Test func hostReadsInATraceThrowAndTheNextCallIsFine() throws {
    let f = compiled { (x: Tensor) in x.item() > 0 ? x : -x }
    let error = #expect(throws: ApusError.self) { try f(Tensor(1.0)) }
    #expect(error?.kind == .trace)
    f.cache.runsEagerly = true
    let result14 = try f(Tensor(-1.0))
    #expect(result14.item() == 1)
  }
}

/// State shared by tasks; `./dev soak` runs these under the thread sanitizer.
@Suite struct SharingTests {
  @Test func aTensorAcrossEightTasks() async {
    let shared = Tensor.arange(1000, dtype: .float32).reshape([10, 100])
    let leaf = Tensor(2.0, requiresGradient: true)
    let sums = await withTaskGroup(of: Double.self) { group in
      for i in 0..<8 {
        group.addTask {
          var copy = shared
          copy[i, 0] = Tensor(Float(-1))
          (leaf * Float(i)).backward()
          return (shared.T.sum(0) * 2).sum().item() + copy[i, 0].item()
        }
      }
      return await group.reduce(into: []) { $0.append($1) }
    }
    #expect(sums == Array(repeating: 999_000 - 1, count: 8))
    #expect(leaf.gradient?.item() == 28)
    #expect(shared[3, 0].item() == 300)
  }

  /// Swift's Mutex hands itself over inside the kernel when threads wait for it, which the sanitizer does not see: eight
  /// tasks that swap an object under a Mutex and nothing else are a race to it (Swift 6.3.1, Linux).
  @Test(.disabled(if: isUnderThreadSanitizer, "the thread sanitizer does not know Swift's Mutex"))
  func statefulCompiledCallsTakeTurns() async throws {
    let total = Variable(Tensor(0.0))
    let add = compiled { (x: Tensor) in
      total.value = total.value + x
      return total.value
    }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<8 {
        group.addTask {
          for _ in 0..<50 {
            _ = try add(Tensor(1.0))
            #expect(total.value.item() >= 1)
          }
        }
      }
      try await group.waitForAll()
    }
    #expect(total.value.item() == 400)
  }

  /// Each writes what the other reads, as the two steps of a generative adversarial network do: neither may wait for the
  /// other while it holds its own.
  @Test(.disabled(if: isUnderThreadSanitizer, "the thread sanitizer does not know Swift's Mutex"))
  func crossingStepsDoNotBlockEachOther() async throws {
    let (a, b) = (Variable(Tensor.zeros([1000])), Variable(Tensor.zeros([1000])))
    let first = compiled { (x: Tensor) in a.value = a.value * 0.5 + b.value * 0.25 + x }
    let second = compiled { (x: Tensor) in b.value = b.value * 0.5 + a.value * 0.25 + x }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for step in [first, second, first, second] {
        group.addTask { for _ in 0..<500 { try step(Tensor(1.0)) } }
      }
      try await group.waitForAll()
    }
    // From 2, where nothing of the other arrives, to 4, the fixed point of both: v = v / 2 + v / 4 + 1.
    for variable in [a, b] { #expect((1.9...4.01).contains(variable.value[0].item()), "\(variable.value[0].item())") }
  }

  @Test func pureCompiledCallsFromManyTasks() async throws {
    let square = compiled(inputs: [["n"]]) { (x: Tensor) in (x * x).sum() }
    try await withThrowingTaskGroup(of: Double.self) { group in
      for i in 1...8 { group.addTask { try square(Tensor.full([i * 100], 2.0)).item() } }
      var found: [Double] = []
      for try await value in group { found.append(value) }
      #expect(found.sorted() == (1...8).map { Double($0 * 400) })
    }
  }
}

/// `./dev soak` says so.
private let isUnderThreadSanitizer = getenv("APUS_SANITIZER") != nil
