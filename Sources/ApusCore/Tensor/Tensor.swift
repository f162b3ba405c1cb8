/// An n-dimensional array of numbers: a value, as an `Int` or an `Array` is.
///
/// A tensor is concrete (it has elements) or, inside a trace, symbolic (a value of the graph being built): operations,
/// modules, gradients and optimizers don't know which. It is `Sendable`; mutation never alters another tensor.
/// With `requiresGradient` it is a leaf whose ``gradient`` ``backward(gradient:retainGraph:createGraph:)`` fills.
///
/// ```swift
/// let x = Tensor([[1, 2], [3, 4]])          // int64[2, 2]
/// let y = x * 0.5 + Tensor.ones([2])        // float32[2, 2]
/// ```
public struct Tensor: Sendable {
  /// The elements' memory: for engines.
  public internal(set) var storage: Storage
  var node: TapeNode?
  /// Which of its node's outputs it is.
  var outputIndex: Int32 = 0

  @inline(__always)
  init(_ storage: Storage, node: TapeNode? = nil, outputIndex: Int32 = 0) {
    self.storage = storage
    self.node = node
    self.outputIndex = outputIndex
  }

  /// A tensor over what an engine computed.
  public init(storage: Storage) { self.init(storage, node: nil) }

  /// The elements' type.
  public var dtype: DType { storage.dtype }
  /// The dimensions, outermost first. In a trace, reading one as an `Int` fixes it; ``dimension(_:)`` does not.
  public var shape: Shape { storage.shape }
  /// ``dtype`` and ``shape`` as one, `float32[32, 10]`.
  public var type: TensorType { storage.type }
  /// The number of axes, 0 for a scalar.
  public var rank: Int { storage.shape.rank }
  /// Number of elements, 1 for a scalar. In a trace, symbolic sizes are thereby fixed.
  public var elementCount: Int { storage.shape.elementCount }
  /// Dimension `i` (negative: from the end), which stays symbolic in a trace. No such axis: error (argument).
  public func dimension(_ i: Int) -> Dim {
    let axis = i < 0 ? i + rank : i
    guard axis >= 0, axis < rank else {
      Dispatch.reporting {
        throw ApusError(
          .argument, "there is no axis \(i) in a tensor of rank \(rank)", operation: "dimension", operands: [type])
      }
      return Dim(0)
    }
    return shape.dim(axis)
  }
  /// Where the elements are: a device whose engine keeps them in a buffer of its own, else ``Device/cpu``.
  public var device: Device { storage.opaque?.device ?? .cpu }

  /// Whether it is a value of a graph under construction.
  public var isSymbolic: Bool { storage.symbolic != nil }

  /// Whether operations on it are recorded for `backward`.
  public var requiresGradient: Bool { node != nil }

  /// The same values, cut from the gradient tape; no copy.
  public func detached() -> Tensor {
    guard isSymbolic, node != nil else { return Tensor(storage) }
    // The graph must show the cut: gradients may be taken through the whole graph later. The reshape costs nothing there.
    return withoutGradients { Dispatch.one(.reshape(.init(shape: shape)), self) }
  }

  /// The same tensor without its node, for what nobody will differentiate through.
  var untracked: Tensor { Tensor(storage) }

  /// The same values as a fresh leaf of the gradient tape. Other dtypes than floating-point ones: error (gradient).
  ///
  /// ```swift
  /// let x = Tensor([1.0, 2.0]).requiringGradient()
  /// (x * x).sum().backward()
  /// x.gradient            // [2, 4]
  /// ```
  /// - Returns: a tensor whose ``gradient`` `backward` fills.
  public func requiringGradient() -> Tensor {
    guard dtype.isFloatingPoint else {
      return Dispatch.fail(
        ApusError(
          .gradient, "only floating-point tensors can require a gradient", operation: "requiringGradient",
          operands: [type]),
        type: type)
    }
    return Tensor(storage, node: TapeNode(leaf: nil))
  }
}
