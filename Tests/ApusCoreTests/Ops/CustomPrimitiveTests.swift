import Foundation
import Testing

@testable import ApusCore

@Suite struct CustomPrimitiveTests {
  /// x³ computed on the host, with its derivative in public operations.
  private let cube = CustomPrimitive(
    "cube", infer: { $0 },
    evaluate: { x in [Tensor(x[0].toArray(of: Double.self).map { $0 * $0 * $0 }, shape: x[0].shape, dtype: x[0].dtype)]
    },
    derivative: .vjp { context in [context.gradient * context.input(0) ** 2 * 3] })

  @Test("eager, differentiated twice, compiled, mapped")
  func everywhere() throws {
    let cube = cube
    let x = Tensor([1.0, 2.0], dtype: .float64)
    #expect(cube(x)[0].toArray() == [1, 8])
    #expect(gradient(at: x) { cube($0)[0].sum() }.toArray() == [3, 12])
    #expect(gradient(at: x) { gradient(at: $0) { cube($0)[0].sum() }.sum() }.toArray() == [6, 12])
    let function = compiled { (x: Tensor) in cube(x)[0] + 1 }
    #expect(try function(x).toArray() == [2, 9])
    #expect(try vectorized { (x: Tensor) in cube(x)[0] }(x.reshape(2, 1)).toArray() == [1, 8])
  }

  @Test("what is said not to be differentiable gives no gradient")
  func notDifferentiable() {
    let cut = CustomPrimitive(
      "cut", infer: { $0 }, evaluate: { $0 }, derivative: .notDifferentiable(because: "it is a test"))
    #expect(gradient(at: Tensor([1.0, 2.0])) { (cut($0)[0] + $0).sum() }.toArray() == [1, 1])
  }

  @Test("results that the type rule did not promise are an error")
  func wrongTypes() {
    let liar = CustomPrimitive(
      "liar", infer: { $0 }, evaluate: { [$0[0].sum()] }, derivative: .notDifferentiable(because: "it is a test"))
    let error = #expect(throws: ApusError.self) { try checked { liar(Tensor.ones([2]))[0] } }
    #expect(error?.description.contains("liar") == true)
  }

  @Test("it has an identity, and can't be stored")
  func identity() throws {
    let other = CustomPrimitive(
      "cube", infer: { $0 }, evaluate: { $0 }, derivative: .notDifferentiable(because: "it is a test"))
    #expect(cube == cube)
    #expect(cube != other)
    let error = #expect(throws: ApusError.self) { try JSONEncoder().encode(cube) }
    #expect(error?.kind == .unsupported)
  }
}
