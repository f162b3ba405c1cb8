import CApus
import Testing

@testable import ApusCore

/// A way to build and drop a tape.
struct TapeUse: Sendable {
  let name: String
  let body: @Sendable (_ round: Int) throws -> Void

  /// 1 MiB of float32.
  static func leaf(_ round: Int) -> Tensor {
    (Tensor.zeros([1 << 18]) + Double(round + 1)).requiringGradient()
  }
  private struct Stopped: Error {}
  private static let parameter = Parameter(Tensor.ones([1 << 18]))
  private static let doubled = CustomPrimitive(
    "doubled", infer: { $0 }, evaluate: { [$0[0] * 2] }, derivative: .vjp { [$0.gradient * 2] })

  static let all: [TapeUse] = [
    TapeUse(name: "dropped without a backward") { _ = (leaf($0) * leaf($0)).exp().sum() },
    TapeUse(name: "backward") { (leaf($0) * leaf($0)).sum().backward() },
    TapeUse(name: "backward, retained") {
      let y = (leaf($0) ** 3).sum()
      y.backward(retainGraph: true)
      y.backward(retainGraph: true)
    },
    TapeUse(name: "createGraph") {
      let x = leaf($0)
      (x * x).sum().backward(createGraph: true)
    },
    TapeUse(name: "createGraph, then the gradient's own backward") {
      let x = leaf($0)
      (x * x * x).sum().backward(createGraph: true)
      let first = x.gradient
      x.gradient = nil
      first?.sum().backward(createGraph: true)
    },
    TapeUse(name: "createGraph, after the leaf is gone") { round in
      let y = { () -> Tensor in
        let x = leaf(round)
        return (x * x).sum()
      }()
      y.backward(createGraph: true)
    },
    TapeUse(name: "createGraph, two leaves in each other's gradients") {
      let (a, b) = (leaf($0), leaf($0))
      (a * b * a * b).sum().backward(createGraph: true)
    },
    TapeUse(name: "createGraph, a leaf as its own gradient") {
      let x = leaf($0)
      (x + 1).backward(gradient: x, createGraph: true)
    },
    TapeUse(name: "createGraph over a parameter") {
      let p = Parameter(leaf($0).detached())
      (p.tensor * p.tensor).sum().backward(createGraph: true)
    },
    TapeUse(name: "createGraph over one parameter that stays") { _ in
      (parameter.tensor * parameter.tensor).sum().backward(createGraph: true)
      parameter.gradient = nil
    },
    TapeUse(name: "a gradient that is set by hand") {
      let x = leaf($0)
      x.gradient = x
      x.gradient = x * x
    },
    TapeUse(name: "createGraph through a primitive of one's own") {
      let x = leaf($0)
      doubled(x * x)[0].sum().backward(createGraph: true)
    },
    TapeUse(name: "gradient(at:)") { _ = gradient(at: leaf($0)) { ($0 * $0).sum() } },
    TapeUse(name: "gradient(at:), nested") {
      _ = gradient(at: leaf($0).detached()) { x in gradient(at: x) { ($0 ** 3).sum() }.sum() }
    },
    TapeUse(name: "GradientTape with createGraph") {
      let (_, d) = GradientTape(createGraph: true).watch(leaf($0)) { ($0 ** 3).sum() }
      d.sum().backward(createGraph: true)
    },
    TapeUse(name: "jvp") { _ = try jvp(at: leaf($0), tangent: leaf($0).detached()) { ($0 * $0).exp() } },
    TapeUse(name: "vectorized") {
      let x = leaf($0).reshape([4, 1 << 16])
      try vectorized { (x: Tensor) in (x * x).sum() }(x).sum().backward(createGraph: true)
    },
    TapeUse(name: "detached") {
      let x = leaf($0)
      let y = x * x
      (y.detached() * y).sum().backward(createGraph: true)
    },
    TapeUse(name: "a compiled call") {
      let x = leaf($0)
      try compiled { (x: Tensor) in (x * x).sum() }(x).backward(createGraph: true)
    },
    TapeUse(name: "a compiled step") { round in
      let p = Parameter(leaf(round).detached())
      let step = compiled { () in
        (p.tensor * p.tensor).sum().backward()
        p.value = p.value - (p.gradient ?? p.value)
        p.gradient = nil
      }
      try step()
      try step()
    },
    TapeUse(name: "an error midway") { round in
      do {
        try checked {
          let x = leaf(round)
          let y = x * x
          y.sum().backward(createGraph: true)
          _ = y + Tensor.ones([3])
          (y * y).sum().backward(createGraph: true)
        }
      } catch is ApusError {}
    },
    TapeUse(name: "an exception midway") { round in
      do {
        _ = try gradient(at: leaf(round)) { x -> Tensor in
          (x * x).sum().backward(createGraph: true)
          throw Stopped()
        }
      } catch is Stopped {}
    },
    TapeUse(name: "a backward that fails") { round in
      do {
        try checked {
          let x = leaf(round)
          let y = (x * x).sum()
          y.backward()
          y.backward(createGraph: true)
        }
      } catch is ApusError {}
    },
  ]
}

/// Law 6: a tape lives as long as somebody needs it, and no longer.
@Suite struct TapeMemoryTests {
  /// In a process of its own, whose memory nobody else takes: after a few rounds, more rounds take no more.
  private static func growth(_ use: TapeUse) throws -> Int {
    func rounds(_ range: Range<Int>) throws { for round in range { try use.body(round) } }
    // Plans and thread caches fill up.
    try rounds(0..<4)
    let before = Int(apus_bytes_in_use())
    try rounds(4..<24)
    return Int(apus_bytes_in_use()) - before
  }

  @Test("twenty rounds keep no tensor, however the tape was built and dropped")
  func rounds() async {
    let result = await #expect(processExitsWith: .success, observing: [\.standardErrorContent]) {
      // A leak keeps 1 MiB or more a round.
      let leaks = try TapeUse.all.map { ($0.name, try TapeMemoryTests.growth($0)) }.filter { $0.1 >= 1 << 20 }
      precondition(leaks.isEmpty, "kept: \(leaks)")
    }
    let text = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
    if !text.isEmpty { Issue.record("\(text.prefix(2000))") }
  }

  @Test("the measure sees a leak")
  func measure() async {
    await #expect(processExitsWith: .success) {
      nonisolated(unsafe) var kept: [Tensor] = []
      let growth = try TapeMemoryTests.growth(TapeUse(name: "kept") { kept.append(TapeUse.leaf($0) * 2) })
      precondition(growth > 19 << 20)
    }
  }

  @Test("a gradient arrives as long as somebody can ask for it")
  func arrives() {
    let x = Tensor(2.0, requiresGradient: true)
    let copy = x
    let y = x ** 3
    y.backward(createGraph: true)
    #expect(copy.gradient?.item() == 12)
    // The second derivative, through the first, by another copy.
    let first = copy.gradient
    copy.gradient = nil
    first?.backward()
    #expect(x.gradient?.item() == 12)
  }
}
