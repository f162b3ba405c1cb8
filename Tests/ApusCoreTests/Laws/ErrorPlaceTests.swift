import ApusConformance
import Foundation
import Testing

@testable import ApusCore

/// Errors say where they happened, and cost little as long as nobody asks.
@Suite struct ErrorPlaceTests {
  private static let misfits = (Tensor.ones([2]), Tensor.ones([3]))
  private func place(_ line: Int) -> String { "ErrorPlaceTests.swift:\(line)" }

  private func error(_ body: () throws -> Void) -> ApusError? {
    do {
      try body()
      return nil
    } catch {
      return error as? ApusError
    }
  }

  /// The library's own function: no frame of the user's stands between it and what it was given to.
  private static let gone: @Sendable (Tensor) -> Tensor = ApusCore.sqrt

  @Test("a closure whose frame is gone is known by the call that it was given to")
  func tailPosition() {
    // Without a square root.
    let x = Tensor.ones([4, 2]).cast(to: .complex64)
    func check(_ failure: ApusError?, _ line: Int, _ what: String) {
      #expect(failure?.operation == "sqrt", "\(what): \(String(describing: failure))")
      #expect(failure?.location?.hasSuffix(place(line)) == true, "\(what): \(failure?.location ?? "nil")")
    }
    let line = #line + 1
    check(error { _ = try checked { Self.gone(x) } }, line, "checked")
    let made = #line + 1
    let function = compiled(Self.gone)
    check(error { _ = try function(x) }, made, "compiled")
    let mappedLine = #line + 1
    let mapped = vectorized(Self.gone)
    check(error { _ = try mapped(x) }, mappedLine, "vectorized")
    let jvpLine = #line + 1
    check(error { _ = try jvp(at: x, tangent: x, Self.gone) }, jvpLine, "jvp")
  }

  @Test("what the body throws itself is known by the enclosing call")
  func thrown() {
    let line = #line + 1
    let failure = error { try checked { _ = try Storage(TensorType(.float32, [1 << 60])) } }
    #expect(failure?.kind == .memory)
    #expect(failure?.location?.hasSuffix(place(line)) == true, "\(failure?.location ?? "nil")")
  }

  @Test("an asynchronous call's place is told to what it runs")
  func asynchronous() async throws {
    let failure = await CallPlace.telling("Users/main.swift", 7) { () async -> ApusError? in
      await Task.yield()
      return error { try ErrorRecorder.checking(at: nil) { throw ApusError(.argument, "no") } }
    }
    #expect(failure?.location == "Users/main.swift:7")
  }

  @Test("the error is found again by its addresses: the same place at every reading, equal to itself")
  func readTwice() throws {
    let line = #line + 1
    let failure = try #require(error { try checked { _ = Self.misfits.0 + Self.misfits.1 } })
    #expect(failure.location?.hasSuffix(place(line)) == true)
    #expect(failure.location == failure.location)
    #expect(failure.description.contains(place(line)))
    var copy = failure
    #expect(copy == failure && copy.hashValue == failure.hashValue)
    copy.location = "elsewhere:1"
    #expect(copy != failure && copy.description.hasSuffix("[elsewhere:1]"))
    copy.location = nil
    #expect(copy.location == nil)
  }

  @Test("to fail costs no look at the debug information")
  func cheap() throws {
    func failing() -> ApusError? { error { try checked { _ = Self.misfits.0 + Self.misfits.1 } } }
    let failure = try #require(failing())
    // The clock of the thread, not of a busy machine: a thousand failures against one reading of the place.
    let read = cpuSeconds { _ = failure.location }
    let fails = cpuSeconds { for _ in 0..<1000 { _ = failing() } } / 1000
    #expect(fails < read / 20 || fails < 50e-6, "\(fails) s to fail, \(read) s to read the place")
  }

  private func cpuSeconds(_ body: () -> Void) -> Double {
    func now() -> Double {
      var time = timespec()
      clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
      return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }
    let start = now()
    body()
    return now() - start
  }

  // MARK: What fails when a graph runs

  /// Every primitive whose values can make it fail, with operands that do.
  private static func failing(_ kind: PrimitiveKind) throws -> (Primitive, [Tensor])? {
    guard kind != .custom, let sample = kind.samples.first(where: { $0.primitive.canFail && $0.operands.count == 2 })
    else { return nil }
    var operands = try sample.tensors(seed: 1, reals: .float32)
    operands[1] = Tensor.full(operands[1].shape, 99, dtype: operands[1].dtype)
    return (sample.primitive, operands)
  }

  @Test("they are those that read indices, and users' own")
  func kinds() {
    let failing = PrimitiveKind.allCases.filter { $0.samples.contains { $0.primitive.canFail } }
    #expect(failing == [.gather, .scatterAdd, .gatherAlong, .scatterAddAlong, .custom])
  }

  @Test("a result that nobody uses is checked all the same", arguments: PrimitiveKind.allCases, [true, false])
  func unused(_ kind: PrimitiveKind, isEmbedded: Bool) throws {
    guard let (primitive, operands) = try Self.failing(kind) else { return }
    let engine: any Engine = isEmbedded ? Engines.embedded : ReferenceEngine.shared
    let line = #line + 2
    let function = compiled { (x: Tensor, indices: Tensor) in
      _ = try apply(primitive, [x, indices])
      return x + 1
    }
    let failure = error { _ = try withEngine(engine) { try function(operands[0], operands[1]) } }
    #expect(failure?.operation == primitive.name && failure?.operands == operands.map(\.type.description))
    #expect(failure?.message.contains("99") == true)
    #expect(failure?.location?.hasSuffix(place(line)) == true, "\(failure?.location ?? "nil")")
    // The same where no element of the result is computed.
    guard kind == .gather else { return }
    let wide = Tensor.ones([3, 0])
    #expect(throws: ApusError.self) { try checked { withEngine(engine) { wide.gathered(Tensor([7])) } } }
    #expect(throws: ApusError.self) {
      try withEngine(engine) { try compiled { (x: Tensor) in x.gathered(Tensor([7])) }(wide) }
    }
  }

  @Test("so is a user's primitive")
  func unusedCustom() {
    let refusing = CustomPrimitive(
      "refusing", infer: { $0 }, evaluate: { _ in throw ApusError(.argument, "never") },
      derivative: .notDifferentiable(because: "it fails"))
    let function = compiled { (x: Tensor) in
      _ = refusing(x)
      return x + 1
    }
    #expect(error { _ = try function(Tensor.ones([2])) }?.message == "never")
  }

  @Test("a size that makes an unused operation impossible is an error of that operation")
  func unusedSizes() {
    let function = compiled(inputs: [["n", "m"]]) { (x: Tensor) in
      withScope("head") { _ = x.max(axes: [1]) }
      return x + 1
    }
    #expect(throws: Never.self) { try function(Tensor.ones([2, 3])) }
    let failure = error { _ = try function(Tensor.ones([2, 0])) }
    #expect(failure?.operation == "max" && failure?.module == "head", "\(String(describing: failure))")
    let sliced = compiled(inputs: [["n"]]) { (x: Tensor) in x[[.at(5)]] }
    #expect(error { _ = try sliced(Tensor.ones([3])) }?.operation == "slice")
  }
}
