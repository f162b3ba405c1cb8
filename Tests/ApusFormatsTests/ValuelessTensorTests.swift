import ApusCore
import ApusFormats
import ApusNN
import Foundation
import TestSupport
import Testing

/// Tensors without values can't be saved, and to try leaves nothing behind.
@Suite struct ValuelessTensorTests {
  private func poisoned() throws -> Tensor {
    var kept: Tensor?
    #expect(throws: ApusError.self) { try checked { kept = Tensor.ones([2]) + Tensor.ones([3]) } }
    return try #require(kept)
  }

  @Test func saving() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("m.safetensors")
    let bad = try poisoned()
    try SafetensorsFile.write(["a": Tensor.ones([2])], to: path)
    let before = try Data(contentsOf: URL(filePath: path))
    let error = #expect(throws: ApusError.self) {
      try SafetensorsFile.write(["a": Tensor.ones([2]), "b": bad], to: path)
    }
    #expect(error?.kind == .argument && error?.message.contains("\"b\"") == true, "\(String(describing: error))")
    let layer = Linear(2, 2)
    layer.weight.initialize(bad)
    #expect(throws: ApusError.self) { try layer.save(to: path) }
    let inTrace = compiled { (x: Tensor) in
      try SafetensorsFile.write(["x": x], to: path)
      return x
    }
    #expect(throws: ApusError.self) { try inTrace(Tensor.ones([2])) }
    #expect(try folder.names() == ["m.safetensors"])
    #expect(try Data(contentsOf: URL(filePath: path)) == before)
  }

  /// Memory of a device that is gone.
  private final class LostBuffer: OpaqueBuffer {
    struct Lost: Error {}
    let device = Device(engine: "lost")
    func writePlain(to destination: UnsafeMutableRawBufferPointer) throws { throw Lost() }
  }

  @Test func savingWhatCantBeRead() throws {
    let folder = try TemporaryFolder()
    let lost = Tensor(storage: Storage(TensorType(.float32, [2]), opaque: LostBuffer()))
    #expect(throws: LostBuffer.Lost.self) {
      try SafetensorsFile.write(["a": Tensor.ones([2]), "b": lost], to: folder.file("m.safetensors"))
    }
    #expect(try folder.names() == [])
  }
}
