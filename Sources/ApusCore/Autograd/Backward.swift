/// The reverse sweep: from some outputs to every leaf, deepest node first.
struct ReverseSweep {
  private var pending = NodeHeap()
  private var arrived = ArrivedGradients()
  let retainGraph: Bool

  init(retainGraph: Bool) { self.retainGraph = retainGraph }

  mutating func add(_ gradient: Tensor, to tensor: Tensor) {
    if let node = tensor.node { add(gradient, to: node.onTape, Int(tensor.outputIndex)) }
  }

  private mutating func add(_ gradient: Tensor, to node: TapeNode, _ index: Int) {
    if arrived.add(gradient, to: ObjectIdentifier(node), index) { pending.push(node) }
  }

  /// Runs to the leaves, which get their whole gradients.
  mutating func run(_ leaf: (TapeNode, Tensor) -> Void) throws {
    try run(isEnd: { $0.leaf != nil }, leaf)
  }

  /// Runs to the nodes of `targets` alone.
  /// - Returns: a gradient for each; nil where nothing arrived.
  mutating func run(to targets: [Tensor]) throws -> [Tensor?] {
    var found: [ObjectIdentifier: Tensor] = [:]
    let ends = Set(targets.compactMap { $0.node.map { ObjectIdentifier($0.onTape) } })
    try run(isEnd: { ends.contains(ObjectIdentifier($0)) }) { found[ObjectIdentifier($0)] = $1 }
    return targets.map { target in target.node.flatMap { found[ObjectIdentifier($0.onTape)] } }
  }

  private mutating func run(isEnd: (TapeNode) -> Bool, _ end: (TapeNode, Tensor) -> Void) throws {
    while let node = pending.pop() {
      guard let gradients = arrived.take(ObjectIdentifier(node)) else { continue }
      if isEnd(node) {
        if let gradient = gradients[0] { end(node, gradient) }
        continue
      }
      if node.leaf != nil { continue }
      let saved = try node.residuals()
      if !retainGraph { node.release() }
      let context = VJPContext(outputGradients: gradients, node: node, saved: saved)
      let results = node.primitive.vjp(context)
      for i in 0..<Swift.min(results.count, node.edgeCount) {
        let edge = node.edge(i)
        if let target = edge.node, let gradient = results[i] { add(gradient, to: target, Int(edge.index)) }
      }
    }
  }
}

/// Gradients that reached a node and wait for their turn, an output each. Few wait at a time in most tapes: those are
/// searched one by one; a dictionary takes over when there are more.
private struct ArrivedGradients {
  private var few: [(key: ObjectIdentifier, gradients: [Tensor?])] = []
  private var many: [ObjectIdentifier: [Tensor?]] = [:]
  private static let limit = 12

  /// - Returns: whether it is the node's first.
  mutating func add(_ gradient: Tensor, to key: ObjectIdentifier, _ index: Int) -> Bool {
    for i in few.indices where few[i].key == key {
      Self.add(gradient, index, to: &few[i].gradients)
      return false
    }
    if !many.isEmpty, many[key] != nil {
      Self.add(gradient, index, to: &many[key, default: []])
      return false
    }
    var slots = [Tensor?](repeating: nil, count: index + 1)
    slots[index] = gradient
    if few.count < Self.limit { few.append((key, slots)) } else { many[key] = slots }
    return true
  }

  mutating func take(_ key: ObjectIdentifier) -> [Tensor?]? {
    for i in few.indices where few[i].key == key {
      few.swapAt(i, few.count - 1)
      return few.removeLast().gradients
    }
    return many.isEmpty ? nil : many.removeValue(forKey: key)
  }

  private static func add(_ gradient: Tensor, _ index: Int, to slots: inout [Tensor?]) {
    while slots.count <= index { slots.append(nil) }
    if let earlier = slots[index] {
      // Let go first, so that the sum may reuse its memory.
      slots[index] = nil
      slots[index] = earlier + gradient
    } else {
      slots[index] = gradient
    }
  }
}

/// A max-heap by depth: a node comes out after every node that used its results.
private struct NodeHeap {
  private var items: [TapeNode] = []

  mutating func push(_ node: TapeNode) {
    items.append(node)
    var i = items.count - 1
    while i > 0 {
      let parent = (i - 1) / 2
      if items[parent].depth >= items[i].depth { break }
      items.swapAt(parent, i)
      i = parent
    }
  }

  mutating func pop() -> TapeNode? {
    guard let first = items.first else { return nil }
    let last = items.removeLast()
    if items.isEmpty { return first }
    items[0] = last
    var i = 0
    while true {
      var largest = i
      for child in [2 * i + 1, 2 * i + 2] where child < items.count && items[child].depth > items[largest].depth {
        largest = child
      }
      if largest == i { break }
      items.swapAt(i, largest)
      i = largest
    }
    return first
  }
}

extension Primitive {
  /// The pullback, without a box for the operations that scalars' tapes are made of.
  func vjp(_ context: VJPContext) -> [Tensor?] {
    switch self {
    case .add: Primitive.Add().vjp(context)
    case .multiply: Primitive.Multiply().vjp(context)
    case .power: Primitive.Power().vjp(context)
    default: definition.vjp(context)
    }
  }
}

extension Tensor {
  /// The gradient that ``backward(gradient:retainGraph:createGraph:)`` left on this leaf, of its shape; nil before, and
  /// for every other tensor. Set nil to begin anew: gradients add up.
  public var gradient: Tensor? {
    get { node?.leaf?.gradient }
    nonmutating set { node?.leaf?.gradient = newValue }
  }

  /// Adds the gradient of this tensor to the ``gradient`` of every leaf it depends on.
  ///
  /// ```swift
  /// let x = Tensor(2.0, requiresGradient: true)
  /// (x ** 3).backward()
  /// x.gradient            // 12
  /// ```
  /// Error (gradient): it depends on no leaf, it has several elements and no `gradient` is given, or the values saved
  /// for it were released by an earlier `backward`. A `gradient` of another shape: error (shape).
  /// - Parameters:
  ///   - gradient: dL/d(self), of this tensor's shape; 1 for a tensor of one element.
  ///   - retainGraph: keep the saved values so that `backward` can run again.
  ///   - createGraph: record the derivative's own operations, for higher orders. Implies `retainGraph`.
  public func backward(gradient: Tensor? = nil, retainGraph: Bool = false, createGraph: Bool = false) {
    Dispatch.reporting {
      try Autograd.backward(self, gradient: gradient, retainGraph: retainGraph || createGraph, createGraph: createGraph)
    }
  }
}

enum Autograd {
  static func seed(_ output: Tensor, _ gradient: Tensor?, operation: String) throws -> Tensor {
    if let gradient {
      guard gradient.shape == output.shape else {
        throw ApusError(
          .shape, "the gradient must have the output's shape \(output.shape)", operation: operation,
          operands: [output.type, gradient.type])
      }
      return gradient.cast(to: output.dtype)
    }
    guard output.shape.elementDim == 1 else {
      throw ApusError(
        .gradient,
        "only a tensor of one element has a gradient without being given one; reduce it (.sum()) or pass gradient:",
        operation: operation, operands: [output.type])
    }
    if output.rank == 0, output.storage.isConcrete { return Tensor.scalar(.double(1), dtype: output.dtype) }
    return Tensor.onesLike(output)
  }

  static func backward(_ output: Tensor, gradient: Tensor?, retainGraph: Bool, createGraph: Bool) throws {
    guard output.node != nil else {
      throw ApusError(
        .gradient, "nothing it was computed from requires a gradient", operation: "backward", operands: [output.type])
    }
    var sweep = ReverseSweep(retainGraph: retainGraph)
    sweep.add(try seed(output, gradient, operation: "backward"), to: output)
    try recording(createGraph) {
      try sweep.run { node, gradient in node.leaf?.accumulate(gradient) }
    }
  }

  /// Gradients of `output` for `leaves` alone; nil where it does not depend on one.
  static func gradients(
    of output: Tensor, seed gradient: Tensor?, for leaves: [Tensor], retainGraph: Bool, createGraph: Bool
  ) throws -> [Tensor?] {
    guard output.node != nil else { return Array(repeating: nil, count: leaves.count) }
    var sweep = ReverseSweep(retainGraph: retainGraph)
    sweep.add(try seed(output, gradient, operation: "gradient"), to: output)
    return try recording(createGraph) { try sweep.run(to: leaves) }
  }

  private static func recording<R>(_ enabled: Bool, _ body: () throws -> R) rethrows -> R {
    if enabled == ExecutionContext.recordsGradients { return try body() }
    return try ExecutionContext.with({ $0.gradientEnabled = enabled }, body)
  }
}
