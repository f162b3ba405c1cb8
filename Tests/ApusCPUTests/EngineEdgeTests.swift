import CApus
import Testing

@testable import ApusCPU
@testable import ApusCore

/// What the engine promises beside its kernels: errors that are thrown, and memory that is given back.
@Suite struct EngineEdgeTests {
  /// A user's closure whose operations fail: an error wherever it runs, and no poisoned result.
  @Test func failingCustomPrimitive() throws {
    let broken = CustomPrimitive(
      "broken", infer: { $0 }, evaluate: { x in [x[0].gathered(Tensor([99]), axis: 0)] },
      derivative: .notDifferentiable(because: "it is a test"))
    let function = compiled { (x: Tensor) in broken(x)[0] + 1 }
    let x = Tensor.ones([4])
    for call in [{ try checked { broken(x)[0] } }, { try function(x) }, { try checked { try function(x) } }] {
      let error = #expect(throws: ApusError.self) { try call() }
      #expect(error?.description.contains("99") == true, "\(String(describing: error))")
    }
    #expect(throws: ApusError.self) { try function(Tensor.ones([300, 300])) }
  }

  /// Sizes beside a 0 that no machine could multiply: an error, or an empty result.
  @Test func sizesAroundNothing() throws {
    let far = 1 << 40
    for axes in [[0], [1], [2], [0, 2], [0, 1]] {
      for shape in [[0, Dim(far), Dim(far)], [Dim(far), 0, Dim(far)], [Dim(far), Dim(far), 0]] as [Shape] {
        let expected: Result<Shape, ApusError> = attempt(ReferenceEngine.shared, shape, axes)
        let found = attempt(CPUEngine.shared, shape, axes)
        switch (found, expected) {
        case (.success(let a), .success(let b)): #expect(a == b)
        case (.failure(let a), .failure(let b)): #expect(a.kind == b.kind, "\(shape) \(axes): \(a)")
        default: Issue.record("\(shape) \(axes): \(found), not \(expected)")
        }
      }
    }
    #expect(throws: ApusError.self) {
      try checked {
        let wide = Tensor.ones([1, 1, 2, 2]).broadcast(to: [Dim(far), Dim(far), 2, 2])
        return wide.matmul(wide)
      }
    }
  }

  private func attempt(_ engine: any Engine, _ shape: Shape, _ axes: [Int]) -> Result<Shape, ApusError> {
    Result { () throws(ApusError) in
      do {
        return try withEngine(engine) { try checked { Tensor.zeros(shape).sum(axes: axes) } }.shape
      } catch let error as ApusError {
        throw error
      } catch {
        throw ApusError(.argument, "\(error)")
      }
    }
  }

  /// Products stay finite where the whole product is, whatever the order of its parts.
  @Test func productsInAnyOrder() throws {
    let column: [Double] = [1, 1e30, 1e30, 1e-30, 1e-30]
    let x = Tensor(column.flatMap { [$0, $0] }, shape: [5, 2])
    for value in x.product(0).toArray() + x.T.product(1).toArray() { #expect(abs(value - 1) < 1e-5) }
    let long = Tensor((0..<256).map { $0 % 4 < 2 ? 1e30 : 1e-30 })
    #expect(abs(long.product().item() - 1) < 1e-4)
  }

  @Test func minusZero() {
    #expect(Tensor([-0.0, 0.0]).sin().toArray().map(\.sign) == [.minus, .plus])
  }

  /// Sizes that never come back: what is kept stays below twice what was ever in use at once, and a little.
  @Test func cachedMemoryIsBounded() async {
    await #expect(processExitsWith: .success) {
      let megabyte = 1 << 20
      for size in stride(from: 400, through: 1600, by: 150) {
        guard let block = apus_allocate(size * megabyte) else { fatalError("no memory") }
        apus_deallocate(block, size * megabyte)
        let kept = apus_bytes_in_use() + apus_bytes_cached()
        // A block is at most a fifth larger than what was asked for.
        guard kept <= 2 * size * megabyte * 5 / 4 + 256 * megabyte else { fatalError("\(kept) bytes are kept") }
      }
      apus_trim()
      guard apus_bytes_cached() == 0 else { fatalError("\(apus_bytes_cached()) bytes after a trim") }
    }
  }
}
