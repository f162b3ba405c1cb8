import ApusCore
import TestSupport
import Testing

@testable import ApusNN

/// A module as a function of its parameters.
@Suite struct FunctionalCallTests {
  private let x = Tensor([[1.0, 2], [3, -1]])
  private func layer() -> Linear { Linear(2, 1, weightInitializer: .constant(9), biasInitializer: .constant(9)) }

  @Test func valuesAreReplaced() {
    let layer = layer()
    let y = functionalCall(layer, ["weight": Tensor([[1.0, 10]]), "bias": Tensor([100.0])], x)
    #expect(y.toArray() == [121, 93])
    // What is not named is the module's own, which stays as it is.
    #expect(functionalCall(layer, ["weight": Tensor([[1.0, 10]])], x).toArray() == [30, 2])
    #expect(layer(x).toArray() == [36, 27])
    #expect(functionalCall(layer, StateDictionary(["bias": Tensor([0.0])]), x).toArray() == [27, 18])
  }

  @Test func gradientsFlowToTheValuesAndNotToTheModule() throws {
    let layer = layer()
    // d/dw Σ (x·wᵀ + b) is the sum of the rows.
    let (dw, db) = gradient(at: Tensor([[1.0, 10]]), Tensor([0.0])) { w, b in
      functionalCall(layer, ["weight": w, "bias": b], x).sum()
    }
    #expect(dw.toArray() == [4, 1] && db.toArray() == [2])
    let w = Tensor([[1.0, 10]]).requiringGradient()
    functionalCall(layer, ["weight": w], x).sum().backward()
    #expect(w.gradient?.toArray() == [4, 1])
    #expect(layer.weight.gradient == nil && layer.bias?.gradient?.toArray() == [2])
    // A value without a gradient is no parameter.
    functionalCall(layer, ["weight": Tensor([[1.0, 10]])], x).sum().backward()
    #expect(layer.weight.gradient == nil)
    // A frozen parameter's stand-in has one all the same.
    layer.setTrainable(false)
    #expect(gradient(at: w) { functionalCall(layer, ["weight": $0], x).sum() }.toArray() == [4, 1])
  }

  @Test func higherOrdersAndForwardMode() throws {
    let layer = Linear(1, 1, bias: false)
    func f(_ w: Tensor) -> Tensor { (functionalCall(layer, ["weight": w], Tensor([[2.0]])) ** 3).sum() }
    let w = Tensor([[3.0]])
    // (2w)³: 24w², 48w.
    #expect(gradient(at: w, f).item() == 216)
    #expect(gradient(at: w) { gradient(at: $0, f).sum() }.item() == 144)
    #expect(try jvp(at: w, tangent: Tensor([[1.0]])) { f($0) }.tangent.item() == 216)
  }

  @Test func itIsCompiledAndMapped() throws {
    let layer = layer()
    let function = compiled { (w: Tensor, x: Tensor) in functionalCall(layer, ["weight": w, "bias": Tensor([0.0])], x) }
    #expect(try function(Tensor([[1.0, 10]]), x).toArray() == [21, -7])
    #expect(try function(Tensor([[0.0, 1]]), x).toArray() == [2, -1])
    // Gradients of single examples, and an ensemble.
    let x = x
    let each = vectorized { (row: Tensor) in
      gradient(at: Tensor([[1.0, 10]])) { functionalCall(layer, ["weight": $0], row.unsqueezed(0)).sum() }
    }
    #expect(try each(x).toArray() == x.toArray())
    let ensemble = vectorized { (w: Tensor) in functionalCall(layer, ["weight": w], x) }
    #expect(try ensemble(Tensor([[[1.0, 10]], [[0, 1]]])).toArray() == [30, 2, 11, 8])
  }

  /// A compiled function within reads the same values.
  @Test func compiledFunctionsInside() throws {
    final class Wrapped: Module {
      let inner = Linear(2, 1, bias: false)
      let function: @Sendable (Linear, Tensor) -> Tensor
      init() {
        let inner = inner
        let fast = compiled { (x: Tensor) in inner(x) }
        function = { _, x in (try? fast(x)) ?? x }
      }
      func forward(_ x: Tensor) -> Tensor { function(inner, x) }
    }
    let module = Wrapped()
    let own = module(x).toArray()
    #expect(functionalCall(module, ["inner.weight": Tensor([[1.0, 10]])], x).toArray() == [21, -7])
    #expect(
      gradient(at: Tensor([[1.0, 10]])) { functionalCall(module, ["inner.weight": $0], x).sum() }.toArray() == [4, 1])
    #expect(module(x).toArray() == own)
  }

  @Test func buffersAreReplacedAndForgotten() {
    let norm = BatchNorm1D(1, epsilon: 0)
    norm.eval()
    let y = functionalCall(norm, ["running_mean": Tensor([2.0]), "running_var": Tensor([4.0])], Tensor([[6.0], [2]]))
    #expect(y.toArray() == [2, 0])
    let slope = gradient(at: Tensor([2.0])) { functionalCall(norm, ["running_mean": $0], Tensor([[6.0], [2]])).sum() }
    #expect(slope.item() == -2)
    norm.train()
    _ = functionalCall(norm, ["running_mean": Tensor([2.0])], Tensor([[6.0], [2]]))
    #expect(norm.runningMean.value.item() == 0)
    #expect(norm.numBatchesTracked.value.item() == 1)
  }

  @Test func severalInputsAndSharedParameters() {
    final class Addition: Module {
      let scale = Parameter(Tensor(2.0))
      func forward(_ input: (Tensor, Tensor)) -> Tensor { (input.0 + input.1) * scale.tensor }
    }
    #expect(functionalCall(Addition(), ["scale": Tensor(10.0)], (Tensor(1.0), Tensor(2.0))).item() == 30)
    let shared = Linear(1, 1, bias: false)
    let model: any Layer = Sequential([shared, shared])
    let two = Tensor([[2.0]])
    #expect(functionalCall(model, ["1.weight": two], Tensor([[3.0]])).item() == 12)
    #expect(functionalCall(model, ["0.weight": two, "1.weight": two], Tensor([[3.0]])).item() == 12)
    #expect(
      message { _ = functionalCall(model, ["0.weight": two, "1.weight": Tensor([[1.0]])], two) }
        .contains("0.weight and 1.weight are one parameter"))
  }

  @Test func unknownNamesAreErrors() {
    let text = message { _ = functionalCall(layer(), ["wieght": x], x) }
    #expect(text == "Linear has no parameter or buffer wieght; it has weight, bias")
  }

  // MARK: Assigning to variables inside `gradient(at:)`

  /// What is assigned stays on the tape until the end of the closure, whatever kind of variable it is.
  @Test func assignedValuesAreDifferentiatedThrough() throws {
    let layer = Linear(2, 1, bias: false)
    let buffer = Buffer(Tensor([[0.0, 0]]))
    let w = Tensor([[1.0, 10]])
    let own = Tensor(w.toArray()).reshape([1, 2])
    let functions: [(String, @Sendable (Tensor) -> Tensor)] = [
      (
        "parameter",
        {
          layer.weight.value = $0; return layer(Tensor([[1.0, 2], [3, -1]])).sum()
        }
      ),
      (
        "buffer",
        {
          buffer.value = $0; return Tensor([[1.0, 2], [3, -1]]).matmul(buffer.value.T).sum()
        }
      ),
      (
        "a change of it",
        {
          layer.weight.value = $0 * 2; return layer(Tensor([[0.5, 1], [1.5, -0.5]])).sum()
        }
      ),
    ]
    for (name, f) in functions {
      #expect(gradient(at: w, f).toArray() == [4, 1], "\(name)")
      #expect(try jvp(at: w, tangent: Tensor([[1.0, 0]]), f).tangent.item() == 4, "\(name)")
      let compiledGradient = compiled { (w: Tensor) in gradient(at: w, f) }
      #expect(try compiledGradient(w).toArray() == [4, 1], "\(name)")
      let leaf = own.requiringGradient()
      let (value, slope) = valueAndGradient(at: leaf, f)
      #expect(slope.toArray() == [4, 1])
      value.backward()
      #expect(leaf.gradient?.toArray() == [4, 1], "\(name)")
    }
    // Afterwards they hold plain values, and a parameter is a leaf again.
    #expect(!buffer.value.requiresGradient && buffer.value.toArray() == [1, 10])
    layer(x).sum().backward()
    #expect(layer.weight.gradient?.toArray() == [4, 1])
  }

  /// One step of descent inside, differentiated by where it began.
  @Test func aStepOfLearningIsDifferentiatedThrough() {
    let p = Parameter(Tensor(0.0))
    let slope = gradient(at: Tensor(3.0)) { start in
      p.value = start
      let g = gradient(at: p.value) { $0 ** 2 }
      p.value = p.value - g * 0.25
      return p.tensor ** 2
    }
    // (x − ½x)² = x²/4.
    #expect(slope.item() == 1.5 && p.value.item() == 1.5)
  }

  /// Compiled functions inside assign too, and what they traced is not left behind.
  @Test func compiledFunctionsAssign() throws {
    let buffer = Buffer(Tensor(0.0))
    let assign = compiled { (x: Tensor) in
      buffer.value = x * 2
      return x + buffer.value
    }
    for _ in 0..<2 {
      // x + 2x, times 2x.
      #expect(try gradient(at: Tensor(3.0)) { x in try assign(x) * buffer.value }.item() == 36)
      #expect(try assign(Tensor(5.0)).item() == 15 && buffer.value.item() == 10)
    }
    let (value, slope) = try jvp(at: Tensor(3.0), tangent: Tensor(1.0)) { x in try assign(x) * buffer.value }
    #expect(value.item() == 54 && slope.item() == 36)
    let nested = gradient(at: Tensor(3.0)) { x in
      buffer.value = x
      let inner = try? jvp(at: x, tangent: Tensor(1.0)) { y in
        buffer.value = y * y
        return y * buffer.value
      }
      // y³ has the slope 3y².
      return inner?.tangent ?? x
    }
    #expect(nested.item() == 18 && buffer.value.item() == 9)
  }

  /// Cut where the code says so.
  @Test func detachedValuesAreConstants() {
    let buffer = Buffer(Tensor(0.0))
    let cut = gradient(at: Tensor(3.0)) { x in
      buffer.value = x.detached()
      return x * buffer.value
    }
    #expect(cut.item() == 3)
    let silent = gradient(at: Tensor(3.0)) { x in
      withoutGradients { buffer.value = x * 2 }
      return x * buffer.value
    }
    #expect(silent.item() == 6)
    let overwritten = gradient(at: Tensor(3.0)) { x in
      buffer.value = x
      buffer.value = Tensor(5.0)
      return x * buffer.value
    }
    #expect(overwritten.item() == 5)
  }
}
