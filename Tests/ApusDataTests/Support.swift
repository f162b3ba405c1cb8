import ApusCore
import Foundation
import Testing

@testable import ApusData

/// The elements of a tensor in row-major order.
func values<T: TensorScalar>(_ tensor: Tensor, as type: T.Type = T.self) -> [T] {
  precondition(tensor.dtype == T.dtype, "\(tensor.type) read as \(T.dtype)")
  return tensor.toArray(of: T.self)
}

func tensor<T: TensorScalar>(_ values: [T], _ shape: Int...) throws -> Tensor {
  try Tensor(bytes: values.span.bytes, type: TensorType(T.dtype, Shape(shape)))
}

/// The message of the `ApusError` that `body` must throw.
func refusal(_ location: SourceLocation = #_sourceLocation, of body: () throws -> some Any) -> String {
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
}
