import ApusConformance
import Foundation
import Testing

@testable import ApusCore

/// The reference engine, by which all others are measured, against NumPy and SciPy on special values. Signs of zeros count.
@Suite struct SpecialValueTests {
  private struct Book: Decodable {
    struct Part: Decodable {
      var values: [String]
      var paired: [String]
      var unary: [String: [String]]
      var binary: [String: [String]]
    }
    var float32: Part
    var float64: Part
  }

  private static func book() throws -> Book {
    try JSONDecoder().decode(
      Book.self, from: Data(contentsOf: URL(fileURLWithPath: "\(FixtureCase.directory)/specials.json")))
  }

  /// Values and names of operations as the fixture has them.
  private static func numbers(_ texts: [String]) throws -> [Double] { try texts.map { try #require(Double($0)) } }

  private static func primitive(_ name: String) throws -> Primitive {
    for comparison in Primitive.Compare.Comparison.allCases where "\(comparison)" == name {
      return .compare(.init(comparison))
    }
    let kind = try #require(PrimitiveKind(rawValue: name))
    return try #require(kind.samples.first).primitive
  }

  @Test("the reference gives NumPy's values", arguments: [DType.float32, .float64])
  func reference(_ dtype: DType) throws {
    let book = try Self.book()
    let part = dtype == .float32 ? book.float32 : book.float64
    let x = try Self.numbers(part.values)
    let paired = try Self.numbers(part.paired)
    let (a, b) = (paired.flatMap { value in paired.map { _ in value } }, paired.flatMap { _ in paired })
    var names: Set<String> = []
    for (name, results, operands) in part.unary.map({ ($0, $1, [x]) }) + part.binary.map({ ($0, $1, [a, b]) }) {
      names.insert(name)
      let primitive = try Self.primitive(name)
      let tensors = try operands.map { values in
        let wide = try Tensor(bytes: values.span.bytes, type: TensorType(.float64, [Dim(values.count)]))
        return withEngine(ReferenceEngine.shared) { wide.cast(to: dtype) }
      }
      let types = try primitive.definition.infer(tensors.map(\.type))
      let storage = try ReferenceEngine.shared.execute(primitive, tensors.map(\.storage), outputs: types)[0]
      let found = withEngine(ReferenceEngine.shared) { Tensor(storage).toArray(of: Double.self) }
      // Both round a function's value once, but for NumPy's own error.
      let ulp = dtype == .float32 ? 0x1p-23 : 0x1p-52
      let least = dtype == .float32 ? 0x1p-149 : 0x1p-1074
      for (i, expected) in try Self.numbers(results).enumerated() {
        let agrees =
          expected.isNaN
          ? found[i].isNaN
          : found[i] == expected
            ? found[i] != 0 || found[i].sign == expected.sign || types[0].dtype == .bool
            : abs(found[i] - expected) <= 2 * ulp * abs(expected) + least
        #expect(agrees, "\(name) of \(operands.map { $0[i] }) is \(found[i]), not \(expected)")
      }
    }
    // Whatever is element-wise, on real numbers and from one formula, is in the fixture.
    #expect(names.isSuperset(of: ["sign", "sigmoid", "remainder", "power", "maximum", "minimum", "eq", "ge"]))
  }
}
