extension Tensor: CustomStringConvertible, CustomDebugStringConvertible {
  /// The elements as NumPy's `str` shows an array: the fewest digits that name each in its dtype, eight after the point at
  /// most, aligned columns, `...` in the middle of axes longer than six when there are more than 1,000 elements.
  public var description: String {
    if isSymbolic { return "symbolic \(type)" }
    if isPoisoned { return "failed \(type)" }
    guard dtype.hasArithmetic || dtype.isFloatingPoint || dtype.isInteger else { return "\(type)" }
    // Without elements, some size may be beyond all counting.
    if shape.contains(0) { return "[]" }
    return TensorPrinter(self).text
  }

  /// The elements with the type: `Tensor(float32[2, 2], …)`.
  public var debugDescription: String { "Tensor(\(type), \(description))" }
}

/// Lays out a tensor's elements after NumPy's `array2string` with its default options
/// (precision 8, threshold 1000, edge items 3, line width 75).
private struct TensorPrinter {
  private static let threshold = 1000
  private static let edge = 3
  private static let lineWidth = 75

  private let tensor: Tensor
  private let shape: [Int]
  private let summarises: Bool
  private var cells: [String] = []
  private var strides: [Int] = []
  /// Positions shown along each axis; nil stands for the dots.
  private var shown: [[Int?]] = []

  init(_ tensor: Tensor) {
    self.tensor = tensor
    shape = Array(tensor.shape)
    summarises = tensor.elementCount > Self.threshold
    for size in shape {
      if summarises, size > 2 * Self.edge {
        shown.append(Array(0..<Self.edge) + [nil] + Array(size - Self.edge..<size))
      } else {
        shown.append(Array(0..<size))
      }
    }
    // Only what is shown is read and formatted.
    var part = tensor.detached()
    for axis in shown.indices where shown[axis].contains(nil) {
      let size = shape[axis]
      part = outsideTrace {
        concatenate(
          [part.sliced(axis: axis, 0, Dim(Self.edge)), part.sliced(axis: axis, Dim(size - Self.edge), Dim(size))],
          axis: axis)
      }
    }
    var stride = 1
    var steps = [Int](repeating: 0, count: shape.count)
    for axis in shape.indices.reversed() {
      steps[axis] = stride
      stride &*= part.shape[axis]
    }
    strides = steps
    cells = Self.format(part)
  }

  var text: String {
    if shape.isEmpty { return cells[0].trimmed }
    return layOut(axis: 0, offset: 0, indent: " ")
  }

  private func layOut(axis: Int, offset: Int, indent: String) -> String {
    var position = 0
    let offsets: [Int?] = shown[axis].map { index in
      guard index != nil else { return nil }
      defer { position += 1 }
      return offset + position * strides[axis]
    }
    if axis == shape.count - 1 { return row(offsets, indent) }
    let separator = "\n" + String(repeating: "\n", count: shape.count - axis - 2)
    let parts = offsets.map { $0.map { layOut(axis: axis + 1, offset: $0, indent: indent + " ") } ?? "..." }
    return "[" + parts.joined(separator: separator + indent) + "]"
  }

  private func row(_ offsets: [Int?], _ indent: String) -> String {
    // NumPy leaves room for the closing brackets on every line.
    let room = Self.lineWidth - shape.count
    var lines: [String] = []
    var line = indent
    for offset in offsets {
      let word = offset.map { cells[$0] } ?? "..."
      if line.count + word.count > room, line.count > indent.count {
        lines.append(line.trimmedRight)
        line = indent
      }
      line += word + " "
    }
    // Only the separator goes: NumPy keeps the last column's padding before the bracket.
    lines.append(String(line.dropLast()))
    return "[" + lines.joined(separator: "\n").dropFirst(indent.count) + "]"
  }

  // MARK: Elements

  private static func format(_ tensor: Tensor) -> [String] {
    if tensor.dtype == .bool {
      return padded(tensor.toArray(of: Bool.self).map { $0 ? "True" : "False" })
    }
    if tensor.dtype.isInteger {
      return padded(
        tensor.dtype == .uint64
          ? tensor.toArray(of: UInt64.self).map(\.description) : tensor.toArray(of: Int64.self).map(\.description))
    }
    let values = tensor.toArray(of: Double.self)
    let text = FloatText(tensor.dtype)
    return tensor.rank == 0 ? values.map(text.scalar) : text.column(values)
  }

  private static func padded(_ words: [String]) -> [String] {
    let width = words.map(\.count).max() ?? 0
    return words.map { String(repeating: " ", count: width - $0.count) + $0 }
  }
}

extension String {
  fileprivate var trimmed: String { String(drop { $0 == " " }) }
  fileprivate var trimmedRight: String {
    var copy = self
    while copy.last == " " { copy.removeLast() }
    return copy
  }
}
