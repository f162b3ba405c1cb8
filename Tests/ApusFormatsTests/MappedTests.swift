import ApusFiles
import ApusFormats
import ApusNN
import Foundation
import TestSupport
import Testing

@testable import ApusCore

/// Tensors used where they lie in a file. `./dev judge mapped` runs a gigabyte of weights.
@Suite struct MappedTests {
  private func write(_ tensors: StateDictionary, _ path: String) throws {
    try SafetensorsFile.write(tensors, to: path)
  }

  private func isBorrowed(_ tensor: Tensor) -> Bool {
    if case .borrowed = tensor.storage.content { true } else { false }
  }

  @Test("every dtype is what it is when it is copied, and in place but for bools")
  func values() throws {
    let folder = try TemporaryFolder()
    var tensors: StateDictionary = [:]
    for dtype in DType.allCases where ![.complex128, .int4, .uint4].contains(dtype) {
      let raw = (0..<6 * dtype.bitWidth / 8).map { UInt8(truncatingIfNeeded: dtype == .bool ? $0 % 2 : $0 * 37 + 5) }
      tensors["t.\(dtype)"] = try Tensor(bytes: raw.span.bytes, type: TensorType(dtype, [2, 3]))
    }
    tensors["scalar"] = Tensor(2.5)
    tensors["empty"] = Tensor.zeros([0, 4])
    try write(tensors, folder.file("a"))
    for placement in [SafetensorsFile.Placement.mapped, .mappedCopy(folder: folder.path)] {
      let file = try SafetensorsFile(folder.file("a"), placement: placement)
      for (name, tensor) in tensors {
        let read = try file.tensor(name)
        #expect(read.type == tensor.type)
        #expect(read.storage.withBytes { Array($0) } == tensor.storage.withBytes { Array($0) }, "\(name)")
        #expect(isBorrowed(read) == (tensor.dtype != .bool && tensor.elementCount > 0), "\(name)")
      }
    }
    #expect(try folder.names() == ["a"], "a private copy has no name")
  }

  @Test("what does not lie as its dtype asks for is copied")
  func misaligned() throws {
    let folder = try TemporaryFolder()
    let header =
      #"{"b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"f":{"dtype":"F32","shape":[2],"data_offsets":[1,9]}}"#
    var data = [UInt8](repeating: 7, count: 1)
    for value in [Float(1.5), -2] { withUnsafeBytes(of: value.bitPattern.littleEndian) { data += $0 } }
    let padded = header + String(repeating: " ", count: (8 - header.utf8.count % 8) % 8)
    try bytes(header: padded, data: data).write(to: URL(filePath: folder.file("a")))
    let file = try SafetensorsFile(folder.file("a"), placement: .mapped)
    #expect(try isBorrowed(file.tensor("b")) && !isBorrowed(file.tensor("f")))
    #expect(try file.tensor("f").toArray() == [1.5, -2])
  }

  @Test("a model's weights are the file's, until training changes them")
  func model() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("a")
    let saved = Linear(3, 2)
    try saved.save(to: path)
    let before = try Data(contentsOf: URL(filePath: path))
    let model = Linear(2)
    try model.load(from: path, placement: .mapped)
    #expect(isBorrowed(model.weight.value) && isBorrowed(model.bias!.value))
    let x = Tensor([[1.0, 2, 3]])
    #expect(model(x).toArray() == saved(x).toArray())
    let optimizer = SGD(model.parameters, learningRate: 0.1)
    let step = compiled { (x: Tensor) in
      optimizer.zeroGradients()
      model(x).sum().backward()
      optimizer.step()
    }
    try step(x)
    try step(x)
    #expect(model(x).toArray() != saved(x).toArray())
    #expect(try Data(contentsOf: URL(filePath: path)) == before)
    // The file may go: what is mapped stays.
    let kept = try SafetensorsFile(path, placement: .mapped).tensor("weight")
    try FileManager.default.removeItem(atPath: path)
    #expect(kept.toArray() == saved.weight.value.toArray())
  }

  @Test("a private copy does not notice what becomes of the file")
  func privateCopy() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("a")
    try write(["x": Tensor([1.0, 2, 3])], path)
    let file = try SafetensorsFile(path, placement: .mappedCopy(folder: folder.path))
    let x = try file.tensor("x")
    try Data().write(to: URL(filePath: path))
    #expect(x.toArray() == [1, 2, 3])
    #expect(try file.tensor("x").toArray() == [1, 2, 3])
    let copy = try InputFile(path).privateCopy(in: folder.path)
    #expect(try copy.size == 0 && copy.digest() == InputFile(path).digest())
    let missing = message { _ = try InputFile(path).privateCopy(in: folder.file("nowhere")) }
    #expect(missing.contains("nowhere"))
  }

  @Test("only regular files are mapped, and only what is in them")
  func refused() throws {
    let folder = try TemporaryFolder()
    #expect(throws: ApusError.self) { try SafetensorsFile(folder.path, placement: .mapped) }
    #expect(throws: ApusError.self) { try SafetensorsFile("/dev/zero", placement: .mapped) }
    #expect(throws: ApusError.self) { try SafetensorsFile(folder.file("none"), placement: .mapped) }
    try Data([1, 2, 3, 4]).write(to: URL(filePath: folder.file("a")))
    #expect(throws: ApusError.self) { try SafetensorsFile(folder.file("a"), placement: .mapped) }
    let mapped = try MappedFile(InputFile(folder.file("a")))
    #expect(try mapped.tensor(TensorType(.uint8, [2]), at: 2).toArray() == [3, 4])
    for (shape, offset) in [([2], 3), ([1], -1), ([0], 5), ([Int.max], 0)] as [(Shape, Int)] {
      #expect(throws: ApusError.self) { try mapped.tensor(TensorType(.uint8, shape), at: offset) }
    }
    try Data().write(to: URL(filePath: folder.file("empty")))
    let empty = try MappedFile(InputFile(folder.file("empty")))
    #expect(try empty.tensor(TensorType(.float32, [0, 2]), at: 0).elementCount == 0)
  }

  @Test("mapping takes no memory of the process's own, however large the file")
  func resident() async {
    await #expect(processExitsWith: .success) {
      func own() throws -> Int {
        let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
        let line = status.split(separator: "\n").first { $0.hasPrefix("RssAnon") } ?? ""
        return (line.split { !$0.isNumber }.first.flatMap { Int($0) } ?? 0) << 10
      }
      let folder = try TemporaryFolder()
      // With holes: no bytes are written.
      let count = 64 << 20
      let header = "{\"w\":{\"dtype\":\"F32\",\"shape\":[\(count)],\"data_offsets\":[0,\(count * 4)]}}"
      let padded = header + String(repeating: " ", count: (8 - header.utf8.count % 8) % 8)
      let file = try FileHandle(
        forWritingTo: { () -> URL in
          let url = URL(filePath: folder.file("a"))
          try bytes(header: padded).write(to: url)
          return url
        }())
      try file.truncate(atOffset: UInt64(8 + padded.utf8.count + count * 4))
      let before = try own()
      let w = try SafetensorsFile(folder.file("a"), placement: .mapped).tensor("w")
      // Each page is looked at.
      var sum = Float(0)
      let elements = w.storage.pointer(as: Float.self)
      for i in stride(from: 0, to: count, by: 1024) { sum += elements[i] }
      let growth = try own() - before
      print("own memory grew by \(growth >> 10) KiB over \(count >> 18) MiB")
      if sum != 0 || growth > 16 << 20 { exit(1) }
    }
  }
}
