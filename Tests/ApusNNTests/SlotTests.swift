import ApusCore
import TestSupport
import Testing

@testable import ApusNN

/// Swift state that a compiled function reads: when it changes, so does the function.
@Suite struct SlotTests {
  private final class Net: Module {
    let head: Slot<any Layer> = Slot(Linear(1, 1, bias: false, weightInitializer: .constant(2)))
    func forward(_ x: Tensor) -> Tensor { head(x) }
  }
  private func scale(_ factor: Double) -> Linear { Linear(1, 1, bias: false, weightInitializer: .constant(factor)) }

  @Test func compiledFunctionsSeeTheNewModule() throws {
    let net = Net()
    let function = compiled { (x: Tensor) in net(x) }
    let x = Tensor([[1.0]])
    #expect(try function(x).item() == 2)
    let first = net.head.module
    net.head.module = scale(3)
    #expect(try function(x).item() == 3)
    #expect(try function(x).item() == 3 && function.traceCount == 2)
    // The earlier one's graph still stands for it.
    net.head.module = first
    #expect(try function(x).item() == 2 && function.traceCount == 2)
    // One whose memory is where another one's was.
    for factor in 4..<40 {
      net.head.module = scale(Double(factor))
      #expect(try function(x).item() == Double(factor))
    }
  }

  @Test func nestedAndDeepSlots() throws {
    let (inner, outer) = (Net(), Net())
    outer.head.module = Sequential { inner }
    let once = compiled { (x: Tensor) in outer(x) }
    let twice = compiled { (x: Tensor) in try once(x) }
    let x = Tensor([[1.0]])
    #expect(try twice(x).item() == 2)
    inner.head.module = scale(5)
    #expect(try twice(x).item() == 5)
    #expect(try once(x).item() == 5)
  }

  @Test func replacingInsideACompiledFunction() throws {
    let net = Net()
    let function = compiled { (x: Tensor) in
      net.head.module = Linear(1, 1)
      return net(x)
    }
    #expect(message { _ = try function(Tensor([[1.0]])) }.contains("can't be replaced inside a compiled function"))
    #expect(net(Tensor([[1.0]])).item() == 2)
  }

  /// A compiled step of one's own sees parameters that are attached after its first run.
  @Test func compiledStepsSeeNewParameters() throws {
    let (a, b) = (Parameter(Tensor(1.0)), Parameter(Tensor(1.0)))
    let optimizer = SGD([a], learningRate: 1)
    let step = compiled { (x: Tensor) in
      optimizer.zeroGradients()
      ((a.tensor + b.tensor) * x).backward()
      optimizer.step()
      optimizer.zeroGradients()
    }
    try step(Tensor(1.0))
    #expect(a.value.item() == 0 && b.value.item() == 1)
    optimizer.attach([b])
    try step(Tensor(1.0))
    #expect(a.value.item() == -1 && b.value.item() == 0)
    // As many as before, but others.
    let c = Parameter(Tensor(1.0))
    optimizer.detach([a])
    optimizer.attach([c])
    try step(Tensor(1.0))
    #expect(a.value.item() == -1 && b.value.item() == -1 && c.value.item() == 1)
    #expect(optimizer.parameters.map { ObjectIdentifier($0) } == [b, c].map { ObjectIdentifier($0) })
  }
}
