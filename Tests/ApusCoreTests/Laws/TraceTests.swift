import Testing

@testable import ApusCore

/// Laws 3 and 7: traces.
@Suite struct TraceTests {
  private final class Box: @unchecked Sendable {
    var tensor: Tensor?
  }

  @Test("a symbolic tensor outside its trace is refused, by operations and as an argument")
  func leaked() throws {
    let box = Box()
    let function = compiled { (x: Tensor) in
      let y = x * 2
      box.tensor = y
      return y + 1
    }
    #expect(try function(Tensor([1.0])).toArray() == [3])
    let leaked = try #require(box.tensor)
    #expect(leaked.isSymbolic)
    for misuse in [{ leaked + 1 }, { Tensor([1.0]) * leaked }, { try function(leaked) }, { leaked[0] }]
      as [() throws -> Tensor]
    {
      let error = #expect(throws: ApusError.self) { try checked { try misuse() } }
      #expect(error?.kind == .trace, "\(String(describing: error))")
    }
    let other = compiled { (x: Tensor) in x + leaked }
    #expect(throws: ApusError.self) { try other(Tensor([1.0])) }
    #expect(try function(Tensor([2.0])).toArray() == [5])
  }

  @Test("one trace for each signature")
  func signatures() throws {
    let function = compiled { (x: Tensor) in x * 2 }
    for _ in 0..<3 { _ = try function(Tensor([1.0, 2])) }
    #expect(function.traceCount == 1)
    _ = try function(Tensor([1.0, 2, 3]))
    #expect(function.traceCount == 2)
    _ = try function(Tensor([1, 2]))
    #expect(function.traceCount == 3)
    _ = try function(Tensor([5.0, 6]))
    #expect(function.traceCount == 3)
  }

  @Test("a symbolic batch is traced once for all its sizes")
  func symbolicBatch() throws {
    let w = Tensor.arange(12).reshape(3, 4).cast(to: .float32)
    let function = compiled(inputs: [["batch", 3]]) { (x: Tensor) in (x.matmul(w)).relu().mean(0) }
    for n in [1, 5, 64] {
      let x = Tensor.ones([Dim(n), 3])
      #expect(try function(x).toArray() == w.sum(0).toArray())
    }
    #expect(function.traceCount == 1)
    let error = #expect(throws: ApusError.self) { try function(Tensor.ones([2, 7])) }
    #expect(error?.kind == .shape)
  }

  @Test("an error while tracing drops the trace's state, and the next call is fine")
  func overlayDropped() throws {
    let state = Variable(Tensor([1.0, 2]))
    let function = compiled { (x: Tensor) in
      state.value = state.value * 10
      return state.value + x
    }
    #expect(throws: ApusError.self) { try function(Tensor([1.0, 2, 3])) }
    #expect(state.value.toArray() == [1, 2])
    #expect(try function(Tensor([1.0, 1])).toArray() == [11, 21])
    #expect(state.value.toArray() == [10, 20])
  }

  @Test("an error while running leaves variables as they were")
  func failedRun() throws {
    let state = Variable(Tensor([1.0, 2, 3]))
    let function = compiled { (i: Tensor) in
      state.value = state.value * 2
      return state.value.gathered(i)
    }
    #expect(try function(Tensor([2])).toArray() == [6])
    #expect(throws: ApusError.self) { try function(Tensor([7])) }
    #expect(state.value.toArray() == [2, 4, 6])
    #expect(try function(Tensor([0])).toArray() == [4])
  }

  @Test("reading a value while tracing is an error, not a wrong constant")
  func hostRead() {
    let function = compiled { (x: Tensor) in x * x.sum().item() }
    let error = #expect(throws: ApusError.self) { try function(Tensor([1.0, 2])) }
    #expect(error?.kind == .trace)
  }

  @Test("the body's own error is thrown")
  func bodyThrows() {
    struct Mine: Error {}
    let function = compiled { (x: Tensor) throws -> Tensor in throw Mine() }
    #expect(throws: Mine.self) { try function(Tensor([1.0])) }
  }

  @Test("compiled functions nest, and gradients cross them")
  func nested() throws {
    let square = compiled { (x: Tensor) in x * x }
    let outer = compiled { (x: Tensor) in try square(x) + 1 }
    #expect(try outer(Tensor([3.0])).toArray() == [10])
    let x = Tensor([3.0], requiresGradient: true)
    try outer(x).sum().backward()
    #expect(x.gradient?.toArray() == [6])
    let inside = compiled { (x: Tensor) in try gradient(at: x) { try square($0).sum() } }
    #expect(try inside(Tensor([5.0])).toArray() == [10])
  }

  @Test("the eager switch runs the body each time")
  func eagerly() throws {
    let box = Box()
    let function = compiled { (x: Tensor) in
      box.tensor = x
      return x + 1
    }
    function.cache.runsEagerly = true
    #expect(try function(Tensor([1.0])).toArray() == [2])
    #expect(box.tensor?.isSymbolic == false)
    #expect(function.traceCount == 0)
  }
}
