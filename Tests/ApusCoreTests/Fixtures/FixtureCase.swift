import ApusFormats
import Foundation
import Testing

@testable import ApusCore

/// An operation's other arguments as the fixtures give them, and their views.
enum Attribute: Decodable, Sendable {
  case null
  case bool(Bool)
  case number(Double)
  case text(String)
  case list([Attribute])

  init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    if container.decodeNil() {
      self = .null
    } else if let value = try? container.decode(Bool.self) {
      self = .bool(value)
    } else if let value = try? container.decode(Double.self) {
      self = .number(value)
    } else if let value = try? container.decode(String.self) {
      self = .text(value)
    } else {
      self = .list(try container.decode([Attribute].self))
    }
  }

  var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
  var double: Double? { if case .number(let value) = self { value } else { nil } }
  var int: Int? { double.map { Int($0) } }
  var text: String? { if case .text(let value) = self { value } else { nil } }
  var list: [Attribute]? { if case .list(let value) = self { value } else { nil } }
  var ints: [Int]? { list?.compactMap(\.int) }
}

/// One case of Tests/Fixtures/ops.json; the format is told in Scripts/fixtures/operations.py.
struct FixtureCase: Decodable, Sendable, CustomTestStringConvertible {
  let name: String
  let op: String
  let inputs: [String]
  let views: [String: [String: [Attribute]]]?
  let attributes: [String: Attribute]
  let outputs: [String]
  let cotangents: [String?]
  let gradients: [String?]
  let tolerance: Double

  var testDescription: String { name }

  private struct Book: Decodable {
    var cases: [FixtureCase]
  }

  static let directory = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appendingPathComponent("Fixtures").path
  static let all: Result<[FixtureCase], any Error> = Result {
    try JSONDecoder().decode(Book.self, from: Data(contentsOf: URL(fileURLWithPath: "\(directory)/ops.json"))).cases
  }
  static let file: Result<SafetensorsFile, any Error> = Result { try SafetensorsFile("\(directory)/ops.safetensors") }

  /// The operand as the operation sees it.
  func view(_ position: Int, of tensor: Tensor) -> Tensor {
    guard let view = views?["\(position)"] else { return tensor }
    var result = tensor
    if let order = view["permute"] { result = result.permuted(order.compactMap(\.int)) }
    if let slices = view["slice"] { result = result.sliced(slices) }
    if let sizes = view["expand"] { result = result.broadcast(to: Shape(sizes.compactMap(\.int))) }
    return result
  }
}

extension Tensor {
  /// By one [start, stop, step] a dimension.
  func sliced(_ slices: [Attribute]) -> Tensor {
    let triples = slices.map { $0.ints ?? [] }
    return sliced(starts: triples.map { $0[0] }, stops: triples.map { $0[1] }, steps: triples.map { $0[2] })
  }
}
