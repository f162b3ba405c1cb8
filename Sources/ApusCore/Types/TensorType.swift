/// What is known of a tensor without its values: dtype and shape.
public struct TensorType: Hashable, Codable, Sendable, BitwiseCopyable, CustomStringConvertible {
  /// The elements' type.
  public var dtype: DType
  /// The dimensions, which may be symbolic.
  public var shape: Shape

  /// `TensorType(.float32, ["batch", 10])`.
  public init(_ dtype: DType, _ shape: Shape) {
    self.dtype = dtype
    self.shape = shape
  }

  /// The number of axes.
  public var rank: Int { shape.rank }
  public var description: String { "\(dtype)\(shape)" }

  func with(shape: Shape) -> TensorType { TensorType(dtype, shape) }
  func with(dtype: DType) -> TensorType { TensorType(dtype, shape) }

  /// Bytes of a contiguous tensor of this type.
  /// - Throws: ``ApusError`` (memory) when the count overflows or exceeds what the machine has.
  public func byteCount() throws -> Int {
    let count = shape.elementCount
    guard count != Int.max, let bytes = dtype.byteCount(count) else {
      throw ApusError(.memory, "\(self) has more elements than memory can address")
    }
    return bytes
  }
}

/// Where a tensor's memory is: an engine's name and the device's index there.
public struct Device: Hashable, Codable, Sendable, CustomStringConvertible {
  /// The engine's name.
  public var engine: String
  /// Which of the engine's devices.
  public var index: Int

  /// A device of an engine, by default its first.
  public init(engine: String, index: Int = 0) {
    self.engine = engine
    self.index = index
  }

  /// The host's memory and processors, served by the embedded engine.
  public static let cpu = Device(engine: "cpu")
  public var description: String { index == 0 ? engine : "\(engine):\(index)" }
}

extension TensorType {
  /// Whether a value of this type may stand where `pattern` is declared: the same dtype and known sizes; named ones may be
  /// any.
  func fits(_ pattern: TensorType) -> Bool {
    if self == pattern { return true }
    guard dtype == pattern.dtype, rank == pattern.rank else { return false }
    return (0..<rank).allSatisfy { !pattern.shape.dim($0).isKnown || pattern.shape.dim($0) == shape.dim($0) }
  }
}
