import Foundation
import Testing

@testable import ApusCore

/// The public surface against PyTorch's values and gradients, on every engine there is.
@Suite struct FixtureTests {
  /// Losses and initialisers belong to ApusNN, whose tests read the same file.
  static let elsewhere: Set<String> = ["cross_entropy", "mse_loss", "init"]
  static let cases = ((try? FixtureCase.all.get()) ?? []).filter { !elsewhere.contains($0.op) }

  @Test("the fixtures are there, and every operation in them is known")
  func complete() throws {
    let all = try FixtureCase.all.get()
    #expect(all.count > 600)
    let unknown = Set(all.map(\.op)).subtracting(Self.elsewhere).filter { FixtureOperations.named($0) == nil }
    #expect(unknown.isEmpty)
    _ = try FixtureCase.file.get()
  }

  @Test("values and gradients are PyTorch's", arguments: cases)
  func operation(_ fixture: FixtureCase) throws {
    let function = try #require(FixtureOperations.named(fixture.op), "unknown operation \(fixture.op)")
    let file = try FixtureCase.file.get()
    for engine in testedEngines {
      try withEngine(engine) {
        let leaves = try fixture.inputs.enumerated().map { i, name in
          let tensor = try file.tensor(name)
          return fixture.gradients[i] == nil ? tensor : tensor.requiringGradient()
        }
        let operands = leaves.enumerated().map { fixture.view($0, of: $1) }
        let results = try function(operands, fixture.attributes)
        #expect(results.count == fixture.outputs.count)
        var loss = Tensor(0.0, dtype: .float64)
        for (i, result) in results.enumerated() {
          let expected = try file.tensor(fixture.outputs[i])
          expectClose(result, expected, fixture.tolerance, "\(engine.name), output \(i)")
          if let name = fixture.cotangents[i] {
            loss = loss + (result * (try file.tensor(name))).sum().cast(to: .float64)
          }
        }
        guard fixture.gradients.contains(where: { $0 != nil }) else { return }
        loss.backward()
        for (i, leaf) in leaves.enumerated() {
          guard let name = fixture.gradients[i] else { continue }
          let expected = try file.tensor(name)
          let gradient = leaf.gradient ?? Tensor.zerosLike(expected)
          expectClose(gradient, expected, Swift.max(fixture.tolerance, 1e-10), "\(engine.name), gradient \(i)")
        }
      }
    }
  }
}

/// Printing against NumPy's.
@Suite struct PrintingTests {
  struct Case: Decodable, Sendable, CustomTestStringConvertible {
    struct Range: Decodable, Sendable {
      var start: Double
      var step: Double
    }
    let name: String
    let dtype: String
    let shape: [Int]
    let data: [Attribute]?
    let arange: Range?
    let text: String
    var testDescription: String { name }

    var tensor: Tensor? {
      guard let dtype = DType.allCases.first(where: { $0.description == dtype }) else { return nil }
      let count = shape.reduce(1, *)
      let values: [Double] =
        data.map { $0.map(Self.number) } ?? (0..<count).map { (arange?.start ?? 0) + Double($0) * (arange?.step ?? 1) }
      return Tensor(values, shape: Shape(shape), dtype: dtype)
    }

    private static func number(_ attribute: Attribute) -> Double {
      switch attribute {
      case .number(let value): value
      case .bool(let value): value ? 1 : 0
      case .text("inf"): .infinity
      case .text("-inf"): -.infinity
      default: .nan
      }
    }
  }
  private struct Book: Decodable {
    var cases: [Case]
  }
  static let cases: [Case] = {
    let path = "\(FixtureCase.directory)/printing.json"
    return (try? JSONDecoder().decode(Book.self, from: Data(contentsOf: URL(fileURLWithPath: path))).cases) ?? []
  }()

  @Test("there are cases") func complete() { #expect(Self.cases.count > 40) }

  @Test("a tensor prints as NumPy's array does", arguments: cases)
  func printing(_ printed: Case) throws {
    let tensor = try #require(printed.tensor)
    #expect(tensor.description == printed.text)
  }
}
