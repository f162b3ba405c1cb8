import ApusConformance
import Foundation
import Testing

@testable import ApusCore

/// Primitives' attributes are stored in files.
@Suite struct AttributeCodingTests {
  private func roundTrip<D: PrimitiveDefinition>(_ definition: D) throws -> (any PrimitiveDefinition, isEqual: Bool) {
    let encoder = JSONEncoder()
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    let decoder = JSONDecoder()
    decoder.nonConformingFloatDecodingStrategy = .convertFromString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    let copy = try decoder.decode(D.self, from: encoder.encode(definition))
    return (copy, copy == definition)
  }

  @Test("attributes survive encoding", arguments: SampleCase.all)
  func samples(_ sample: SampleCase) throws {
    if sample.kind == .custom {
      #expect(throws: ApusError.self) { try roundTrip(sample.definition) }
      return
    }
    let (copy, isEqual) = try roundTrip(sample.definition)
    #expect(isEqual, "\(sample.definition) became \(copy)")
  }

  @Test("so do the numbers that == of floating point does not tell apart, or from themselves")
  func specialNumbers() throws {
    for value in [0.0, -0.0, .infinity, -.infinity, .nan, 0.1] {
      let full = Primitive.Full(value: .double(value), type: TensorType(.float64, [2]))
      #expect(try roundTrip(full).isEqual, "\(value)")
    }
  }
}
