import ApusCore

typealias Strides = InlineArray<8, Int>

/// Where the elements of a value lie, and how. A value may lie in several forms at a time.
struct Form {
  /// Index of the buffer.
  var buffer: Int
  /// Bytes from the buffer's start to element [0, 0, …].
  var offset: Int
  /// Distances in elements. Without meaning when there is a layout.
  var strides: Strides
  /// Row-major without gaps.
  var isContiguous: Bool
  /// oneDNN's layout; nil: plain.
  var layout: Layout?

  init(buffer: Int, offset: Int = 0, contiguous shape: Shape) {
    self.buffer = buffer
    self.offset = offset
    strides = Storage.contiguousStrides(shape)
    isContiguous = true
  }

  init(buffer: Int, offset: Int, strides: Strides, shape: Shape) {
    self.buffer = buffer
    self.offset = offset
    self.strides = strides
    isContiguous = Storage.isContiguous(shape, strides)
  }

  init(buffer: Int, layout: Layout) {
    self.buffer = buffer
    offset = 0
    strides = Strides(repeating: 0)
    isContiguous = false
    self.layout = layout
  }

  /// Whether every element is the same one in memory.
  func isUniform(_ shape: Shape) -> Bool {
    guard layout == nil else { return false }
    for i in 0..<shape.rank where strides[i] != 0 && shape[i] != 1 { return false }
    return true
  }

  /// Whether no two elements share memory, as far as the strides show it.
  static func hasDistinctElements(_ shape: Shape, _ strides: Strides) -> Bool {
    for i in 0..<shape.rank where shape[i] != 1 && strides[i] <= 0 { return false }
    return true
  }
}

extension DType {
  /// Bytes of one element; nil for types that share bytes.
  var elementBytes: Int? { bitWidth >= 8 ? bitWidth / 8 : nil }
}
