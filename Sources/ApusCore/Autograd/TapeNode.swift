import Synchronization

/// One recorded operation of the gradient tape, or a leaf that collects a gradient.
///
/// A node refers to its operands' nodes, never to the tensors that came of it, so a tape lives exactly as long as a
/// tensor that needs it. Teardown is iterative: a chain of a million nodes must not be a million frames deep.
final class TapeNode: @unchecked Sendable {
  struct Edge {
    var node: TapeNode?
    var index: Int32 = 0

    init() {}
    @inline(__always)
    init(_ operand: Tensor) {
      node = operand.node?.onTape
      index = operand.outputIndex
    }
  }

  /// What the pullback reads.
  struct Saved: Sendable {
    var input0: Storage?
    var input1: Storage?
    var input2: Storage?
    var more: [Storage?] = []
    var outputs: [Storage] = []
    var types: [TensorType] = []
    var isReleased = false

    func input(_ i: Int) -> Storage? {
      switch i {
      case 0: input0
      case 1: input1
      case 2: input2
      default: i - 3 < more.count ? more[i - 3] : nil
      }
    }
    mutating func setInput(_ i: Int, _ storage: Storage) {
      switch i {
      case 0: input0 = storage
      case 1: input1 = storage
      case 2: input2 = storage
      default:
        while more.count <= i - 3 { more.append(nil) }
        more[i - 3] = storage
      }
    }
  }

  let primitive: Primitive
  /// 1 + the largest depth among its operands: a topological order that needs no counter shared by threads.
  let depth: Int
  let edgeCount: Int
  /// Whether a leaf is below it that is not a point of `gradient(at:)`: a parameter, or a tensor that requires a
  /// gradient.
  let reachesLeaf: Bool
  /// Where a leaf's gradient goes; nil for recorded operations.
  let leaf: GradientSlot?
  /// Of a leaf that tensors hold: the node that tapes refer to in its place.
  ///
  /// A gradient that was itself recorded (`createGraph`) lies in the slot and holds its tape, which leads back to the
  /// leaf. So tapes do not hold what keeps the slot open: when the last tensor with this node goes, the slot is closed
  /// and lets its gradient go.
  private let taped: TapeNode?
  /// Edges are written at creation and in `deinit` only, when nobody else can look: dynamic exclusivity checks would be
  /// a sixth of a scalar's backward.
  @exclusivity(unchecked) private var edge0 = Edge()
  @exclusivity(unchecked) private var edge1 = Edge()
  @exclusivity(unchecked) private var edge2 = Edge()
  @exclusivity(unchecked) private var moreEdges: [Edge] = []
  private let saved: Mutex<Saved>

  /// A leaf. Its gradient is collected in `slot`, or in one of its own.
  /// - Parameter isPoint: whether it is the point of a `gradient(at:)`, which nobody else can ask for.
  init(leaf slot: GradientSlot?, isPoint: Bool = false) {
    let slot = slot ?? GradientSlot()
    primitive = .negate
    depth = 0
    edgeCount = 0
    reachesLeaf = !isPoint
    leaf = slot
    taped = TapeNode(tapeLeaf: slot, isPoint: isPoint)
    saved = Mutex(Saved())
  }

  private init(tapeLeaf slot: GradientSlot, isPoint: Bool) {
    primitive = .negate
    depth = 0
    edgeCount = 0
    reachesLeaf = !isPoint
    leaf = slot
    taped = nil
    saved = Mutex(Saved())
  }

  /// The node that edges refer to.
  @inline(__always)
  var onTape: TapeNode { taped ?? self }

  init(_ primitive: Primitive, edges: (Edge, Edge, Edge), more: [Edge] = [], count: Int, saved: consuming Saved) {
    self.primitive = primitive
    edge0 = edges.0
    edge1 = edges.1
    edge2 = edges.2
    moreEdges = more
    edgeCount = count
    leaf = nil
    taped = nil
    var deepest = Swift.max(edges.0.node?.depth ?? 0, edges.1.node?.depth ?? 0, edges.2.node?.depth ?? 0)
    var reaches =
      edges.0.node?.reachesLeaf == true || edges.1.node?.reachesLeaf == true || edges.2.node?.reachesLeaf == true
    for edge in more {
      deepest = Swift.max(deepest, edge.node?.depth ?? 0)
      if edge.node?.reachesLeaf == true { reaches = true }
    }
    depth = deepest + 1
    reachesLeaf = reaches
    self.saved = Mutex(saved)
  }

  func edge(_ i: Int) -> Edge {
    switch i {
    case 0: edge0
    case 1: edge1
    case 2: edge2
    default: moreEdges[i - 3]
    }
  }

  /// The residuals, unless an earlier `backward` let them go.
  func residuals() throws -> Saved {
    let saved = saved.withLock { $0 }
    if saved.isReleased {
      throw ApusError(
        .gradient,
        "the values saved for the gradient were released by an earlier backward; pass retainGraph: true to that one",
        operation: primitive.name)
    }
    return saved
  }

  func release() { saved.withLock { $0 = Saved(isReleased: true) } }

  deinit {
    if taped != nil { leaf?.close() }
    guard edge0.node != nil || edge1.node != nil || edge2.node != nil || !moreEdges.isEmpty else { return }
    var pending: [TapeNode] = []
    takeLastReferences(into: &pending)
    while let node = pending.popLast() { node.takeLastReferences(into: &pending) }
  }

  /// Moves the operands' nodes that only this one holds to `pending`, so that no deinit nests in another.
  private func takeLastReferences(into pending: inout [TapeNode]) {
    TapeNode.take(&edge0.node, into: &pending)
    TapeNode.take(&edge1.node, into: &pending)
    TapeNode.take(&edge2.node, into: &pending)
    for i in moreEdges.indices { TapeNode.take(&moreEdges[i].node, into: &pending) }
  }

  private static func take(_ node: inout TapeNode?, into pending: inout [TapeNode]) {
    if node == nil { return }
    if isKnownUniquelyReferenced(&node), let last = node, last.edgeCount > 0 { pending.append(last) }
    node = nil
  }
}

/// Where a leaf's gradient accumulates: what a ``Program`` names it by.
public final class GradientSlot: Sendable {
  private struct State {
    var value: Tensor?
    /// Nobody can ask for the gradient any more.
    var isClosed = false
  }
  private let state = Mutex(State())

  /// The accumulated gradient; inside a trace, the trace's own.
  var gradient: Tensor? {
    get { ExecutionContext.current?.trace.map { $0.gradient(of: self) } ?? stored }
    set {
      if let trace = ExecutionContext.current?.trace {
        trace.setGradient(of: self, newValue)
      } else {
        stored = newValue
      }
    }
  }

  /// What is kept outside traces.
  var stored: Tensor? {
    get { state.withLock { $0.value } }
    set { replace { _ in newValue } }
  }

  /// Lets the gradient go, and takes no other.
  fileprivate func close() {
    let last = state.withLock { state in
      defer { state = State(isClosed: true) }
      return state.value
    }
    // With it may go a tape, and other slots: not under the lock.
    withExtendedLifetime(last) {}
  }

  private func replace(_ next: (Tensor?) -> Tensor?) {
    let earlier = state.withLock { state in
      let earlier = state.value
      // A leaf's own values as a gradient must not keep that leaf's slot open.
      if !state.isClosed { state.value = next(earlier).map(\.onTape) }
      return earlier
    }
    withExtendedLifetime(earlier) {}
  }

  func accumulate(_ gradient: Tensor) {
    // A failed backward, in `checked`, leaves what was there.
    if gradient.isPoisoned { return }
    if ExecutionContext.current?.trace != nil {
      self.gradient = self.gradient.map { $0 + gradient } ?? gradient
    } else {
      replace { $0.map { $0 + gradient } ?? gradient }
    }
  }
}

extension Tensor {
  /// The same with the node that tapes refer to.
  fileprivate var onTape: Tensor { node.map { Tensor(storage, node: $0.onTape, outputIndex: outputIndex) } ?? self }
}
