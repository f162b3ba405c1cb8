import TestSupport
import Testing

@testable import ApusCore

/// What a function uses besides the point of its derivative stays on the tape around it.
@Suite struct OuterTapeTests {
  private let x = Tensor([1.0, 2])

  /// f(x) = Σ w·x²: value Σ wx², gradient 2wx.
  private func check(_ name: String, _ w: () -> Tensor, _ gradient: () -> Tensor?, _ clear: () -> Void) {
    func f(_ x: Tensor) -> Tensor { (w() * x * x).sum() }
    clear()
    valueAndGradient(at: x, f).value.backward()
    #expect(gradient()?.toArray() == [1, 4], "\(name): the value")
    clear()
    ApusCore.gradient(at: x, f).sum().backward()
    #expect(gradient()?.toArray() == [2, 4], "\(name): the gradient")
    clear()
    // A penalty on the gradient: d/dw Σ(2wx)² = 8wx².
    (ApusCore.gradient(at: x, f) ** 2).sum().backward()
    #expect(gradient()?.toArray() == [24, 160], "\(name): a penalty on the gradient")
    clear()
    let (value, slope) = valueAndGradient(at: x, f)
    (value + slope.sum()).backward()
    #expect(gradient()?.toArray() == [3, 8], "\(name): both")
    clear()
    let (both, slopes) = valueAndGradients(at: [x, x]) { f($0[0]) + f($0[1]) }
    (both + slopes[0].sum() + slopes[1].sum()).backward()
    #expect(gradient()?.toArray() == [6, 16], "\(name): two points")
    clear()
    let second = ApusCore.gradient(at: x) { ApusCore.gradient(at: $0, f).sum() }
    second.sum().backward()
    #expect(gradient()?.toArray() == [2, 2], "\(name): a second derivative")
    clear()
    let (watched, tapeSlope) = GradientTape(createGraph: true).watch(x, f)
    (watched + tapeSlope.sum()).backward()
    #expect(gradient()?.toArray() == [3, 8], "\(name): a tape")
  }

  @Test func parametersAndTensors() {
    let p = Parameter(Tensor([3.0, 5]))
    check("a parameter", { p.tensor }, { p.gradient }) { p.gradient = nil }
    let t = Tensor([3.0, 5]).requiringGradient()
    check("a tensor", { t }, { t.gradient }) { t.gradient = nil }
    let u = Tensor([1.5, 2.5]).requiringGradient()
    check("a result", { u * 2 }, { u.gradient.map { $0 / 2 } }) { u.gradient = nil }
  }

  @Test func compiledFunctions() throws {
    let p = Parameter(Tensor([3.0, 5]))
    let step = compiled { (x: Tensor) in
      let (value, slope) = valueAndGradient(at: x) { (p.tensor * $0 * $0).sum() }
      (value + slope.sum()).backward()
      return p.gradient ?? Tensor(0.0)
    }
    #expect(try step(x).toArray() == [3, 8])
    p.gradient = nil
    let outer = compiled { (x: Tensor) in valueAndGradient(at: x) { (p.tensor * $0 * $0).sum() } }
    let (value, slope) = try outer(x)
    (value + slope.sum()).backward()
    #expect(p.gradient?.toArray() == [3, 8])
  }

  /// Nothing is kept where nothing can be asked for.
  @Test func whatEndsTheTape() {
    let p = Parameter(Tensor([3.0, 5]))
    let plain = valueAndGradient(at: x) { ($0 * $0).sum() }
    #expect(!plain.value.requiresGradient && !plain.gradient.requiresGradient)
    let silent = withoutGradients { valueAndGradient(at: x) { (p.tensor * $0).sum() } }
    #expect(!silent.value.requiresGradient && !silent.gradient.requiresGradient)
    #expect(silent.gradient.toArray() == [3, 5])
    let tape = GradientTape().watch(x) { (p.tensor * $0 * $0).sum() }
    #expect(tape.0.requiresGradient && !tape.1.requiresGradient)
    p.isTrainable = false
    let frozen = valueAndGradient(at: x) { (p.tensor * $0).sum() }
    #expect(!frozen.value.requiresGradient && !frozen.gradient.requiresGradient)
  }
}
