#if canImport(Glibc)
  import Glibc
#endif

extension Tensor: CustomStringConvertible, CustomDebugStringConvertible {
  /// The elements as NumPy's `str` shows an array: eight significant digits at most, aligned columns, `...` in the
  /// middle of axes longer than six when there are more than 1,000 elements.
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
  private static let precision = 8
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
    return floats(tensor.toArray(of: Double.self), tensor)
  }

  private static func padded(_ words: [String]) -> [String] {
    let width = words.map(\.count).max() ?? 0
    return words.map { String(repeating: " ", count: width - $0.count) + $0 }
  }

  private static func floats(_ values: [Double], _ tensor: Tensor) -> [String] {
    let finite = values.filter { $0.isFinite && $0 != 0 }.map(abs)
    let (low, high) = (finite.min() ?? 1, finite.max() ?? 1)
    let scientific = high >= 1e8 || low < 1e-4 || high / low > 1000
    if tensor.rank == 0 { return [scalar(values[0], tensor)] }
    let shortest = shortestDigits(tensor)
    return scientific ? exponential(values, shortest) : fixed(values, shortest)
  }

  /// `numpy.float32.__str__`: positional between 1e-4 and 1e16, the fewest digits that name the value.
  private static func scalar(_ value: Double, _ tensor: Tensor) -> String {
    if let special = special(value) { return special }
    let digits = shortestDigits(tensor)(value)
    if value != 0, abs(value) >= 1e16 || abs(value) < 1e-4 {
      return exponentialText(value, Swift.max(digits.significant - 1, 0), trimDot: true)
    }
    return String(value, decimals: Swift.max(digits.decimals, 1))
  }

  private static func special(_ value: Double) -> String? {
    value.isNaN ? "nan" : value == .infinity ? "inf" : value == -.infinity ? "-inf" : nil
  }

  /// How many decimals and significant digits name a value uniquely in its own dtype.
  private static func shortestDigits(_ tensor: Tensor) -> (Double) -> (decimals: Int, significant: Int) {
    { value in
      let text: String
      switch tensor.dtype {
      case .float64: text = "\(abs(value))"
      case .float32: text = "\(abs(Float(value)))"
      default: text = "\(abs(Float16(value)))"
      }
      let halves = text.split(separator: "e")
      let exponent = halves.count > 1 ? Int(halves[1]) ?? 0 : 0
      let parts = halves[0].split(separator: ".")
      let fraction = parts.count > 1 && parts[1] != "0" ? parts[1].count : 0
      var digits = (parts[0] + (fraction > 0 ? parts[1] : "")).drop { $0 == "0" }
      while digits.last == "0", fraction == 0 { digits.removeLast() }
      return (Swift.max(fraction - exponent, 0), Swift.max(digits.count, 1))
    }
  }

  private static func fixed(_ values: [Double], _ shortest: (Double) -> (decimals: Int, significant: Int)) -> [String] {
    let decimals = values.filter(\.isFinite).map { Swift.min(shortest($0).decimals, precision) }.max() ?? 0
    let words = values.map { value in
      if let special = special(value) { return special }
      // Trailing zeros of the column stay blank, as NumPy's do.
      let text = String(value, decimals: Swift.min(shortest(value).decimals, decimals))
      let body = text.contains(".") ? text : text + "."
      let have = body.count - 1 - (body.firstIndex(of: ".").map { body.distance(from: body.startIndex, to: $0) } ?? 0)
      return body + String(repeating: " ", count: Swift.max(decimals - have, 0))
    }
    return padded(words)
  }

  private static func exponential(_ values: [Double], _ shortest: (Double) -> (decimals: Int, significant: Int))
    -> [String]
  {
    let digits = values.filter(\.isFinite).map { Swift.min(shortest($0).significant - 1, precision) }.max() ?? 0
    return padded(values.map { special($0) ?? exponentialText($0, digits, trimDot: false) })
  }

  private static func exponentialText(_ value: Double, _ digits: Int, trimDot: Bool) -> String {
    let text = String(value, exponentDigits: digits)
    if digits > 0 || trimDot { return text }
    return text.replacingFirst("e", with: ".e")
  }
}

extension String {
  /// C's `%.*f`, correctly rounded.
  fileprivate init(_ value: Double, decimals: Int) {
    self = String.c { String.print(into: $0, $1, "%.*f", decimals, value) }
  }
  /// C's `%.*e`.
  fileprivate init(_ value: Double, exponentDigits: Int) {
    self = String.c { String.print(into: $0, $1, "%.*e", exponentDigits, value) }
  }

  private static func print(
    into ptr: UnsafeMutablePointer<CChar>, _ size: Int, _ format: String, _ digits: Int, _ value: Double
  ) -> Int {
    Int(withVaList([Int32(clamping: digits), value]) { vsnprintf(ptr, size, format, $0) })
  }

  private static func c(_ body: (UnsafeMutablePointer<CChar>, Int) -> Int) -> String {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 512) { buffer in
      guard let start = buffer.baseAddress else { return "" }
      let count = Swift.min(body(start, 512), 511)
      return String(decoding: UnsafeRawBufferPointer(start: start, count: Swift.max(count, 0)), as: UTF8.self)
    }
  }

  fileprivate var trimmed: String { String(drop { $0 == " " }) }
  fileprivate var trimmedRight: String {
    var copy = self
    while copy.last == " " { copy.removeLast() }
    return copy
  }
  fileprivate func replacingFirst(_ character: Character, with text: String) -> String {
    guard let i = firstIndex(of: character) else { return self }
    return self[..<i] + text + self[index(after: i)...]
  }
}
