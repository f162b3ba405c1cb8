import ApusInterop
import Synchronization
import Testing

@testable import ApusCore

/// Memory that a test owns, and how often it was told that nothing uses it.
final class Owner: @unchecked Sendable {
  let memory: UnsafeMutableRawBufferPointer
  private let releases = Atomic(0)

  init<T>(_ values: [T]) {
    memory = .allocate(byteCount: values.count * MemoryLayout<T>.stride, alignment: 64)
    values.withUnsafeBytes { memory.copyMemory(from: $0) }
  }
  deinit { memory.deallocate() }

  var count: Int { releases.load(ordering: .relaxed) }
  var address: UnsafeRawPointer? { UnsafeRawPointer(memory.baseAddress) }
  func values<T>(_: T.Type) -> [T] { Array(memory.bindMemory(to: T.self)) }

  func lend(
    _ type: TensorType, strides: [Int]? = nil, mayOverwrite: Bool = false, from offset: Int = 0, bytes: Int? = nil
  ) throws -> Tensor {
    let part = UnsafeRawBufferPointer(rebasing: memory[offset..<(bytes.map { offset + $0 } ?? memory.count)])
    return try Tensor(borrowing: part, type: type, strides: strides, mayOverwrite: mayOverwrite) {
      self.releases.add(1, ordering: .relaxed)
    }
  }
}

/// Tensors over somebody else's memory: values as all others, and the owner is told once.
@Suite struct BorrowedMemoryTests {
  private let six = TensorType(.float32, [2, 3])
  private let values: [Float] = [1, 2, 3, 4, 5, 6]

  @Test("used where it lies, by the engine and through views, and given back with the last of them")
  func inPlace() throws {
    let owner = Owner(values)
    do {
      var view: Tensor?
      do {
        let x = try owner.lend(six)
        #expect(UnsafeRawPointer(x.storage.plainAddress) == owner.address)
        #expect((x * 2).toArray() == [2, 4, 6, 8, 10, 12])
        #expect(x.matmul(x.T).toArray() == [14, 32, 32, 77])
        view = x.T[1...]
      }
      #expect(owner.count == 0)
      #expect(view?.toArray() == [2, 5, 3, 6])
      view = nil
    }
    #expect(owner.count == 1)
  }

  @Test("strides of any dense memory's view, and one element repeated")
  func strided() throws {
    let owner = Owner((0..<24).map { Float($0) })
    let turned = try owner.lend(TensorType(.float32, [4, 3, 2]), strides: [1, 8, 4])
    let plain = Tensor((0..<24).map { Double($0) }, dtype: .float32).reshape([3, 2, 4]).permuted(2, 0, 1)
    #expect(turned.toArray() == plain.toArray())
    #expect((turned + 1).sum(0).toArray() == (plain + 1).sum(0).toArray())
    let stepped = try owner.lend(TensorType(.float32, [3, 4]), strides: [8, 2])
    #expect(stepped.toArray() == [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22])
    #expect(stepped.matmul(stepped.T).shape == [3, 3])
    let repeated = try owner.lend(TensorType(.float32, [3, 2]), strides: [0, 1])
    #expect(repeated.toArray() == [0, 1, 0, 1, 0, 1])
    // Another library may write anything where an axis has one element.
    let column = try owner.lend(TensorType(.float32, [1, 3, 1]), strides: [-7, 8, .max])
    #expect(column.toArray() == [0, 8, 16])
    #expect(column.reshape([3]).toArray() == [0, 8, 16])
    #expect(try owner.lend(TensorType(.float32, [0, 3]), strides: [.max, -1]).toArray() == [])
    #expect(try owner.lend(TensorType(.float32, [])).item() == 0)
  }

  @Test("what changes a tensor copies it first, by every way of changing")
  func copiedBeforeWriting() throws {
    let owner = Owner(values)
    var x = try owner.lend(six)
    x[0, 0] = Tensor(100.0)
    #expect(x.toArray() == [100, 2, 3, 4, 5, 6])
    var y = try owner.lend(six)
    y += 1
    y = try owner.lend(six).exp()
    y = -(try owner.lend(six))
    #expect(y.toArray() == [-1, -2, -3, -4, -5, -6])
    // A compiled function that replaces a variable reuses the memory of what was there.
    let variable = Variable(try owner.lend(six))
    let step = compiled { variable.value = variable.value * 2 + 1 }
    try step()
    try step()
    #expect(variable.value.toArray() == [7, 11, 15, 19, 23, 27])
    #expect(owner.values(Float.self) == values)
    x = y
    variable.value = y
    #expect(owner.count == 5)
  }

  @Test("memory that is lent to be overwritten takes results, where nobody else holds it")
  func overwritten() throws {
    let owner = Owner(values)
    let x = try owner.lend(six, mayOverwrite: true)
    let kept = x + 0
    #expect(x.storage.isReusable)
    #expect((kept * 3).sum().item() == 63)
    #expect(owner.values(Float.self) == values)
    var y = try owner.lend(six, mayOverwrite: true)
    y[0, 0] = Tensor(100.0)
    #expect(UnsafeRawPointer(y.storage.plainAddress) == owner.address)
    #expect(owner.values(Float.self) == [100, 2, 3, 4, 5, 6])
    #expect(throws: ApusError.self) { try owner.lend(six, strides: [1, 2], mayOverwrite: true) }
  }

  @Test("memory that does not fit is refused, naming what is wrong, and given back at once")
  func refused() throws {
    let owner = Owner(values)
    var expected = 0
    func refuses(
      _ text: String, _ type: TensorType, strides: [Int]? = nil, from offset: Int = 0, bytes: Int? = nil,
      _ location: SourceLocation = #_sourceLocation
    ) {
      let error = #expect(throws: ApusError.self, sourceLocation: location) {
        try owner.lend(type, strides: strides, from: offset, bytes: bytes)
      }
      #expect(error?.description.contains(text) == true, "\(String(describing: error))", sourceLocation: location)
      expected += 1
      #expect(owner.count == expected, sourceLocation: location)
    }
    refuses("28 bytes; the memory has 24", TensorType(.float32, [7]))
    refuses("the memory has 20", six, bytes: 20)
    refuses("multiples of 4 bytes", TensorType(.float32, [2]), from: 2)
    refuses("multiples of 8 bytes", TensorType(.int64, [1]), from: 4)
    refuses("negative", six, strides: [-3, 1])
    refuses("2 strides for 1 dimensions", TensorType(.float32, [2]), strides: [1, 1])
    refuses("share memory", six, strides: [1, 1])
    refuses("share memory", TensorType(.float32, [2, 2, 2]), strides: [2, 3, 1])
    refuses("reach over", six, strides: [4, 1])
    refuses("reach over", six, strides: [.max, 1])
    refuses("reach over", TensorType(.float64, [.max / 2, 3]))
    refuses("share bytes", TensorType(.int4, [2, 3]), strides: [1, 2])
    refuses("known sizes", TensorType(.float32, ["batch"]))
    // Complex numbers begin where their parts may.
    #expect(try owner.lend(TensorType(.complex64, [2]), from: 4, bytes: 16).shape == [2])
  }

  @Test("bytes that are no bools are refused")
  func bools() throws {
    #expect(try Owner([UInt8](arrayLiteral: 0, 1, 1)).lend(TensorType(.bool, [3])).sum().item() == 2)
    let owner = Owner([UInt8](arrayLiteral: 0, 2, 1, 1))
    #expect(throws: ApusError.self) { try owner.lend(TensorType(.bool, [4])) }
    #expect(try owner.lend(TensorType(.bool, [2]), strides: [2]).toArray(of: Bool.self) == [false, true])
    #expect(owner.count == 2)
  }

  private func multiplying(by x: Tensor) -> Compiled<Tensor, Tensor> { compiled { (y: Tensor) in x * y } }

  @Test("a compiled function holds what it caught, and a gradient tape what it saved")
  func held() throws {
    let owner = Owner(values)
    do {
      let function = multiplying(by: try owner.lend(six))
      #expect(try function(Tensor.ones([2, 3])).toArray() == [1, 2, 3, 4, 5, 6])
      #expect(owner.count == 0)
    }
    #expect(owner.count == 1)
    do {
      let leaf = Tensor.ones([2, 3]).requiringGradient()
      let product = leaf * (try owner.lend(six))
      #expect(owner.count == 1)
      product.sum().backward()
      #expect(leaf.gradient?.toArray() == [1, 2, 3, 4, 5, 6])
    }
    #expect(owner.count == 2)
  }

  @Test("given back once, however many tasks let it go")
  func concurrently() async throws {
    let owner = Owner(values)
    for _ in 0..<50 {
      let x = try owner.lend(six)
      await withTaskGroup(of: Double.self) { group in
        for i in 0..<8 { group.addTask { x[i % 2].sum().item() } }
        for await _ in group {}
      }
    }
    #expect(owner.count == 50)
  }
}
