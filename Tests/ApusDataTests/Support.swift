import ApusCore
import Foundation
import Testing

@testable import ApusData

/// Random numbers that every run repeats.
struct Dice: RandomNumberGenerator {
  private var mixer: SplitMix64
  init(_ seed: UInt64) { mixer = SplitMix64(state: seed) }
  mutating func next() -> UInt64 { mixer.next() }
}

/// The elements of a tensor in row-major order.
func values<T: TensorScalar>(_ tensor: Tensor, as type: T.Type = T.self) -> [T] {
  precondition(tensor.dtype == T.dtype, "\(tensor.type) read as \(T.dtype)")
  return tensor.toArray(of: T.self)
}

func tensor<T: TensorScalar>(_ values: [T], _ shape: Int...) throws -> Tensor {
  try Tensor(bytes: values.span.bytes, type: TensorType(T.dtype, Shape(shape)))
}

/// A folder that exists while `body` runs.
func withFolder<R>(_ body: (String) throws -> R) throws -> R {
  let folder = FileManager.default.temporaryDirectory.appending(path: "apus-\(UUID().uuidString)")
  try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  defer { try? FileManager.default.removeItem(at: folder) }
  return try body(folder.path + "/")
}

/// The message of the `ApusError` that `body` must throw.
func message(_ location: SourceLocation = #_sourceLocation, of body: () throws -> some Any) -> String {
  do {
    _ = try body()
    Issue.record("nothing was thrown", sourceLocation: location)
  } catch let error as ApusError {
    return error.message
  } catch {
    Issue.record("not an ApusError: \(error)", sourceLocation: location)
  }
  return ""
}

extension Array where Element == UInt8 {
  init(base64 text: String) { self = [UInt8](Data(base64Encoded: text)!) }

  /// A copy with a few bytes changed, removed, doubled, or the end cut off.
  func damaged(_ dice: inout Dice) -> [UInt8] {
    var copy = self
    for _ in 0..<Int.random(in: 1...4, using: &dice) where !copy.isEmpty {
      let place = Int.random(in: 0..<copy.count, using: &dice)
      switch Int.random(in: 0..<6, using: &dice) {
      case 0, 1: copy[place] ^= 1 << UInt8.random(in: 0..<8, using: &dice)
      case 2: copy[place] = [0, 1, 0x7F, 0x80, 0xFF].randomElement(using: &dice)!
      case 3: copy.removeLast(copy.count - place)
      case 4: copy.insert(contentsOf: copy[place..<Swift.min(place + 9, copy.count)], at: place)
      default: copy.remove(at: place)
      }
    }
    return copy
  }
}
