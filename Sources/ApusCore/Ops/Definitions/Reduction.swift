/// Combines the elements along a set of axes, which disappear or stay with size 1.
public protocol Reduction: PrimitiveDefinition {
  /// The axes that are combined; none: the operand as it is.
  var axes: AxisSet { get }
  /// Whether they stay with size 1.
  var keepDims: Bool { get }
  /// The same reduction along a set of axes.
  init(axes: AxisSet, keepDims: Bool)
  /// The case that holds it.
  var primitive: Primitive { get }
  /// Whether there is a result for no elements.
  static var hasIdentity: Bool { get }
}
extension Reduction {
  public func infer(_ operands: [TensorType]) throws -> [TensorType] {
    try Rules.count(operands, 1)
    try Rules.numeric(operands[0])
    try Rules.axes(axes, operands[0])
    if !Self.hasIdentity { for axis in axes.axes { try Rules.nonEmpty(operands[0], axis) } }
    return [operands[0].with(shape: operands[0].shape.reduced(axes, keepDims: keepDims))]
  }
  public func batch(_ context: BatchContext) -> [Tensor] {
    Dispatch.run(Self(axes: axes.shiftedForBatch, keepDims: keepDims).primitive, context.inputs)
  }

  /// A result-shaped tensor stretched over the operand's shape.
  func stretched(_ v: Tensor, _ shape: Shape) -> Tensor {
    (keepDims ? v : v.reshape(shape.reduced(axes, keepDims: true))).broadcast(to: shape)
  }

  func reduced(_ x: Tensor) -> Tensor { Dispatch.one(primitive, x) }

  static func samples(_ range: ClosedRange<Double> = -2...2) -> [Sample] {
    func sample(_ shape: Shape, _ axes: AxisSet, _ keepDims: Bool) -> Sample {
      Sample(Self(axes: axes, keepDims: keepDims).primitive, [.real(shape, range)])
    }
    return [
      sample([], [], false), sample([3], [0], false), sample([3], [0], true), sample([0, 2], [1], false),
      sample([2, 3, 4], [1], false), sample([2, 3, 4], [0, 2], true), sample([2, 3, 4], [0, 1, 2], false),
      Sample(Self(axes: [1], keepDims: false).primitive, [.integer([2, 3], -4...4)]),
    ] + (hasIdentity ? [sample([0, 2], [0], false)] : [])
  }
}

extension Primitive {
  /// Σx along `axes`, of integers or reals, of the operand's dtype; integers wrap. Of no elements: 0.
  public struct Sum: Reduction, Elementary {
    /// The axes that are combined; none: the operand as it is.
    public var axes: AxisSet
    /// Whether what is reduced stays with size 1.
    public var keepDims: Bool

    /// Along a set of axes, each in 0..<rank.
    public init(axes: AxisSet, keepDims: Bool) {
      self.axes = axes
      self.keepDims = keepDims
    }

    public var name: String { "sum" }
    /// The case that holds it.
    public var primitive: Primitive { .sum(self) }
    /// No elements have a result.
    public static var hasIdentity: Bool { true }
    public var residuals: Residuals { .types }
    public func vjp(_ context: VJPContext) -> [Tensor?] { [stretched(context.gradient, context.inputType(0).shape)] }
    public func jvp(_ context: JVPContext) -> [Tensor?] { [context.tangents[0].map(reduced)] }
    public static var samples: [Sample] { samples() }
  }

  /// Πx along `axes`, of integers or reals, of the operand's dtype; integers wrap. Of no elements: 1.
  public struct Product: Reduction, Elementary {
    /// The axes that are combined; none: the operand as it is.
    public var axes: AxisSet
    /// Whether what is reduced stays with size 1.
    public var keepDims: Bool

    /// Along a set of axes, each in 0..<rank.
    public init(axes: AxisSet, keepDims: Bool) {
      self.axes = axes
      self.keepDims = keepDims
    }

    public var name: String { "product" }
    /// The case that holds it.
    public var primitive: Primitive { .product(self) }
    /// No elements have a result.
    public static var hasIdentity: Bool { true }
    public var residuals: Residuals { .input0 }
    public func vjp(_ context: VJPContext) -> [Tensor?] {
      let x = context.input(0)
      return [stretched(context.gradient, x.shape) * others(x)]
    }
    public func jvp(_ context: JVPContext) -> [Tensor?] {
      guard let tangent = context.tangents[0] else { return [nil] }
      return [(tangent * others(context.inputs[0])).sum(axes: axes.axes, keepDims: keepDims)]
    }

    /// For each element the product of the others it is multiplied with, without dividing: right beside any number of
    /// zeros, at every order.
    private func others(_ x: Tensor) -> Tensor {
      let kept = (0..<x.rank).filter { !axes.contains($0) }
      let order = Permutation(kept + axes.axes)
      let moved = x.permuted(order.order)
      let count = axes.axes.reduce(Dim(1)) { $0 * x.shape.dim($1) }
      guard let count = count.value else { return othersByDivision(x) }
      var flat = Shape(dims: kept.map { x.shape.dim($0) })
      flat.append(Dim(count))
      return Self.exclusive(moved.reshape(flat), count).reshape(moved.shape).permuted(order.inverse.order)
    }

    /// Along the last axis, by halving: neighbours are multiplied, the pairs' own others found, and spread back.
    private static func exclusive(_ x: Tensor, _ count: Int) -> Tensor {
      // Without elements, `count` may be any size.
      if count <= 1 || x.shape.contains(0) { return Tensor.onesLike(x) }
      let axis = x.rank - 1
      let even =
        count % 2 == 0 ? x : ApusCore.concatenate([x, Tensor.onesLike(x.sliced(axis: axis, 0, 1))], axis: axis)
      let half = (count + 1) / 2
      let first = even.sliced(axis: axis, 0, Dim(2 * half), step: 2)
      let second = even.sliced(axis: axis, 1, Dim(2 * half), step: 2)
      let pairs = exclusive(first * second, half)
      let spread = stack([pairs * second, pairs * first], axis: axis + 1)
      return spread.reshape(even.shape).sliced(axis: axis, 0, Dim(count))
    }

    /// For a symbolic number of factors: by division, with the cases of one and of several zeros told apart. Its own
    /// derivative is exact where no factor is 0.
    private func othersByDivision(_ x: Tensor) -> Tensor {
      let isZero = x .== 0
      let rest = ApusCore.select(isZero, 1, x)
      let product = stretched(reduced(rest), x.shape)
      let zeros = stretched(isZero.cast(to: x.dtype).sum(axes: axes.axes, keepDims: keepDims), x.shape)
      return ApusCore.select(
        isZero, ApusCore.select(zeros .== 1, product, 0), ApusCore.select(zeros .== 0, product / rest, 0))
    }

    public static var samples: [Sample] {
      samples() + [
        Sample(.product(Product(axes: [1], keepDims: false)), [.values([1, 0, 3, 0, 0, 2, 1, 2, 3], [3, 3])])
      ]
    }
  }

  /// √Σx² along `axes`, of float32 or float64: no square overflows or vanishes on the way. Of no elements: 0. The gradient
  /// at 0 is 0.
  public struct Norm: Reduction, Elementary {
    /// The axes that are combined; none: |x| of each element.
    public var axes: AxisSet
    /// Whether what is reduced stays with size 1.
    public var keepDims: Bool

    /// Along a set of axes, each in 0..<rank.
    public init(axes: AxisSet, keepDims: Bool) {
      self.axes = axes
      self.keepDims = keepDims
    }

    public var name: String { "norm" }
    /// The case that holds it.
    public var primitive: Primitive { .norm(self) }
    /// No elements have a result.
    public static var hasIdentity: Bool { true }
    public var residuals: Residuals { [.input0, .outputs] }
    public func infer(_ operands: [TensorType]) throws -> [TensorType] {
      try Rules.count(operands, 1)
      try Rules.floating(operands[0])
      try Rules.axes(axes, operands[0])
      return [operands[0].with(shape: operands[0].shape.reduced(axes, keepDims: keepDims))]
    }
    public func vjp(_ context: VJPContext) -> [Tensor?] {
      let (x, y) = (context.input(0), context.output(0))
      let isZero = y .== 0
      // x/y first: it is at most 1.
      let direction = x / stretched(ApusCore.select(isZero, 1, y), x.shape)
      return [direction * stretched(ApusCore.select(isZero, 0, context.gradient), x.shape)]
    }
    public func jvp(_ context: JVPContext) -> [Tensor?] {
      guard let tangent = context.tangents[0] else { return [nil] }
      let (x, y) = (context.inputs[0], context.output)
      let isZero = y .== 0
      let direction = x / stretched(ApusCore.select(isZero, 1, y), x.shape)
      return [ApusCore.select(isZero, 0, (tangent * direction).sum(axes: axes.axes, keepDims: keepDims))]
    }
    public static var samples: [Sample] {
      samples().filter { $0.operands.allSatisfy { if case .real = $0 { true } else { false } } } + [
        Sample(.norm(Norm(axes: [1], keepDims: false)), [.values([0, 0, 0, 3e200, 4e200, 0], [2, 3])], smooth: false)
      ]
    }
  }
}

/// The largest or smallest element; NaN wins. Equal ones share the gradient evenly.
public protocol ExtremumReduction: Reduction, Elementary {}
extension ExtremumReduction {
  /// Of no elements there is no extremum.
  public static var hasIdentity: Bool { false }
  public var residuals: Residuals { [.input0, .outputs] }
  public func vjp(_ context: VJPContext) -> [Tensor?] {
    let (x, g) = (context.input(0), context.gradient)
    let (chosen, count) = choice(x, context.output(0))
    // Chosen, not multiplied by 0 and 1. Beside NaN nothing is chosen: 0/0 then.
    return [select(chosen, stretched(g / count, x.shape), stretched((count - count) / count, x.shape))]
  }
  public func jvp(_ context: JVPContext) -> [Tensor?] {
    guard let tangent = context.tangents[0] else { return [nil] }
    let (chosen, count) = choice(context.inputs[0], context.output)
    return [select(chosen, tangent, 0).sum(axes: axes.axes, keepDims: keepDims) / count]
  }

  /// Which elements are the extremum, and how many.
  private func choice(_ x: Tensor, _ y: Tensor) -> (Tensor, count: Tensor) {
    let chosen = x .== stretched(y, x.shape)
    return (chosen, chosen.cast(to: x.dtype).sum(axes: axes.axes, keepDims: keepDims))
  }

  static func extremumSamples() -> [Sample] {
    let ties = Sample.Operand.values([1, 3, 3, -1, -1, -1], [2, 3])
    return samples() + [Sample(Self(axes: [1], keepDims: false).primitive, [ties], smooth: false)]
  }
}

extension Primitive {
  /// The largest element along `axes`, of integers or reals; NaN wins. Of no elements: error (shape).
  public struct Max: ExtremumReduction {
    /// The axes that are combined; none: the operand as it is.
    public var axes: AxisSet
    /// Whether what is reduced stays with size 1.
    public var keepDims: Bool

    /// Along a set of axes, each in 0..<rank.
    public init(axes: AxisSet, keepDims: Bool) {
      self.axes = axes
      self.keepDims = keepDims
    }

    public var name: String { "max" }
    /// The case that holds it.
    public var primitive: Primitive { .max(self) }
    public static var samples: [Sample] { extremumSamples() }
  }

  /// The smallest element along `axes`, of integers or reals; NaN wins. Of no elements: error (shape).
  public struct Min: ExtremumReduction {
    /// The axes that are combined; none: the operand as it is.
    public var axes: AxisSet
    /// Whether what is reduced stays with size 1.
    public var keepDims: Bool

    /// Along a set of axes, each in 0..<rank.
    public init(axes: AxisSet, keepDims: Bool) {
      self.axes = axes
      self.keepDims = keepDims
    }

    public var name: String { "min" }
    /// The case that holds it.
    public var primitive: Primitive { .min(self) }
    public static var samples: [Sample] { extremumSamples() }
  }
}

/// The place of the first largest or smallest element, int64; the first NaN counts as both.
public protocol ArgExtremum: NotDifferentiable, Elementary {
  /// The axis that is searched, in 0..<rank.
  var axis: Int { get }
  /// Whether it stays with size 1.
  var keepDims: Bool { get }
  /// The same search along an axis.
  init(axis: Int, keepDims: Bool)
  /// The case that holds it.
  var primitive: Primitive { get }
}
extension ArgExtremum {
  /// Places are constant between their steps.
  public static var notDifferentiableBecause: String { "its result is an index" }
  public func infer(_ operands: [TensorType]) throws -> [TensorType] {
    try Rules.count(operands, 1)
    try Rules.numeric(operands[0])
    try Rules.axis(axis, operands[0])
    try Rules.nonEmpty(operands[0], axis)
    return [TensorType(.int64, operands[0].shape.reduced([axis], keepDims: keepDims))]
  }
  public func batch(_ context: BatchContext) -> [Tensor] {
    Dispatch.run(Self(axis: axis + 1, keepDims: keepDims).primitive, context.inputs)
  }
  public static var samples: [Sample] {
    func sample(_ axis: Int, _ keepDims: Bool, _ operand: Sample.Operand) -> Sample {
      Sample(Self(axis: axis, keepDims: keepDims).primitive, [operand])
    }
    return [
      sample(0, false, .real([3])), sample(0, true, .real([3])), sample(1, false, .real([0, 2])),
      sample(1, false, .real([2, 3, 4])), sample(2, true, .integer([2, 3, 4], 0...2)),
      sample(0, false, .values([1, .nan, 5, .nan], [4])),
    ]
  }
}

extension Primitive {
  /// The place of the first largest element along `axis`, int64; the first NaN before all.
  public struct ArgMax: ArgExtremum {
    /// The axis that is searched, in 0..<rank.
    public var axis: Int
    /// Whether what is reduced stays with size 1.
    public var keepDims: Bool

    /// Along an axis, in 0..<rank.
    public init(axis: Int, keepDims: Bool) {
      self.axis = axis
      self.keepDims = keepDims
    }

    public var name: String { "argMax" }
    /// The case that holds it.
    public var primitive: Primitive { .argMax(self) }
  }

  /// The place of the first smallest element along `axis`, int64; the first NaN before all.
  public struct ArgMin: ArgExtremum {
    /// The axis that is searched, in 0..<rank.
    public var axis: Int
    /// Whether what is reduced stays with size 1.
    public var keepDims: Bool

    /// Along an axis, in 0..<rank.
    public init(axis: Int, keepDims: Bool) {
      self.axis = axis
      self.keepDims = keepDims
    }

    public var name: String { "argMin" }
    /// The case that holds it.
    public var primitive: Primitive { .argMin(self) }
  }
}
