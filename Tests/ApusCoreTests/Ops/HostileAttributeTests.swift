import ApusConformance
import Foundation
import Testing

@testable import ApusCore

/// Attributes from a file that somebody made to do harm: an error when they are decoded or used, or a valid operation.
@Suite struct HostileAttributeTests {
  private static var numbers: [Any] {
    [
      Int.max, Int.min, Int.max - 1, Int.min + 1, -1, 0, 1, 7, 1 << 31, 1 << 32, 1 << 40, 1 << 62, UInt64.max, 255, 1.5,
      -1e300, "x", NSNull(), [Int](),
    ]
  }

  /// The JSON with one of its numbers replaced.
  private static func mutants(_ json: Any) -> [Any] {
    switch json {
    case let object as [String: Any]:
      return object.keys.sorted().flatMap { key -> [Any] in
        mutants(object[key] ?? 0).map { object.merging([key: $0]) { $1 } as Any }
      }
    case let array as [Any]:
      return array.indices.flatMap { i -> [Any] in
        mutants(array[i]).map { item in
          var copy = array
          copy[i] = item
          return copy as Any
        }
      } + [array + array, array + [Int.max], []]
    case is NSNumber: return numbers
    default: return [0]
    }
  }

  private static func decoded<D: PrimitiveDefinition>(_ definition: D, from mutant: Any) throws -> D {
    try JSONDecoder().decode(D.self, from: JSONSerialization.data(withJSONObject: mutant, options: .fragmentsAllowed))
  }

  /// The primitive with the attributes decoded; nil for those without any.
  private static func mutant(of primitive: Primitive, _ json: Any) throws -> Primitive? {
    switch primitive {
    case .compare(let d): .compare(try decoded(d, from: json))
    case .cast(let d): .cast(try decoded(d, from: json))
    case .full(let d): .full(try decoded(d, from: json))
    case .iota(let d): .iota(try decoded(d, from: json))
    case .dimension(let d): .dimension(try decoded(d, from: json))
    case .reshape(let d): .reshape(try decoded(d, from: json))
    case .permute(let d): .permute(try decoded(d, from: json))
    case .broadcast(let d): .broadcast(try decoded(d, from: json))
    case .slice(let d): .slice(try decoded(d, from: json))
    case .sliceUpdate(let d): .sliceUpdate(try decoded(d, from: json))
    case .pad(let d): .pad(try decoded(d, from: json))
    case .reverse(let d): .reverse(try decoded(d, from: json))
    case .concatenate(let d): .concatenate(try decoded(d, from: json))
    case .sum(let d): .sum(try decoded(d, from: json))
    case .product(let d): .product(try decoded(d, from: json))
    case .max(let d): .max(try decoded(d, from: json))
    case .min(let d): .min(try decoded(d, from: json))
    case .argMax(let d): .argMax(try decoded(d, from: json))
    case .argMin(let d): .argMin(try decoded(d, from: json))
    case .gather(let d): .gather(try decoded(d, from: json))
    case .scatterAdd(let d): .scatterAdd(try decoded(d, from: json))
    case .gatherAlong(let d): .gatherAlong(try decoded(d, from: json))
    case .scatterAddAlong(let d): .scatterAddAlong(try decoded(d, from: json))
    case .convolution(let d): .convolution(try decoded(d, from: json))
    case .convolutionInputGradient(let d): .convolutionInputGradient(try decoded(d, from: json))
    case .convolutionWeightGradient(let d): .convolutionWeightGradient(try decoded(d, from: json))
    case .maxPool(let d): .maxPool(try decoded(d, from: json))
    case .maxPoolGradient(let d): .maxPoolGradient(try decoded(d, from: json))
    case .maxPoolGather(let d): .maxPoolGather(try decoded(d, from: json))
    case .averagePool(let d): .averagePool(try decoded(d, from: json))
    case .averagePoolGradient(let d): .averagePoolGradient(try decoded(d, from: json))
    case .softmax(let d): .softmax(try decoded(d, from: json))
    case .logSoftmax(let d): .logSoftmax(try decoded(d, from: json))
    case .batchNorm(let d): .batchNorm(try decoded(d, from: json))
    case .batchNormGradient(let d): .batchNormGradient(try decoded(d, from: json))
    case .randomUniform(let d): .randomUniform(try decoded(d, from: json))
    case .randomNormal(let d): .randomNormal(try decoded(d, from: json))
    default: nil
    }
  }

  private static func attributes(_ definition: any PrimitiveDefinition) throws -> Any {
    let encoder = JSONEncoder()
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    return try JSONSerialization.jsonObject(with: encoder.encode(definition))
  }

  @Test("each is refused, or computes", arguments: SampleCase.all)
  func samples(_ sample: SampleCase) throws {
    if sample.kind == .custom { return }
    let operands = try sample.operands()
    for json in Self.mutants(try Self.attributes(sample.definition)) {
      // What is recorded inside `checked`, an initialiser's complaint say, is thrown at its end.
      try? checked(operationLimit: 100_000) {
        guard let primitive = try Self.mutant(of: sample.sample.primitive, json) else { return }
        // Also on operands whose other sizes are as large as can be.
        let empty = operands.map { x in
          x.rank < 2 ? x : Tensor.zeros(Shape([Int.max] + [Int](repeating: 0, count: x.rank - 1)), dtype: x.dtype)
        }
        for operands in [operands, empty] {
          guard let types = try? primitive.definition.infer(operands.map(\.type)) else { continue }
          // What a machine may just hold would only take its memory, and everybody's time.
          if types.contains(where: { (1 << 20..<1 << 40).contains($0.shape.elementCount) }) { continue }
          for engine in [Engines.embedded, ReferenceEngine.shared] as [any Engine] {
            let results = try? withEngine(engine) { try apply(primitive, operands) }
            if let results { #expect(results.map(\.type) == types, "\(primitive)") }
          }
          let leaves = operands.filter { $0.dtype.isFloatingPoint }
          guard !leaves.isEmpty, primitive.definition.isDifferentiable else { continue }
          _ = try? checked {
            valueAndGradients(at: leaves) { leaves in
              var rest = leaves[...]
              let all = operands.map { $0.dtype.isFloatingPoint ? rest.removeFirst() : $0 }
              return Dispatch.run(primitive, all)[0].sum()
            }
          }
        }
      }
    }
  }

  @Test(
    "sizes that are arithmetic",
    arguments: [
      #"{"terms":[{"factors":[],"coefficient":-5}]}"#,
      #"{"terms":[{"factors":[{"symbol":{"_0":"n"}}],"coefficient":0}]}"#,
      #"{"terms":[{"factors":[{"quotient":{"_0":{"terms":[]},"_1":{"terms":[]}}}],"coefficient":1}]}"#,
      #"{"terms":[{"factors":[{"symbol":{"_0":"n"}}],"coefficient":-9223372036854775808}]}"#,
      #"{"terms":[{"factors":[{"symbol":{"_0":"n"}},{"symbol":{"_0":"a"}}],"coefficient":9223372036854775807},{"factors":[{"symbol":{"_0":"a"}},{"symbol":{"_0":"n"}}],"coefficient":9223372036854775807}]}"#,
    ])
  func dimensions(_ text: String) {
    guard let dim = try? JSONDecoder().decode(Dim.self, from: Data(text.utf8)) else { return }
    let n: Dim = "n"
    _ = (dim.description, dim.resolved(["n": 3, "a": 5]), dim.resolved(["n": .max, "a": .max]))
    _ = try? checked { (dim * dim, dim + n, dim - n, n / dim, dim / n, dim / -1, dim * .min, dim + .min, dim - .min) }
  }

  @Test("a permutation holds each axis once")
  func permutations() {
    for text in [
      #"{"packed":0,"count":-1}"#, #"{"packed":0,"count":2}"#, #"{"packed":1,"count":9}"#,
      #"{"packed":18446744073709551615,"count":2}"#, #"{"packed":65536,"count":1}"#,
    ] {
      #expect(throws: DecodingError.self, "\(text)") {
        try JSONDecoder().decode(Permutation.self, from: Data(text.utf8))
      }
    }
  }
}
