import ApusCore

extension Tensor {
  /// A tensor over memory of somebody else's: nothing is copied.
  ///
  /// ```swift
  /// let frame = try Tensor(
  ///   borrowing: UnsafeRawBufferPointer(start: pixels, count: 480 * 640 * 3), type: TensorType(.uint8, [480, 640, 3])
  /// ) { camera.giveBack(pixels) }
  /// ```
  /// It is a value as every tensor: what changes it copies it first, and views of it hold the memory. `release` runs
  /// once, on whatever thread lets the last of them go, and also before this throws. Until then the owner must neither
  /// free nor change the memory. A compiled function that caught the tensor holds it too.
  /// - Parameters:
  ///   - memory: begins with the first element and holds all that the strides reach.
  ///   - type: dtype and shape, of known sizes.
  ///   - strides: in elements, 0 (one element repeated) or more; nil: row-major without gaps.
  ///   - mayOverwrite: whether the owner has no use for the contents, so that results may take their place once nothing
  ///     else holds them. Never where the memory can't be written.
  ///   - release: tells the owner that nothing uses the memory any more.
  /// - Throws: `ApusError` (argument) for memory that is too short or not aligned for its elements, negative strides,
  ///   strides under which different elements share memory, and bytes that are no bools.
  public init(
    borrowing memory: UnsafeRawBufferPointer, type: TensorType, strides: [Int]? = nil, mayOverwrite: Bool = false,
    release: @escaping @Sendable () -> Void
  ) throws {
    self.init(
      storage: try Storage(
        borrowing: memory, type, strides: strides, mayOverwrite: mayOverwrite, release: release))
  }
}
