import Foundation
import Testing

@testable import ApusCore

/// Law 6: building, differentiating and releasing a tape takes no stack.
@Suite struct TapeTests {
  static let count = 1_000_000

  /// Runs on a thread with little stack: recursion over a million nodes would need hundreds of megabytes.
  private func onSmallStack(_ body: @escaping @Sendable () -> Void) async {
    await withCheckedContinuation { continuation in
      let thread = Thread {
        body()
        continuation.resume()
      }
      thread.stackSize = 256 << 10
      thread.start()
    }
  }

  @Test("a chain of a million operations is released")
  func release() async {
    await onSmallStack {
      var y = Tensor(1.0, requiresGradient: true)
      for _ in 0..<Self.count { y = y + 1 }
      #expect(y.item() == Double(Self.count + 1))
      y = Tensor(0.0)
      #expect(!y.requiresGradient)
    }
  }

  @Test("a chain in which every value is used twice is released")
  func releaseShared() async {
    await onSmallStack {
      var y = Tensor(0.0, requiresGradient: true)
      for _ in 0..<Self.count { y = y * y }
      #expect(y.item() == 0)
      y = Tensor(0.0)
    }
  }

  @Test("two chains that hold each other's values are released in either order")
  func releaseBraided() async {
    await onSmallStack {
      var a = Tensor(1.0, requiresGradient: true)
      var b = Tensor(1.0, requiresGradient: true)
      for i in 0..<Self.count / 2 { if i % 2 == 0 { a = a + b } else { b = maximum(a, b) - a } }
      a = Tensor(0.0)
      #expect(b.item().isFinite)
      b = Tensor(0.0)
    }
  }

  @Test("backward goes through a million operations")
  func backward() async {
    await onSmallStack {
      let x = Tensor(2.0, dtype: .float64, requiresGradient: true)
      var y = x
      for i in 0..<Self.count { y = i % 2 == 0 ? y * 2 : y * 0.5 }
      y.backward()
      #expect(x.gradient?.item() == 1)
    }
  }

  @Test("a value used many times gets the sum of its gradients")
  func wide() {
    let x = Tensor(3.0, requiresGradient: true)
    var total = Tensor(0.0)
    for i in 0..<10_000 { total = total + x * Double(i % 3) }
    total.backward()
    #expect(x.gradient?.item() == 9999)
  }

  @Test("a second backward needs retainGraph")
  func retained() throws {
    let x = Tensor(2.0, requiresGradient: true)
    let y = x ** 3
    y.backward(retainGraph: true)
    y.backward()
    #expect(x.gradient?.item() == 24)
    #expect(throws: ApusError.self) { try checked { y.backward() } }
  }

  @Test("createGraph gives gradients of gradients")
  func createGraph() throws {
    let x = Tensor(2.0, requiresGradient: true)
    (x ** 3).backward(createGraph: true)
    let first = try #require(x.gradient)
    #expect(first.item() == 12)
    x.gradient = nil
    first.backward()
    #expect(x.gradient?.item() == 12)
  }

  @Test("gradient(at:) nests to any order")
  func nested() {
    let third = gradient(at: Tensor(2.0, dtype: .float64)) { x in
      gradient(at: x) { x in gradient(at: x) { $0 ** 5 } }
    }
    #expect(third.item() == 240)
  }

  @Test("nothing is recorded inside withoutGradients, nor for detached tensors")
  func unrecorded() {
    let x = Tensor(2.0, requiresGradient: true)
    #expect(!withoutGradients { x * x }.requiresGradient)
    #expect(!(x.detached() * 2).requiresGradient)
    #expect((x * 2).requiresGradient)
  }

  @Test("tapes on many threads share a leaf")
  func threads() async {
    let x = Tensor(2.0, requiresGradient: true)
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<8 {
        group.addTask { for _ in 0..<100 { (x * x).backward() } }
      }
    }
    #expect(x.gradient?.item() == 3200)
  }
}
