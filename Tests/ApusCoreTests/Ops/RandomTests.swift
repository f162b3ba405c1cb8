import Testing

@testable import ApusCore

@Suite struct RandomTests {
  @Test("a seed gives one stream, which moves on")
  func streams() {
    let (a, b) = (Generator(seed: 7), Generator(seed: 7))
    let first = Tensor.uniform([5], generator: a).toArray()
    #expect(first == Tensor.uniform([5], generator: b).toArray())
    #expect(first != Tensor.uniform([5], generator: a).toArray())
    #expect(first != Tensor.uniform([5], generator: Generator(seed: 8)).toArray())
    a.seed(7)
    #expect(first == Tensor.uniform([5], generator: a).toArray())
  }

  @Test("moments and ranges")
  func moments() {
    let generator = Generator(seed: 1)
    let uniform = Tensor.uniform([20_000], low: -1, high: 3, generator: generator)
    #expect(abs(uniform.mean().item() - 1) < 0.03)
    #expect(uniform.min().item() >= -1 && uniform.max().item() < 3)
    let normal = Tensor.normal([20_000], mean: 2, standardDeviation: 3, dtype: .float64, generator: generator)
    #expect(abs(normal.mean().item() - 2) < 0.08)
    #expect(abs(normal.standardDeviation().item() - 3) < 0.08)
    let coin = Tensor.bernoulli([20_000], probability: 0.3, generator: generator)
    #expect(abs(coin.mean().item() - 0.3) < 0.02)
    let dice = Tensor.randomIntegers([6_000], in: 1..<7, generator: generator).toArray(of: Int.self)
    #expect(Set(dice) == Set(1...6))
    for face in 1...6 { #expect(abs(dice.count { $0 == face } - 1_000) < 150) }
  }

  @Test("a permutation holds each number once, and is another one each time")
  func permutations() {
    let generator = Generator(seed: 3)
    let (a, b) = (
      Tensor.randomPermutation(100, generator: generator), Tensor.randomPermutation(100, generator: generator)
    )
    #expect(a.toArray(of: Int.self).sorted() == Array(0..<100))
    #expect(a.toArray() != b.toArray())
  }

  @Test("inside a trace the state is threaded: each call draws anew")
  func traced() throws {
    let generator = Generator(seed: 5)
    let draw = compiled { (x: Tensor) in x + Tensor.uniform([3], generator: generator) }
    let zero = Tensor.zeros([3])
    let (a, b) = (try draw(zero).toArray(), try draw(zero).toArray())
    #expect(a != b)
    let again = Generator(seed: 5)
    #expect(a == Tensor.uniform([3], generator: again).toArray())
    #expect(b == Tensor.uniform([3], generator: again).toArray())
  }

  @Test("threads that share a stream never draw the same")
  func threads() async {
    let generator = Generator(seed: 9)
    let draws = await withTaskGroup(of: [Float].self) { group in
      for _ in 0..<8 { group.addTask { Tensor.uniform([16], generator: generator).toArray() } }
      return await group.reduce(into: []) { $0.append($1) }
    }
    #expect(Set(draws).count == 8)
  }

  @Test("bad arguments")
  func errors() {
    #expect(throws: ApusError.self) { try checked { Tensor.bernoulli([2], probability: 1.5) } }
    #expect(throws: ApusError.self) { try checked { Tensor.randomIntegers([2], in: 3..<3) } }
    #expect(throws: ApusError.self) { try checked { Tensor.randomPermutation(-1) } }
    #expect(throws: ApusError.self) { try checked { Tensor.uniform([2], dtype: .int64) } }
  }
}
