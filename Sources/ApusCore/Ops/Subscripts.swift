/// One index of a subscript: a position, a range, all, a new axis, or the rest.
public struct TensorIndex: Hashable, Sendable {
  enum Kind: Hashable, Sendable {
    case at(Int)
    case range(start: Int?, stop: Int?, step: Int)
    case newAxis
    case ellipsis
  }
  let kind: Kind
}

/// What may stand in a tensor's subscript: `Int`, ranges, `.all`, `.every(2)`, `.newAxis`, `.ellipsis`,
/// `.range(start: -3)`.
public protocol TensorIndexing: Sendable {
  /// What it means as an index.
  var tensorIndex: TensorIndex { get }
}
extension TensorIndex: TensorIndexing {
  /// Itself.
  public var tensorIndex: TensorIndex { self }
}
extension TensorIndexing where Self == TensorIndex {
  /// The whole axis, `x[.all, 0]`. A symbolic size stays symbolic.
  public static var all: TensorIndex { .range() }
  /// Every `step`-th position of the axis; a negative step walks from its end. 0: error (argument).
  ///
  /// ```swift
  /// Tensor([1, 2, 3, 4, 5])[.every(2)]      // [1, 3, 5]
  /// Tensor([1, 2, 3])[.every(-1)]           // [3, 2, 1]
  /// ```
  public static func every(_ step: Int) -> TensorIndex { .range(step: step) }
  /// One position, counted from the end when negative; the axis is dropped.
  public static func at(_ position: Int) -> TensorIndex { TensorIndex(kind: .at(position)) }
  /// Half-open with a step; bounds beyond the axis are clipped and negative ones count from its end, as in Python.
  ///
  /// ```swift
  /// Tensor([1, 2, 3, 4, 5])[.range(start: -4, step: 2)]      // [2, 4]
  /// ```
  public static func range(start: Int? = nil, stop: Int? = nil, step: Int = 1) -> TensorIndex {
    TensorIndex(kind: .range(start: start, stop: stop, step: step))
  }
  /// A new axis of size 1.
  public static var newAxis: TensorIndex { TensorIndex(kind: .newAxis) }
  /// As many whole axes as the other indices leave over: `x[.ellipsis, -1]` is the last of the last axis.
  public static var ellipsis: TensorIndex { TensorIndex(kind: .ellipsis) }
}
extension Int: TensorIndexing {
  /// The position; the axis is dropped.
  public var tensorIndex: TensorIndex { .at(self) }
}
extension Range: TensorIndexing where Bound == Int {
  /// From the lower bound up to, not including, the upper one.
  public var tensorIndex: TensorIndex { .range(start: lowerBound, stop: upperBound, step: 1) }
}
extension ClosedRange: TensorIndexing where Bound == Int {
  /// Both bounds included.
  public var tensorIndex: TensorIndex {
    .range(start: lowerBound, stop: stop(after: upperBound), step: 1)
  }
}
/// The bound after the last position: none after the axis's last, nor after the largest Int.
private func stop(after last: Int) -> Int? { last == -1 || last == .max ? nil : last + 1 }
extension PartialRangeFrom: TensorIndexing where Bound == Int {
  /// From the bound to the axis's end.
  public var tensorIndex: TensorIndex { .range(start: lowerBound, stop: nil, step: 1) }
}
extension PartialRangeUpTo: TensorIndexing where Bound == Int {
  /// From the axis's beginning up to, not including, the bound.
  public var tensorIndex: TensorIndex { .range(start: nil, stop: upperBound, step: 1) }
}
extension PartialRangeThrough: TensorIndexing where Bound == Int {
  /// From the axis's beginning, the bound included.
  public var tensorIndex: TensorIndex { .range(start: nil, stop: stop(after: upperBound), step: 1) }
}

/// A subscript worked out against a shape.
struct SubscriptPlan {
  var starts = Shape()
  var stops = Shape()
  var steps = Shape()
  /// Axes that a negative step walks backwards.
  var reversed: AxisSet = []
  /// The result's shape, dropped and new axes applied.
  var shape = Shape()
  /// The slice's own shape.
  var sliced = Shape()

  /// - Throws: ``ApusError`` (argument) for too many indices, a position outside its axis, a step of 0.
  init(_ indices: [TensorIndex], _ type: TensorType) throws {
    let shape = type.shape
    let consumed = indices.count { $0 != .newAxis && $0 != .ellipsis }
    guard consumed <= shape.rank else {
      throw ApusError(.argument, "\(consumed) indices for a tensor of rank \(shape.rank)").at("subscript", [type])
    }
    guard indices.count(where: { $0 == .ellipsis }) <= 1 else {
      throw ApusError(.argument, "only one .ellipsis can stand in a subscript").at("subscript", [type])
    }
    var all = indices
    let rest = [TensorIndex](repeating: .range(start: nil, stop: nil, step: 1), count: shape.rank - consumed)
    if let i = all.firstIndex(of: .ellipsis) { all.replaceSubrange(i...i, with: rest) } else { all += rest }
    let dropped = indices.count { if case .at = $0.kind { true } else { false } }
    let rank = shape.rank - dropped + indices.count { $0 == .newAxis }
    guard rank <= Shape.maximumRank else {
      throw ApusError(.argument, "the result would have rank \(rank); at most \(Shape.maximumRank) fits").at(
        "subscript", [type])
    }
    var axis = 0
    for index in all {
      switch index.kind {
      case .ellipsis: break
      case .newAxis: self.shape.append(1)
      case .at(let position):
        try add(position, axis, shape, type)
        axis += 1
      case .range(let start, let stop, let step):
        try add(start, stop, step, axis, shape, type)
        axis += 1
      }
    }
  }

  private mutating func add(_ position: Int, _ axis: Int, _ shape: Shape, _ type: TensorType) throws {
    let dim = shape.dim(axis)
    if let size = dim.value {
      let i = position < 0 ? position + size : position
      guard i >= 0, i < size else {
        throw ApusError(.argument, "position \(position) is outside axis \(axis) of size \(size)").at(
          "subscript", [type])
      }
      starts.append(Dim(i))
      stops.append(Dim(i + 1))
    } else {
      starts.append(position < 0 ? dim + position : Dim(position))
      stops.append(position < 0 ? dim + (position + 1) : Dim(position.saturatingPlus(1)))
    }
    steps.append(1)
    sliced.append(1)
  }

  private mutating func add(
    _ start: Int?, _ stop: Int?, _ step: Int, _ axis: Int, _ shape: Shape, _ type: TensorType
  ) throws {
    guard step != 0 else { throw ApusError(.argument, "a step of 0 never ends").at("subscript", [type]) }
    let dim = shape.dim(axis)
    if start == nil, stop == nil, step == 1 {
      starts.append(0)
      stops.append(dim)
      steps.append(1)
      sliced.append(dim)
      self.shape.append(dim)
      return
    }
    let size = dim.value ?? shape[axis]
    let distance = step == .min ? .max : abs(step)
    func clip(_ i: Int) -> Int { Swift.min(Swift.max(i < 0 ? i + size : i, 0), size) }
    var (low, high) = (clip(start ?? 0), clip(stop ?? size))
    if step < 0 {
      // Python's a[start:stop:-k]: from start down to but not including stop.
      let first = start.map { Swift.min($0 < 0 ? $0 + size : $0, size - 1) } ?? size - 1
      let last = stop.map { Swift.max($0 < 0 ? $0 + size : $0, -1) } ?? -1
      let count = first > last ? (first - last - 1) / distance + 1 : 0
      low = count > 0 ? first - (count - 1) * distance : 0
      high = count > 0 ? first + 1 : 0
      reversed.insert(axis)
    }
    high = Swift.max(low, high)
    let count = high > low ? (high - low - 1) / distance + 1 : 0
    starts.append(Dim(low))
    stops.append(Dim(high))
    steps.append(Dim(distance))
    sliced.append(Dim(count))
    self.shape.append(Dim(count))
  }
}

extension Tensor {
  /// Basic indexing, as NumPy's: positions, ranges, `.all`, `.ellipsis` and `.newAxis`; axes that
  /// are not named are whole.
  ///
  /// Reading gives a view; writing is copy-on-write and stays on the gradient tape. What is written is cast to this
  /// tensor's dtype and broadcast.
  /// ```swift
  /// let x = Tensor.zeros([2, 3, 8])
  /// x[0]                                                   // float32[3, 8], the first row
  /// x[1..., .all, 2..<5]                                   // float32[1, 3, 3]
  /// var y = x
  /// y[.ellipsis, -1] = Tensor([1, 2, 3])                   // the last of each row; x stays zeros
  /// ```
  /// Negative positions count from the end. A position outside its axis or too many indices: error (argument); ranges
  /// are clipped. In a trace a range fixes a symbolic size to today's. Up to five indices; an array takes more.
  // One a count: the compiler (6.3) crashes on a settable subscript over a parameter pack.
  public subscript<A: TensorIndexing>(_ i: A) -> Tensor {
    get { self[[i.tensorIndex]] }
    set { self[[i.tensorIndex]] = newValue }
  }
  /// Two indices, as the subscript of one takes them.
  public subscript<A: TensorIndexing, B: TensorIndexing>(_ i: A, _ j: B) -> Tensor {
    get { self[[i.tensorIndex, j.tensorIndex]] }
    set { self[[i.tensorIndex, j.tensorIndex]] = newValue }
  }
  /// Three indices, as the subscript of one takes them.
  public subscript<A: TensorIndexing, B: TensorIndexing, C: TensorIndexing>(_ i: A, _ j: B, _ k: C) -> Tensor {
    get { self[[i.tensorIndex, j.tensorIndex, k.tensorIndex]] }
    set { self[[i.tensorIndex, j.tensorIndex, k.tensorIndex]] = newValue }
  }
  /// Four indices, as the subscript of one takes them.
  public subscript<A: TensorIndexing, B: TensorIndexing, C: TensorIndexing, D: TensorIndexing>(_ i: A, _ j: B, _ k: C,
    _ l: D
  ) -> Tensor {
    get { self[[i.tensorIndex, j.tensorIndex, k.tensorIndex, l.tensorIndex]] }
    set { self[[i.tensorIndex, j.tensorIndex, k.tensorIndex, l.tensorIndex]] = newValue }
  }
  /// Five indices, as the subscript of one takes them.
  public subscript<A: TensorIndexing, B: TensorIndexing, C: TensorIndexing, D: TensorIndexing, E: TensorIndexing>(
    _ i: A, _ j: B, _ k: C, _ l: D, _ m: E
  ) -> Tensor {
    get { self[[i.tensorIndex, j.tensorIndex, k.tensorIndex, l.tensorIndex, m.tensorIndex]] }
    set { self[[i.tensorIndex, j.tensorIndex, k.tensorIndex, l.tensorIndex, m.tensorIndex]] = newValue }
  }

  /// The same with indices made at run time.
  ///
  /// ```swift
  /// x[[.at(0), .every(2)]]      // every other column of the first row
  /// ```
  public subscript(_ indices: [TensorIndex]) -> Tensor {
    get {
      do {
        let plan = try SubscriptPlan(indices, type)
        var result = self
        let isWhole = plan.sliced == shape && plan.reversed.isEmpty
        if !isWhole {
          result = Dispatch.one(.slice(.init(starts: plan.starts, stops: plan.stops, steps: plan.steps)), result)
        }
        if !plan.reversed.isEmpty { result = Dispatch.one(.reverse(.init(axes: plan.reversed)), result) }
        return plan.shape == plan.sliced ? result : Dispatch.one(.reshape(.init(shape: plan.shape)), result)
      } catch {
        return Dispatch.fail(error, type: type)
      }
    }
    set {
      do {
        let plan = try SubscriptPlan(indices, type)
        // A number that the dtype can't hold is an error; elements of a tensor are converted as ever.
        if newValue.dtype != dtype, let number = newValue.uniformScalar { try number.checkFits(dtype) }
        var update = newValue.cast(to: dtype).broadcast(to: plan.shape)
        if plan.shape != plan.sliced { update = Dispatch.one(.reshape(.init(shape: plan.sliced)), update) }
        if !plan.reversed.isEmpty { update = Dispatch.one(.reverse(.init(axes: plan.reversed)), update) }
        if node == nil, update.node == nil, dtype.bitWidth >= 8, ExecutionContext.isDefault, storage.isReusable,
          update.storage.isConcrete, isKnownUniquelyReferenced(&storage)
        {
          try InPlace.write(update.storage, into: storage, plan)
        } else {
          let operation = Primitive.SliceUpdate(starts: plan.starts, steps: plan.steps)
          self = Dispatch.one(.sliceUpdate(operation), self, update)
        }
      } catch {
        self = Dispatch.fail(error, type: type)
      }
    }
  }
}

/// Overwrites part of memory that nobody else holds.
private enum InPlace {
  static func write(_ source: Storage, into target: Storage, _ plan: SubscriptPlan) throws {
    // Without elements, some size may be beyond all counting.
    if plan.sliced.contains(0) { return }
    let width = target.dtype.stride
    let (from, to) = (try source.plain(), try target.plain())
    func copy(_ axis: Int, _ a: Int, _ b: Int) {
      if axis == plan.sliced.rank {
        (to + b * width).copyMemory(from: from + a * width, byteCount: width)
        return
      }
      let (readStep, writeStep) = (source.strides[axis], target.strides[axis])
      for i in 0..<plan.sliced[axis] {
        copy(axis + 1, a + i * readStep, b + (plan.starts[axis] + i * plan.steps[axis]) * writeStep)
      }
    }
    withExtendedLifetime((source, target)) { copy(0, 0, 0) }
  }
}
