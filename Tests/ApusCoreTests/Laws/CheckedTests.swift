import Foundation
import Testing

@testable import ApusCore

/// Law 7: errors are recoverable.
@Suite struct CheckedTests {
  private func error(_ body: () throws -> Void) -> ApusError? {
    do {
      try checked { try body() }
      return nil
    } catch {
      return error as? ApusError
    }
  }

  @Test("the first error is thrown, with operation, operands, place; the next call is fine")
  func first() throws {
    let line = #line + 2
    let found = error {
      let bad = Tensor.ones([2, 3]).matmul(Tensor.ones([2, 3]))
      _ = bad + Tensor.ones([7]).reshape([2, 2])  // A second error, of no interest.
    }
    let failure = try #require(found)
    #expect(failure.operation == "matmul")
    #expect(failure.operands == ["float32[2, 3]", "float32[2, 3]"])
    #expect(failure.kind == .shape)
    #expect(failure.location == "Laws/CheckedTests.swift:\(line)")
    // The same in a trace, whose caller's place is another.
    let tracedLine = #line + 1
    let function = compiled { (x: Tensor) in x.matmul(x) }
    let traced = #expect(throws: ApusError.self) { try function(Tensor.ones([2, 3])) }
    #expect(traced?.location == "Laws/CheckedTests.swift:\(tracedLine)")
    #expect(try checked { Tensor.ones([2, 3]).matmul(Tensor.ones([3, 2])) }.toArray() == [3, 3, 3, 3])
  }

  @Test("what depends on a failed operation is poisoned; reading it gives NaN, 0, false and no crash")
  func poisoned() {
    var seen: (Double, Int, Bool, [Float])?
    let failure = error {
      let bad = Tensor.ones([2]) + Tensor.ones([3])
      let worse = (bad * 2).exp().sum()
      seen = (worse.item(), worse.item(as: Int.self), worse.item(as: Bool.self), bad.toArray())
      if worse.item() > 3 { _ = Tensor.ones([1]) }
    }
    #expect(failure?.operation == "add")
    #expect(seen?.0.isNaN == true && seen?.1 == 0 && seen?.2 == false)
    #expect(seen?.3.count == 2 && seen?.3.allSatisfy(\.isNaN) == true)
  }

  @Test("a poisoned tensor that escapes is refused, not read")
  func escaped() throws {
    var kept: Tensor?
    #expect(throws: ApusError.self) { try checked { kept = Tensor.ones([2]) + Tensor.ones([3]) } }
    let escaped = try #require(kept)
    #expect(throws: ApusError.self) { try checked { escaped * 2 } }
  }

  @Test("blocks nest: an inner one throws its own error only")
  func nested() throws {
    let value = try checked { () -> Tensor in
      #expect(throws: ApusError.self) { try checked { Tensor.ones([2]) + Tensor.ones([3]) } }
      return Tensor.ones([2]) * 2
    }
    #expect(value.toArray() == [2, 2])
  }

  @Test("a loop that would not end reaches the limit, is poisoned, and ends")
  func runaway() {
    #expect(throws: ApusError.self) {
      try checked(operationLimit: 1000) {
        var x = Tensor(1.0)
        while x.item() > 0 { x = x + 1 }
      }
    }
  }

  @Test("a loop that nothing else can end ends the process, with the first error")
  func endless() async {
    let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      _ = try checked(operationLimit: 1000) {
        let bad = Tensor.ones([2]) + Tensor.ones([3])
        var x = bad.sum()
        while !(x.item() < 0) { x = x * 0.5 }
      }
    }
    let text = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
    #expect(text.contains("add(float32[2], float32[3])"), "\(text)")
  }

  @Test("the body's own error goes through, unless an operation failed before it")
  func foreign() {
    struct Mine: Error {}
    #expect(throws: Mine.self) { try checked { throw Mine() } }
    #expect(throws: ApusError.self) {
      try checked {
        _ = Tensor.ones([2]) + Tensor.ones([3])
        throw Mine()
      }
    }
  }

  @Test("backward, subscripts, casts of arguments: each reports instead of ending the process")
  func everywhere() {
    #expect(error { Tensor.ones([2]).backward() }?.kind == .gradient)
    #expect(error { (Tensor.ones([2], dtype: .float32).requiringGradient() * 2).backward() }?.kind == .gradient)
    #expect(error { _ = Tensor.ones([2])[5] }?.kind == .argument)
    #expect(error { _ = Tensor.ones([2])[0, 0] }?.kind == .argument)
    let deep = Tensor.ones([1, 1, 1, 1, 1, 1, 1, 1])
    #expect(error { _ = deep[[.newAxis]] }?.kind == .argument)
    #expect(error { _ = deep.dimension(9) }?.kind == .argument)
    #expect(error { _ = Tensor.arange(0, Int.max, step: 0) }?.kind == .argument)
    #expect(error { _ = Tensor.arange(Int.max) }?.kind == .memory)
    #expect(error { _ = Tensor.arange(Int.min, Int.max) }?.kind == .memory)
    #expect(error { _ = Tensor.arange(0, 1e300) }?.kind == .memory)
    #expect(error { _ = try jvp(at: Tensor(1.0), tangent: Tensor(1.0)) { $0.gathered(Tensor([9])) } } != nil)
    #expect(error { _ = try vectorized { (x: Tensor) in x.gathered(Tensor([9])) }(Tensor.ones([2, 3])) } != nil)
    #expect(error { _ = Tensor([1, 2]).requiringGradient() }?.kind == .gradient)
    #expect(error { _ = Tensor.ones([3]).item() }?.kind == .shape)
    #expect(error { _ = Tensor([1.0, 2], shape: [3]) }?.kind == .shape)
    #expect(error { _ = Tensor.ones([4]).gathered(Tensor([0, 9])).sum().item() }?.message.contains("9") == true)
  }

  @Test("shapes that can't be are errors, and what was made of them fails too")
  func impossibleShapes() {
    #expect(error { _ = Tensor.zeros([-1]).sum().item() }?.message == "a dimension can't be negative, and -1 is")
    #expect(error { _ = Tensor.normal([2, -3]) }?.kind == .shape)
    #expect(error { _ = Shape(Array(repeating: 1, count: 9)) }?.kind == .shape)
    #expect(error { _ = Tensor.ones([2]).shape[1] }?.kind == .argument)
    #expect(error { _ = Tensor.ones([2]).shape[-1] }?.kind == .argument)
    #expect(error { _ = Dim(2) - Dim(3) }?.kind == .shape)
    #expect(error { _ = AxisSet([1, 9]) }?.message == "axis 9 is not in 0..<8")
    #expect(error { _ = Permutation([0, 0]) }?.message == "[0, 0] is not a permutation of 0..<2")
    #expect(error { _ = Tensor.eye(-1) }?.kind == .shape)
    #expect(error { _ = Tensor.linspace(0, 1, count: -1) }?.kind == .shape)
    let huge = Tensor.zeros([0, 1 << 62])
    #expect(error { _ = concatenate([huge, huge], axis: 1) }?.message.contains("the joined axis 1") == true)
    let n: Dim = "n"
    #expect(error { _ = n - n - 1 }?.kind == .shape)
    #expect(n - n == 0)
    #expect(error { _ = Shape(dims: [n])[0] }?.kind == .trace)
    #expect(throws: ApusError.self) { try compiled { (x: Tensor) in x.reshape([x.shape[3], -1]) }(Tensor.ones([2])) }
    #expect(throws: DecodingError.self) { try JSONDecoder().decode(Shape.self, from: Data("[-1]".utf8)) }
  }

  @Test(
    "sizes that memory can't hold are errors",
    arguments: [[1 << 62], [1 << 31, 1 << 31], [1 << 40, 1 << 40], [1 << 45]])
  func enormous(_ sizes: [Int]) throws {
    let shape = Shape(sizes)
    #expect(error { _ = Tensor.zeros(shape) }?.kind == .memory)
    #expect(error { _ = Tensor.uniform(shape) }?.kind == .memory)
    #expect(error { _ = Tensor.zeros([1]).broadcast(to: shape) + 1 }?.kind == .memory)
    #expect(throws: ApusError.self) { try Storage(TensorType(.float32, shape)) }
    #expect(throws: ApusError.self) {
      try Tensor(bytes: [UInt8]().span.bytes, type: TensorType(.uint8, shape))
    }
  }

  @inline(never)
  private static func misfit() { _ = Tensor.ones([2, 3]).matmul(Tensor.ones([2, 3])) }

  @Test("outside checked the same message ends the process")
  func traps() async {
    let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      CheckedTests.misfit()
    }
    let text = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
    let failure = error { _ = Tensor.ones([2, 3]).matmul(Tensor.ones([2, 3])) }
    #expect(text.contains(failure?.message ?? "no error"), "\(text)")
    #expect(text.contains("matmul(float32[2, 3], float32[2, 3])"))
    #expect(text.contains("Laws/CheckedTests.swift:"))
  }

  @Test("anomaly mode names the first operation that makes NaN")
  func anomaly() throws {
    let failure = error {
      _ = detectingAnomalies { (Tensor([-1.0, 1]).sqrt() * 2).sum() }
    }
    #expect(failure?.operation == "sqrt")
    // A compiled function is looked into as well, and what it computed before is not taken for an answer.
    let line = #line + 1
    let function = compiled { (x: Tensor) in (x.sqrt() * 2).sum() }
    #expect(try function(Tensor([-1.0, 1])).item().isNaN)
    let inside = #expect(throws: ApusError.self) {
      try checked { try detectingAnomalies { try function(Tensor([-1.0, 1])) } }
    }
    #expect(
      inside?.operation == "sqrt" && inside?.location == "Laws/CheckedTests.swift:\(line)",
      "\(String(describing: inside))")
  }
}
