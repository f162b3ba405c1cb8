import ApusInterop
import CDLPack
import Synchronization
import Testing

@testable import ApusCore

/// A structure as another library would make it; its deleter counts.
private final class Foreign {
  static let deleted = Mutex<[UInt: Int]>([:])
  let managed: DLPack.Managed
  private let sizes: UnsafeMutablePointer<Int64>
  private let memory: UnsafeMutableRawBufferPointer

  init(_ shape: [Int], strides: [Int]? = nil, code: Int32 = 2, bits: UInt8 = 32, lanes: UInt16 = 1, count: Int = 64) {
    memory = .allocate(byteCount: count * 8, alignment: 64)
    for (i, value) in memory.bindMemory(to: Float.self).indices.enumerated() {
      memory.storeBytes(of: Float(i), toByteOffset: value * 4, as: Float.self)
    }
    sizes = .allocate(capacity: 32)
    for (i, size) in shape.prefix(16).enumerated() { sizes[i] = Int64(size) }
    for (i, step) in (strides ?? []).prefix(16).enumerated() { sizes[16 + i] = Int64(step) }
    managed = .allocate(capacity: 1)
    managed.initialize(
      to: apus_dl_versioned(
        version: apus_dl_version(major: 1, minor: 3), context: nil,
        deleter: { managed in Foreign.deleted.withLock { $0[UInt(bitPattern: managed), default: 0] += 1 } }, flags: 0,
        tensor: apus_dl_tensor(
          data: memory.baseAddress, device: apus_dl_device(device_type: 1, device_id: 0), ndim: Int32(shape.count),
          dtype: apus_dl_dtype(code: UInt8(code), bits: bits, lanes: lanes), shape: sizes,
          strides: strides == nil ? nil : sizes + 16, byte_offset: 0)))
    Foreign.deleted.withLock { $0[UInt(bitPattern: managed)] = 0 }
  }
  deinit {
    managed.deallocate()
    sizes.deallocate()
    memory.deallocate()
  }
  var deletions: Int { Foreign.deleted.withLock { $0[UInt(bitPattern: managed)] ?? 0 } }
}

/// The binary interface by itself; `./dev judge dlpack` holds it against NumPy and PyTorch.
@Suite struct DLPackTests {
  @Test("another library's elements are used in place, and its deleter runs once")
  func imports() throws {
    let foreign = Foreign([2, 3], strides: [1, 2])
    foreign.managed.pointee.tensor.byte_offset = 8
    do {
      let x = try DLPack.tensor(consuming: foreign.managed)
      #expect(x.type == TensorType(.float32, [2, 3]))
      #expect(UnsafeMutableRawPointer(x.storage.plainAddress) == foreign.managed.pointee.tensor.data.map { $0 + 8 })
      #expect(x.toArray() == [2, 4, 6, 3, 5, 7])
      let row = x[1]
      #expect(foreign.deletions == 0)
      #expect((row + 1).toArray() == [4, 6, 8])
    }
    #expect(foreign.deletions == 1)
    let scalar = Foreign([])
    scalar.managed.pointee.tensor.shape = nil
    #expect(try DLPack.tensor(consuming: scalar.managed).item() == 0)
    let empty = Foreign([0, 3])
    empty.managed.pointee.tensor.data = nil
    #expect(try DLPack.tensor(consuming: empty.managed).shape == [0, 3])
    let kept = Foreign([2])
    kept.managed.pointee.deleter = nil
    #expect(try DLPack.tensor(consuming: kept.managed).toArray() == [0, 1])
  }

  @Test("what can't be read is refused, and its deleter runs once")
  func refuses() throws {
    func refuses(
      _ text: String, _ foreign: Foreign, _ location: SourceLocation = #_sourceLocation,
      _ change: (inout apus_dl_versioned) -> Void = { _ in }
    ) {
      change(&foreign.managed.pointee)
      let error = #expect(throws: ApusError.self, sourceLocation: location) {
        try DLPack.tensor(consuming: foreign.managed)
      }
      #expect(error?.description.contains(text) == true, "\(String(describing: error))", sourceLocation: location)
      #expect(foreign.deletions == 1, sourceLocation: location)
    }
    refuses("version 2.0", Foreign([2])) { $0.version = apus_dl_version(major: 2, minor: 0) }
    refuses("device type 2", Foreign([2])) { $0.tensor.device.device_type = 2 }
    refuses("4 lanes", Foreign([2], lanes: 4))
    refuses("type code 2 and 80 bits", Foreign([2], bits: 80))
    refuses("type code 8 and 8 bits", Foreign([2], code: 8, bits: 8))
    refuses("9 dimensions", Foreign([Int](repeating: 1, count: 9)))
    refuses("-1 dimensions", Foreign([2])) { $0.tensor.ndim = -1 }
    refuses("negative size", Foreign([2, -3]))
    refuses("without a shape", Foreign([2])) { $0.tensor.shape = nil }
    refuses("without memory", Foreign([2])) { $0.tensor.data = nil }
    refuses("negative", Foreign([4], strides: [-1]))
    refuses("beyond what can be addressed", Foreign([.max]))
    refuses("beyond what can be addressed", Foreign([2, 2], strides: [.max, 1]))
    refuses("byte offset", Foreign([2])) { $0.tensor.byte_offset = .max }
    refuses("multiples of 4 bytes", Foreign([2])) { $0.tensor.byte_offset = 2 }
  }

  @Test("what is read-only is never overwritten, whatever is asked")
  func readOnly() throws {
    let foreign = Foreign([3])
    #expect(try DLPack.tensor(consuming: foreign.managed, mayOverwrite: true).storage.isReusable)
    let other = Foreign([3])
    other.managed.pointee.flags = UInt64(APUS_DL_READ_ONLY)
    #expect(try !DLPack.tensor(consuming: other.managed, mayOverwrite: true).storage.isReusable)
  }

  @Test("lent elements live until the deleter runs, and come back as they were")
  func exports() throws {
    for dtype in DType.allCases {
      let bytes = (0..<6 * max(dtype.bitWidth, 8) / 8).map { UInt8($0 % 2) }
      let count = dtype.bitWidth < 8 ? 3 : bytes.count
      let x = try Tensor(bytes: Array(bytes.prefix(count)).span.bytes, type: TensorType(dtype, [2, 3]))
      guard dtype.bitWidth >= 8 else {
        #expect(throws: ApusError.self) { try DLPack.managed(x) }
        continue
      }
      let back = try DLPack.tensor(consuming: try DLPack.managed(x))
      #expect(back.type == x.type && back.storage.plainAddress == x.storage.plainAddress)
      let older = try DLPack.tensor(consuming: try DLPack.unversionedManaged(x.T))
      #expect(older.shape == [3, 2] && older.storage.plainAddress == x.storage.plainAddress)
      #expect(older.storage.strides[0] == 1 && older.storage.strides[1] == 3)
      let copy = try DLPack.tensor(consuming: try DLPack.managed(x.T, copy: true))
      #expect(copy.storage.plainAddress != x.storage.plainAddress && copy.storage.isContiguous)
    }
    var x: Tensor? = Tensor([1.0, 2, 3])
    let managed = try DLPack.managed(try #require(x))
    #expect(managed.pointee.flags == UInt64(APUS_DL_READ_ONLY))
    x = nil
    #expect(managed.pointee.tensor.data?.load(fromByteOffset: 4, as: Float.self) == 2)
    managed.pointee.deleter?(managed)
    #expect(throws: ApusError.self) { try checked { try DLPack.managed(Tensor.ones([2]) + Tensor.ones([3])) } }
  }
}
