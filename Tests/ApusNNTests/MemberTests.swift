import ApusCore
import TestSupport
import Testing

@testable import ApusNN

/// What a module's stored properties may hold: found under torch's names, or an error.
@Suite struct MemberTests {
  private class Base: Module, @unchecked Sendable {
    func forward(_ x: Tensor) -> Tensor { x }
  }

  private final class Collections: Base, @unchecked Sendable {
    let byName: [String: any Layer] = [
      "b": Linear(1, 1, bias: false), "a": Sequential { BatchNorm1D(1, affine: false) },
    ]
    let layers: [[Linear]] = [[Linear(1, 1, bias: false)], [], [Linear(1, 1, bias: false), Linear(1, 1, bias: false)]]
    let scales = [Parameter(Tensor(1.0)), Parameter(Tensor(2.0))]
    let gains = ["right": Parameter(Tensor(1.0)), "left": Parameter(Tensor(2.0))]
    let statistics = [Buffer(Tensor(0.0))]
    let deep: [String: [Linear?]?] = ["y": nil, "x": [nil, Linear(1, 1, bias: false)]]
    let heads: [Slot<any Layer>] = [Slot(Linear(1, 1, bias: false))]
    let asWritten: KeyValuePairs<String, Parameter> = ["z": Parameter(Tensor(0.0)), "y": Parameter(Tensor(0.0))]
    let some: ArraySlice<Parameter> = [Parameter(Tensor(0.0)), Parameter(Tensor(0.0))][1...]
    let places: [Int: Parameter]? = [7: Parameter(Tensor(0.0))]
  }

  /// As `named_parameters()` of the same ModuleDict, ModuleList, ParameterList and ParameterDict; dictionaries in the
  /// order of their keys.
  @Test func namesAreTorchs() {
    let model = Collections()
    #expect(
      model.stateDictionary().keys == [
        "by_name.a.0.running_mean", "by_name.a.0.running_var", "by_name.a.0.num_batches_tracked", "by_name.b.weight",
        "layers.0.0.weight", "layers.2.0.weight", "layers.2.1.weight", "scales.0", "scales.1", "gains.left",
        "gains.right", "statistics.0", "deep.x.1.weight", "heads.0.weight", "as_written.z", "as_written.y", "some.0",
        "places.7",
      ])
    #expect(model.parameters.count == 14)
    model.eval()
    #expect(!model.modes.areTraining)
    #expect((model.byName["a"] as? Sequential)?.modes.areTraining == false)
  }

  /// They are trained and loaded like others.
  @Test func theyAreTrainedAndSaved() throws {
    final class Branches: Module {
      let branches = ["left": [Linear(2, 1)], "right": [Linear(2, 1)]]
      func forward(_ x: Tensor) -> Tensor { branches.values.reduce(Tensor(0.0)) { $1.reduce($0) { $0 + $1(x) } } }
    }
    let (a, b) = (Branches(), Branches())
    let optimizer = SGD(a.parameters, learningRate: 0.5)
    let before = a.stateDictionary()
    a(Tensor.ones([1, 2])).sum().backward()
    optimizer.step()
    for (name, value) in a.stateDictionary() {
      // d/dw Σ(w·1 + b) = 1.
      let moved = try #require(before[name]) - value
      #expect(moved.toArray().allSatisfy { abs($0 - 0.5) < 1e-6 }, "\(name)")
    }
    try b.loadStateDictionary(a.stateDictionary())
    #expect(a(Tensor.ones([1, 2])).item() == b(Tensor.ones([1, 2])).item())
  }

  private struct Pack: Sendable {
    var count = 3
    var layer: any Sendable
  }
  private enum Choice: Sendable {
    case none
    case some(any Sendable, Int)
  }
  private final class Key: Module, Hashable {
    let weight = Parameter(Tensor(1.0))
    func forward(_ x: Tensor) -> Tensor { x }
    static func == (a: Key, b: Key) -> Bool { a === b }
    func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }
  }
  private final class Holding<Value: Sendable>: Module {
    let first = Linear(1, 1)
    let heldThing: Value
    init(_ value: Value) { heldThing = value }
    func forward(_ x: Tensor) -> Tensor { x }
  }

  private func says<Value: Sendable>(_ value: Value) -> String { message { _ = Holding(value).parameters } }

  @Test func whatIsNotFoundIsAnError() {
    let members: [(any Sendable, String)] = [
      (Linear(1, 1), "Linear"), (Parameter(Tensor(1.0)), "Parameter"), (Buffer(Tensor(1.0)), "Buffer"),
      (Mode(true), "Mode"), (Generator(seed: 1), "Generator"), (Slot(Linear(1, 1)), "Linear"),
      (Sequential([]), "Sequential"),
    ]
    let holders: [(any Sendable) -> String] = [
      { says((1, $0)) }, { says((a: $0, 1)) }, { says(Pack(layer: $0)) }, { says(Choice.some($0, 1)) },
      { says([($0, 1)]) }, { says([Pack(layer: 0), Pack(layer: $0)]) }, { says(["a": Pack(layer: $0)]) },
      { says(Pack(layer: [$0])) }, { says(Pack(layer: ["x": ($0, 1)])) }, { says([[Choice.none, .some($0, 2)]]) },
      { says(Optional(Pack(layer: $0))) }, { says(["a": [Choice?.some(.some($0, 3))]]) },
      { says(Result<Pack, Never>.success(Pack(layer: $0))) },
    ]
    // Each kind of member in some holders, and all kinds in all of them by turns: errors look up where they happened, which
    // takes its time.
    for (i, (member, name)) in members.enumerated() {
      for (j, holder) in holders.enumerated() where i == 0 || (i + j) % 6 == 0 {
        let text = holder(member)
        #expect(text.contains("heldThing holds a \(name) in a") && text.contains("members()"), "\(name): \(text)")
      }
      // Directly it is a member.
      #expect(says(member) == "no error" && says([member]) == "no error" && says(["a": member]) == "no error")
    }
    #expect(says(Set([Key()])).contains("holds a Key in a set"))
    #expect(says((Key(), 1)).contains("tuple (heldThing.0)"))
  }

  /// Every question is answered so, and the walk goes on in `checked`.
  @Test func everyWalkSaysIt() {
    let module = Holding((Linear(1, 1), 1))
    let walks: [() -> Void] = [
      { _ = module.parameters }, { _ = module.stateDictionary() }, { module.train() }, { _ = module.namedModules() },
      { _ = module.namedBuffers() }, { module.setTrainable(false) }, { _ = module.modes },
    ]
    for walk in walks { #expect(message(walk).contains("heldThing holds a Linear")) }
  }

  @Test func otherValuesAreNoMembers() {
    let others: [any Sendable] = [
      3, "x", [1.0, 2], ["a": 1], (1, "b"), Pack(layer: "x"), Choice.none, [Pack(layer: 1)], Tensor.ones([2]),
      [Tensor.ones([2])],
      Set([1, 2]), Activation.relu, DType.float32, Shape([1, 2]), (Generator.default, 1),
      Linear.self as any Module.Type,
      { (x: Tensor) in x } as @Sendable (Tensor) -> Tensor, Loss.mse,
    ]
    for other in others {
      #expect(says(other) == "no error", "\(other)")
      #expect(Holding(other).stateDictionary().keys == ["first.weight", "first.bias"])
    }
  }

  @Test func namesThatAreNotParts() {
    for key in ["", "a.b", "."] {
      #expect(says([key: Linear(1, 1)]).contains("has the key \"\(key)\""))
      #expect(says([key: 1]) == "no error" && says([key: "x"]) == "no error")
    }
  }

  private class Parent: Module, @unchecked Sendable {
    private let scale = Parameter(Tensor(1.0))
    func forward(_ x: Tensor) -> Tensor { x * scale.tensor }
  }
  private final class Child: Parent, @unchecked Sendable {
    private let scale = Parameter(Tensor(2.0))
    override func forward(_ x: Tensor) -> Tensor { super.forward(x) * scale.tensor }
  }
  private final class Twice: Module {
    let inner: Parameter
    let other: Parameter
    init() { (inner, other) = (Parameter(Tensor(1.0)), Parameter(Tensor(1.0))) }
    func forward(_ x: Tensor) -> Tensor { x }
    func members() -> [ModuleMember] { [ModuleMember("w", .parameter(inner)), ModuleMember("w", .parameter(other))] }
  }
  private final class Cases: Module {
    let fooBar = Parameter(Tensor(1.0))
    let foo_bar = Linear(1, 1)  // swift-format-ignore: AlwaysUseLowerCamelCase
    func forward(_ x: Tensor) -> Tensor { x }
  }

  /// Two members of one name: one would be saved and loaded in place of the other.
  @Test func namesAreUnique() {
    #expect(message { _ = Child().parameters }.contains("two members called scale"))
    #expect(message { _ = Twice().stateDictionary() }.contains("two members called w"))
    #expect(message { _ = Cases().parameters }.contains("two members called foo_bar"))
    #expect(message { _ = Sequential { Twice() }.parameters }.contains("two members called 0.w"))
  }
}
