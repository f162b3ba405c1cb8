import Testing

@testable import ApusCore

/// Memory that can't be read: a device that is gone.
private final class LostBuffer: OpaqueBuffer {
  struct Lost: Error {}
  let device = Device(engine: "lost")
  func writePlain(to destination: UnsafeMutableRawBufferPointer) throws { throw Lost() }
}

/// Reading an engine's memory may fail: an error wherever one is promised.
@Suite struct FailingBufferTests {
  private func lost(_ shape: Shape = [4]) -> Tensor {
    Tensor(storage: Storage(TensorType(.float32, shape), opaque: LostBuffer()))
  }

  @Test("every way to read it throws, or records, and can be tried again")
  func reads() throws {
    let x = lost()
    #expect(throws: LostBuffer.Lost.self) { try x.storage.plain() }
    #expect(throws: LostBuffer.Lost.self) { try HostCopy.contiguous(x.storage) }
    for engine in [Engines.embedded, ReferenceEngine.shared] as [any Engine] {
      try withEngine(engine) {
        func fails(_ what: String, _ body: () throws -> Void) {
          #expect(throws: LostBuffer.Lost.self, "\(what) on \(engine.name)") { try checked { try body() } }
        }
        fails("toArray") { _ = x.toArray() }
        fails("item") { _ = self.lost([]).item() }
        fails("description") { _ = x.description }
        fails("an element-wise operation") { _ = x + 1 }
        fails("a reduction") { _ = x.sum() }
        fails("a view's copy") { _ = x.reshape([2, 2]).T.toArray() }
        fails("a product") { _ = self.lost([2, 2]).matmul(Tensor.ones([2, 2])) }
        fails("indices") { _ = x.gathered(Tensor([0, 1])) }
        fails("backward") {
          let leaf = x.requiringGradient()
          (leaf * leaf).sum().backward()
        }
        fails("a subscript's write") {
          var y = Tensor.zeros([4])
          y[0..<4] = x
          _ = y.toArray()
        }
        fails("a compiled call") { _ = try compiled { (x: Tensor) in x * 2 }(x) }
        fails("a captured constant") { _ = try compiled { (y: Tensor) in y * x }(Tensor.ones([4])) }
        _ = try checked { Tensor.ones([2]) + 1 }
      }
    }
  }

  @Test("a failed operation's result has no memory either")
  func poisoned() {
    var kept: Tensor?
    #expect(throws: ApusError.self) { try checked { kept = Tensor.ones([2]) + Tensor.ones([3]) } }
    let error = #expect(throws: ApusError.self) { try kept?.storage.plain() }
    #expect(error?.kind == .argument)
    #expect(throws: ApusError.self) { try Engines.embedded.execute(.negate, [kept!.storage], outputs: [kept!.type]) }
    // And what the engine keeps from the attempt serves no other tensor.
    let values = Tensor([1.0, 2.0]).storage
    let negated = try? Engines.embedded.execute(.negate, [values], outputs: [values.type]).first
    #expect(negated.map { Tensor(storage: $0).toArray() } == [-1, -2])
    let parameter = Parameter(kept)
    #expect(throws: ApusError.self) { try compiled { (x: Tensor) in x * parameter.tensor }(Tensor.ones([2])) }
  }
}
