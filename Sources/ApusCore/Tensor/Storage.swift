import CApus
import Synchronization

/// Memory in a layout only its engine knows (blocked for convolutions, or on another device).
///
/// The first plain access converts it once; see ``Storage``.
public protocol OpaqueBuffer: AnyObject, Sendable {
  /// Where the memory is.
  var device: Device { get }
  /// Writes the contiguous, row-major elements; `destination` holds exactly the tensor's byte count.
  func writePlain(to destination: UnsafeMutableRawBufferPointer) throws
}

/// A value of a graph under construction.
struct SymbolicValue: Sendable {
  let trace: Trace
  let id: ValueID
}

/// The one class behind every tensor: dtype, shape, strides and the elements' memory.
///
/// A storage is immutable once its tensor is published: mutation goes through a uniquely referenced one
/// (copy-on-write). A view holds its `base`, the owner of the memory, which is thereby never unique.
/// Memory is plain (strided host memory, its own or borrowed) or engine-opaque; strides mean something only for plain.
/// This type and its pointers are for engines; tensors' users never see it.
public final class Storage: @unchecked Sendable {
  /// The elements' type.
  public let dtype: DType
  /// Row-major without gaps, from `offset` on.
  public let isContiguous: Bool
  /// The dimensions, outermost first.
  public let shape: Shape
  /// In elements; meaningful for plain storage only.
  public let strides: InlineArray<8, Int>
  /// In elements, from the base's first.
  public let offset: Int
  let base: Storage?
  let content: Content
  private let capacity: Int
  /// The first element's address, 0 until an opaque content was made plain.
  private let address: Atomic<UInt>

  enum Content: Sendable {
    case plain
    /// Plain memory of somebody else's.
    case borrowed(Loan)
    case opaque(any OpaqueBuffer, Mutex<Void>.Box)
    case symbolic(SymbolicValue)
    /// The result of a failed operation inside `checked`; the recorder holds the error.
    case poisoned
  }

  /// Uninitialised, contiguous host memory.
  /// - Throws: ``ApusError`` (memory) when the machine has less than that.
  public init(_ type: TensorType) throws {
    let bytes = try type.byteCount()
    dtype = type.dtype
    shape = type.shape
    isContiguous = true
    strides = Storage.contiguousStrides(type.shape)
    offset = 0
    base = nil
    content = .plain
    guard let memory = Storage.allocate(bytes) else {
      // An object whose initialiser throws still runs no deinit, so nothing is freed twice.
      throw HostMemory.refused(type, bytes)
    }
    capacity = bytes
    address = Atomic(UInt(bitPattern: memory))
  }

  /// A strided view of `base`'s memory; `base` must be plain.
  init(view base: Storage, dtype: DType, shape: Shape, strides: InlineArray<8, Int>, offset: Int) {
    self.dtype = dtype
    self.shape = shape
    self.strides = strides
    self.offset = offset
    let root = base.base ?? base
    self.base = root
    isContiguous = Storage.isContiguous(shape, strides)
    content = .plain
    capacity = 0
    let first = UInt(bitPattern: root.plainAddress)
    address = Atomic(first &+ UInt(offset * dtype.stride))
  }

  /// Memory of somebody else's, which has been looked at: ``init(borrowing:_:strides:mayOverwrite:release:)``.
  init(_ type: TensorType, strides: InlineArray<8, Int>, at memory: UInt, _ loan: Loan) {
    dtype = type.dtype
    shape = type.shape
    self.strides = strides
    isContiguous = Storage.isContiguous(type.shape, strides)
    offset = 0
    base = nil
    content = .borrowed(loan)
    capacity = 0
    address = Atomic(memory)
  }

  /// Engine-opaque content.
  public init(_ type: TensorType, opaque: any OpaqueBuffer) {
    dtype = type.dtype
    shape = type.shape
    isContiguous = true
    strides = Storage.contiguousStrides(type.shape)
    offset = 0
    base = nil
    content = .opaque(opaque, .init())
    capacity = (try? type.byteCount()) ?? 0
    address = Atomic(0)
  }

  init(_ type: TensorType, valueless content: Content) {
    dtype = type.dtype
    shape = type.shape
    isContiguous = true
    // What is contiguous has the strides of it: plans are made by them, and found again by being contiguous.
    strides = Storage.contiguousStrides(type.shape)
    offset = 0
    base = nil
    self.content = content
    capacity = 0
    address = Atomic(0)
  }

  deinit {
    if base == nil, capacity > 0 || isPlainOwner {
      let bits = address.load(ordering: .relaxed)
      if let memory = UnsafeMutableRawPointer(bitPattern: bits) { apus_deallocate(memory, max(capacity, 1)) }
    }
  }

  private var isPlainOwner: Bool { if case .plain = content { base == nil } else { false } }

  private static func allocate(_ bytes: Int) -> UnsafeMutableRawPointer? {
    apus_allocate(max(bytes, 1))
  }

  /// ``dtype`` and ``shape`` as one.
  public var type: TensorType { TensorType(dtype, shape) }

  /// Whether it is plain and whole, and its memory its own or lent to be overwritten, so that a unique holder may do so.
  public var isReusable: Bool {
    switch content {
    case .plain: base == nil
    case .borrowed(let loan): loan.mayOverwrite
    case .opaque, .symbolic, .poisoned: false
    }
  }

  /// The engine's buffer; nil for other content.
  public var opaque: (any OpaqueBuffer)? { if case .opaque(let buffer, _) = content { buffer } else { nil } }
  var symbolic: SymbolicValue? { if case .symbolic(let value) = content { value } else { nil } }
  /// Whether it has elements, plain or opaque: false for a graph's value and the result of a failed operation.
  public var isConcrete: Bool {
    switch content {
    case .plain, .borrowed, .opaque: true
    case .symbolic, .poisoned: false
    }
  }
  /// Plain, and rows of the last two axes lie column after column.
  var isTransposed: Bool {
    guard isPlain, !isContiguous, shape.rank >= 2 else { return false }
    let rank = shape.rank
    return strides[rank - 2] == 1 && strides[rank - 1] >= shape[rank - 2]
  }
  var isPlain: Bool {
    switch content {
    case .plain, .borrowed: true
    case .opaque, .symbolic, .poisoned: false
    }
  }

  /// The first element's address. Opaque content is converted on the first call, under the storage's lock; when that
  /// fails, the next call tries again.
  /// - Throws: ``ApusError``: (memory) when there is none for the elements, what the engine's buffer throws, (argument)
  ///   for a value of a graph or the result of a failed operation, which have no elements.
  @inline(__always)
  public func plain() throws -> UnsafeMutableRawPointer {
    if let memory = UnsafeMutableRawPointer(bitPattern: address.load(ordering: .acquiring)) { return memory }
    return try convertToPlain()
  }

  /// The first element's address, where ``plain()`` would not throw: of plain memory, or converted before. Traps
  /// otherwise.
  public var plainAddress: UnsafeMutableRawPointer {
    do {
      return try plain()
    } catch {
      fatalError("\(type): \(error)")
    }
  }

  private func convertToPlain() throws -> UnsafeMutableRawPointer {
    switch content {
    case .opaque(let buffer, let lock):
      return try lock.mutex.withLock { _ in
        if let memory = UnsafeMutableRawPointer(bitPattern: address.load(ordering: .acquiring)) { return memory }
        guard let memory = Storage.allocate(capacity) else { throw HostMemory.refused(type, capacity) }
        do {
          try buffer.writePlain(to: UnsafeMutableRawBufferPointer(start: memory, count: capacity))
        } catch {
          apus_deallocate(memory, max(capacity, 1))
          throw error
        }
        address.store(UInt(bitPattern: memory), ordering: .releasing)
        return memory
      }
    case .poisoned: throw ApusError(.argument, "\(type) has no values: it is the result of a failed operation")
    case .plain, .borrowed, .symbolic: throw ApusError(.trace, "\(type) has no values: it is a value of a graph")
    }
  }

  /// The elements, contiguous or not, typed; `count` covers what the strides reach.
  @inlinable
  public func pointer<T>(as: T.Type) -> UnsafeMutablePointer<T> { plainAddress.assumingMemoryBound(to: T.self) }

  /// Bytes of the contiguous elements; traps on a strided view, and where ``plain()`` would throw: ask that first.
  public func withBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
    precondition(isContiguous, "bytes of a non-contiguous view")
    let count = dtype.byteCount(shape.elementCount) ?? 0
    return try withExtendedLifetime(self) { try body(UnsafeRawBufferPointer(start: plainAddress, count: count)) }
  }

  package static func contiguousStrides(_ shape: Shape) -> InlineArray<8, Int> {
    var result = InlineArray<8, Int>(repeating: 0)
    var step = 1
    var i = shape.rank - 1
    while i >= 0 {
      result[i] = step
      step = step &* Swift.max(shape.raw[i], 1)
      i -= 1
    }
    return result
  }

  package static func isContiguous(_ shape: Shape, _ strides: InlineArray<8, Int>) -> Bool {
    var step = 1
    var isContiguous = true
    var i = shape.rank - 1
    while i >= 0 {
      let size = shape.raw[i]
      if size == 0 { return true }
      if size != 1 {
        if strides[i] != step { isContiguous = false }
        // Without elements the other sizes may be anything.
        step = step &* size
      }
      i -= 1
    }
    return isContiguous
  }

  /// Whether every element is the same one in memory (a broadcast scalar).
  public var isUniform: Bool {
    for i in 0..<shape.rank where strides[i] != 0 && shape.raw[i] != 1 { return false }
    return true
  }
}

extension Mutex where Value == Void {
  /// A lock that an enum payload can hold.
  final class Box: Sendable {
    let mutex = Mutex(())
  }
}
