/// What the owner of borrowed memory is told, once, when nothing uses it any more.
final class Loan: Sendable {
  /// Whether whoever alone holds the memory may overwrite it.
  let mayOverwrite: Bool
  private let release: @Sendable () -> Void

  init(mayOverwrite: Bool, release: @escaping @Sendable () -> Void) {
    self.mayOverwrite = mayOverwrite
    self.release = release
  }

  deinit { release() }
}

/// Memory that belongs to somebody else: a mapped file, another library's array.
extension Storage {
  /// Elements in memory of somebody else's, in place.
  ///
  /// Tensors and views over it hold it; `release` runs once, on whatever thread lets the last of them go, and also
  /// before this throws. Until then the owner neither frees nor changes it. It is never written unless `mayOverwrite`
  /// says that its owner has no use for the contents: what changes a tensor copies it first.
  ///
  /// Without elements no address is looked at. For engines, and for readers of files and other libraries' arrays;
  /// users take `ApusInterop`.
  /// - Parameters:
  ///   - memory: begins with the first element, and holds all that the strides reach.
  ///   - type: of the elements, with known sizes.
  ///   - strides: in elements, 0 (one element repeated) or more; nil: row-major without gaps. Those of axes of one
  ///     element may be any.
  ///   - mayOverwrite: whether results may take the memory's place once nothing else holds it.
  ///   - release: tells the owner.
  /// - Throws: ``ApusError`` (argument) for memory that is too short or not aligned for its elements, negative strides,
  ///   strides under which different elements share memory, and bytes that are no bools.
  public convenience init(
    borrowing memory: UnsafeRawBufferPointer, _ type: TensorType, strides: [Int]? = nil, mayOverwrite: Bool = false,
    release: @escaping @Sendable () -> Void
  ) throws {
    // Made first: whatever is thrown below, it is let go once.
    let loan = Loan(mayOverwrite: mayOverwrite, release: release)
    guard type.shape.isStatic else { throw Storage.refusal(type, "borrowed memory needs known sizes") }
    let steps = try Storage.steps(of: type, strides)
    if type.shape.contains(0) {
      self.init(type, strides: steps, at: Storage.placeOfNothing, loan)
      return
    }
    let bytes = try Storage.reach(of: type, steps)
    guard bytes <= memory.count else {
      throw Storage.refusal(type, "its elements reach over \(bytes) bytes; the memory has \(memory.count)")
    }
    let place = UInt(bitPattern: memory.baseAddress)
    guard place % UInt(type.dtype.alignment) == 0 else {
      throw Storage.refusal(
        type, "its elements lie at multiples of \(type.dtype.alignment) bytes, and the memory does not begin at one")
    }
    if mayOverwrite, !Storage.isContiguous(type.shape, steps) {
      throw Storage.refusal(type, "only memory without gaps can be lent to be overwritten")
    }
    self.init(type, strides: steps, at: place, loan)
    if type.dtype == .bool, !holdsBools {
      throw Storage.refusal(
        type, "a bool's byte is 0 or 1, and another is among them: copy them, or borrow them as uint8")
    }
  }

  /// An address for storages without elements, aligned for all of them, which nobody reads.
  private static let placeOfNothing: UInt = 64

  private static func steps(of type: TensorType, _ strides: [Int]?) throws -> InlineArray<8, Int> {
    let shape = type.shape
    guard let strides else { return contiguousStrides(shape) }
    guard strides.count == shape.rank else {
      throw Storage.refusal(type, "\(strides.count) strides for \(shape.rank) dimensions")
    }
    var steps = contiguousStrides(shape)
    // Without elements nothing is stepped over.
    if shape.contains(0) { return steps }
    var inner = 1
    for axis in (0..<shape.rank).reversed() {
      // The only element of an axis has no next one: what its owner wrote there is replaced by what goes with the rest.
      steps[axis] = shape[axis] == 1 ? inner : strides[axis]
      guard steps[axis] >= 0 else {
        throw Storage.refusal(
          type, "the stride \(steps[axis]) of dimension \(axis) is negative: copy the elements into their order")
      }
      inner = steps[axis].saturatingTimes(shape[axis])
    }
    if type.dtype.bitWidth < 8, !isContiguous(shape, steps) {
      throw Storage.refusal(type, "elements of \(type.dtype) share bytes, and have no strides of their own")
    }
    // As in every view of dense memory, each axis steps over all that the finer ones reach.
    var reached = 0
    let axes = (0..<shape.rank).filter { shape[$0] > 1 && steps[$0] > 0 }.sorted { steps[$0] < steps[$1] }
    for axis in axes {
      guard steps[axis] > reached else {
        throw Storage.refusal(type, "under the strides \(strides) different elements share memory: copy them")
      }
      reached = reached.saturatingPlus((shape[axis] - 1).saturatingTimes(steps[axis]))
    }
    return steps
  }

  private static func refusal(_ type: TensorType, _ message: String) -> ApusError {
    ApusError(.argument, message, operation: "borrowing", operands: [type])
  }

  /// Bytes from the first element to the last one's end, saturated.
  /// - Throws: ``ApusError`` (argument) for strides that ``init(borrowing:_:strides:mayOverwrite:release:)`` refuses.
  package static func reach(of type: TensorType, strides: [Int]?) throws -> Int {
    let steps = try steps(of: type, strides)
    return type.shape.contains(0) ? 0 : try reach(of: type, steps)
  }

  private static func reach(of type: TensorType, _ steps: InlineArray<8, Int>) throws -> Int {
    if type.dtype.bitWidth < 8 { return try type.byteCount() }
    var last = 0
    for axis in 0..<type.rank { last = last.saturatingPlus((type.shape[axis] - 1).saturatingTimes(steps[axis])) }
    return last.saturatingPlus(1).saturatingTimes(type.dtype.stride)
  }

  private var holdsBools: Bool {
    let bytes = pointer(as: UInt8.self)
    func areBools(_ axis: Int, _ offset: Int) -> Bool {
      if axis == shape.rank { return bytes[offset] <= 1 }
      let count = strides[axis] == 0 ? 1 : shape[axis]
      for i in 0..<count where !areBools(axis + 1, offset + i * strides[axis]) { return false }
      return true
    }
    return areBools(0, 0)
  }
}

extension DType {
  /// Elements begin at multiples of so many bytes: a complex number's parts do.
  package var alignment: Int { isComplex ? stride / 2 : stride }
}
