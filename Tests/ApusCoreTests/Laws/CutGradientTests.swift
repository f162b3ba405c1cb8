import Testing

@testable import ApusCore

/// Law 3: what is cut from the gradient stays cut when the function is captured, and what is not is found.
@Suite(.serialized) struct CutGradientTests {
  private typealias Function = @Sendable (Tensor) throws -> Tensor

  // Shared by all cases, which therefore run one after the other.
  private static let frozen = Parameter(Tensor([2.0, -3]))
  private static let functions: [(name: String, body: Function)] = [
    ("detached", { ($0.detached() * $0).sum() }),
    ("withoutGradients", { x in ((withoutGradients { x.exp() * 2 }) * x.sin()).sum() }),
    ("a cut in the middle", { ($0 * $0).detached().exp().sum() + $0.sum() }),
    ("a parameter", { x in (x * frozen.tensor.detached() * frozen.tensor).sum() }),
    ("log-sum-exp", { $0.logSumExp(axis: 0) + $0.softmax().max() }),
    (
      "a variable's way",
      { x in
        let kept = Variable(nil)
        kept.value = x * 2
        return (kept.value * x).sum()
      }
    ),
  ]
  private let point = Tensor([0.5, 1.25])

  private func gradients(_ body: () throws -> Tensor, at x: Tensor) throws -> [[Float]] {
    Self.frozen.gradient = nil
    try body().backward()
    return [x.gradient, Self.frozen.gradient].map { $0?.toArray() ?? [] }
  }

  @Test("gradients through a compiled call are the eager ones", arguments: functions.indices)
  func compiledCalls(i: Int) throws {
    let body = Self.functions[i].body
    let eager = point.requiringGradient()
    let expected = try gradients({ try body(eager) }, at: eager)
    let captured = point.requiringGradient()
    let function = compiled { (x: Tensor) in try body(x) }
    let found = try gradients({ try function(captured) }, at: captured)
    #expect(
      found.map(\.count) == expected.map(\.count)
        && zip(found.joined(), expected.joined()).allSatisfy { abs($0 - $1) < 1e-5 },
      "\(Self.functions[i].name): \(found), eager \(expected)")
  }

  @Test("so are forward derivatives, also where none are recorded around", arguments: functions.indices)
  func forward(i: Int) throws {
    let body = Self.functions[i].body
    let x = point.requiringGradient()
    let taped = try #require(try gradients({ try body(x) }, at: x).first)
    let expected = try gradient(at: point) { try body($0) }.toArray()
    if Self.functions[i].name == "a variable's way" {
      // Inside the closure of a derivative what is assigned stays on the tape: 2x·x has the slope 4x. Outside it is cut.
      #expect(expected == [2, 5] && taped == [1, 2.5])
    } else {
      #expect(zip(expected, taped).allSatisfy { abs($0 - $1) < 1e-5 })
    }
    for (axis, slope) in expected.enumerated() {
      let tangent = Tensor((0..<2).map { $0 == axis ? 1.0 : 0.0 })
      let found = try jvp(at: point, tangent: tangent) { try body($0) }.tangent
      let quiet = try withoutGradients { try jvp(at: point, tangent: tangent) { try body($0) }.tangent }
      #expect(abs(found.item() - Double(slope)) < 1e-5 && found.item() == quiet.item(), "\(Self.functions[i].name)")
    }
  }

  @Test(
    "and gradients through a mapped function",
    arguments: functions.indices.filter { functions[$0].name != "a variable's way" })
  func mapped(i: Int) throws {
    let body = Self.functions[i].body
    let eager = point.requiringGradient()
    let expected = try gradients({ try body(eager) }, at: eager)[0]
    let x = point.requiringGradient()
    let map = vectorized { (row: Tensor) in try body(row) }
    try map(x.reshape([1, 2])).sum().backward()
    let found = x.gradient?.toArray() ?? []
    #expect(zip(found, expected).allSatisfy { abs($0 - $1) < 1e-5 } && found.count == 2, "\(Self.functions[i].name)")
  }

  @Test("a captured tensor is one input where it is tracked and another where it is cut")
  func captures() throws {
    let w = Tensor(3.0).requiringGradient()
    let function = compiled { (x: Tensor) in w.detached() * x + w * 5 }
    try function(Tensor(2.0)).backward()
    #expect(w.gradient?.item() == 5)
  }

  @Test("a gradient that reaches only one of several results")
  func oneOfSeveral() throws {
    let function = compiled { (x: Tensor) in (x.sin(), x * 2, x.cos()) }
    for (i, slope) in [0: 1.0, 1: 2.0, 2: 0.0] {
      let x = Tensor(0.0).requiringGradient()
      let (a, b, c) = try function(x)
      [a, b, c][i].backward()
      #expect(x.gradient?.item() == slope)
    }
  }

  @Test("an argument's gradient can't be set from inside: that is said, not lost")
  func arguments() throws {
    let function = compiled { (x: Tensor) in
      (x * x).sum().backward()
      return x * 2
    }
    let failure = #expect(throws: ApusError.self) { try function(Tensor([1.0]).requiringGradient()) }
    #expect(failure?.kind == .trace && failure?.message.contains("return gradient(at:)") == true)
  }

  @Test("a mode read in an inner transformation guards the outer trace")
  func innerModes() throws {
    let training = Mode(true)
    let function = compiled { (x: Tensor) in
      try jvp(at: x, tangent: Tensor(1.0)) { training.value ? $0 * 3 : $0 * 5 }.tangent
    }
    #expect(try function(Tensor(1.0)).item() == 3)
    training.value = false
    #expect(try function(Tensor(1.0)).item() == 5)
  }

  @Test("dictionaries that hold the same keys in other places are other signatures")
  func dictionaries() throws {
    let function = compiled { (a: [String: Tensor], b: [String: Tensor]) in
      a.values.reduce(Tensor(0.0), +) - b.values.reduce(Tensor(0.0), +)
    }
    let (x, y) = (Tensor(3.0), Tensor(1.0))
    #expect(try function(["a": x], ["b": y]).item() == 2)
    #expect(try function(["a": x, "b": y], [:]).item() == 4)
  }

  @Test("every size is compared with its arithmetic, wherever its name is bound")
  func sizesBoundLater() throws {
    let n: Dim = "n"
    let function = compiled(inputs: [[n + 1], ["n"]]) { (a: Tensor, b: Tensor) in a.sum() + b.sum() }
    #expect(try function(Tensor.ones([4]), Tensor.ones([3])).item() == 7)
    #expect(try function(Tensor.ones([6]), Tensor.ones([5])).item() == 11)
    #expect(function.traceCount == 1)
    let failure = #expect(throws: ApusError.self) { try function(Tensor.ones([2]), Tensor.ones([10])) }
    #expect(failure?.message.contains("size n + 1 of argument 0 of compiled is 2 and was 11 before") == true)
    let unbound = compiled(inputs: [[n + 1]]) { (a: Tensor) in a.sum() }
    let error = #expect(throws: ApusError.self) { try unbound(Tensor.ones([2])) }
    #expect(error?.message.contains("must be sizes of arguments themselves") == true)
  }
}
