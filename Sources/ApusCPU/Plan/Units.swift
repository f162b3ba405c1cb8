import ApusCore

/// Nodes that run as one kernel.
struct Unit {
  enum Kind {
    /// One node by itself.
    case single
    /// Element-wise nodes over one shape, in order.
    case elementwise
    /// A convolution or matrix product, then a bias added to its result.
    case epilogue
    /// A convolution's weight gradient, and the same gradient's sum over all but the channels.
    case convolutionGradients
  }
  var kind: Kind
  /// Positions in the graph, ascending. The unit runs where the last one stands, convolution gradients at the first.
  var nodes: [Int]
  /// Values from outside that it reads, each once.
  var inputs: [Int]
  /// Values that others read.
  var outputs: [Int]
}

/// Divides a graph's nodes into units.
struct UnitFormation {
  private let graph: Graph
  private let readers: [[Int]]
  private let isOutput: [Bool]
  private let producer: [Int?]
  private var owner: [Int?]
  private var groups: [(kind: Unit.Kind, nodes: [Int])] = []

  /// Larger groups would need more registers than stay in cache.
  private static let largestGroup = 48

  /// In an order in which they can run.
  static func units(of graph: Graph) -> [Unit] {
    var formation = UnitFormation(graph)
    formation.findEpilogues()
    formation.findConvolutionGradients()
    formation.findElementwise()
    return formation.collect()
  }

  private init(_ graph: Graph) {
    self.graph = graph
    var readers = [[Int]](repeating: [], count: graph.types.count)
    var producer = [Int?](repeating: nil, count: graph.types.count)
    for (i, node) in graph.nodes.enumerated() {
      for id in Set(node.inputs) { readers[id.index].append(i) }
      for id in node.outputs { producer[id.index] = i }
    }
    var isOutput = [Bool](repeating: false, count: graph.types.count)
    for port in graph.outputs { isOutput[port.value.index] = true }
    self.readers = readers
    self.producer = producer
    self.isOutput = isOutput
    owner = Array(repeating: nil, count: graph.nodes.count)
  }

  private mutating func claim(_ kind: Unit.Kind, _ nodes: [Int]) {
    for node in nodes { owner[node] = groups.count }
    groups.append((kind, nodes))
  }

  /// The only reader of a node's only result, if that is no output.
  private func soleReader(_ node: Int) -> Int? {
    guard graph.nodes[node].outputs.count == 1 else { return nil }
    let value = graph.nodes[node].outputs[0].index
    guard !isOutput[value], readers[value].count == 1, owner[readers[value][0]] == nil else { return nil }
    return readers[value][0]
  }

  private mutating func findEpilogues() {
    for (i, node) in graph.nodes.enumerated() where owner[i] == nil {
      guard Epilogue.canStart(node.primitive), let sum = soleReader(i),
        case .add = graph.nodes[sum].primitive, graph.nodes[sum].inputs[0] != graph.nodes[sum].inputs[1]
      else { continue }
      // The addend must be a bias seen over the whole result.
      let product = node.outputs[0]
      let addend = graph.nodes[sum].inputs[graph.nodes[sum].inputs[0] == product ? 1 : 0]
      guard let source = producer[addend.index], case .broadcast = graph.nodes[source].primitive else { continue }
      // Not a relu behind it too: oneDNN's makes 0 of NaN, and a training that diverged would look healthy.
      claim(.epilogue, [i, sum])
    }
  }

  private mutating func findConvolutionGradients() {
    for (i, node) in graph.nodes.enumerated() where owner[i] == nil {
      guard case .convolutionWeightGradient = node.primitive else { continue }
      let gradient = node.inputs[1].index
      let sum = readers[gradient].first { reader in
        guard owner[reader] == nil, case .sum(let d) = graph.nodes[reader].primitive else { return false }
        return d.axes == [0, 2, 3]
      }
      guard let sum else { continue }
      // It runs where the first stands: everything both read must be there by then.
      let first = min(i, sum)
      if node.inputs.allSatisfy({ (producer[$0.index] ?? -1) < first }) {
        claim(.convolutionGradients, [first, max(i, sum)])
      }
    }
  }

  private func isFusible(_ node: Int) -> Bool {
    guard owner[node] == nil, ElementwiseKernel(graph.nodes[node].primitive) != nil
    else { return false }
    let values = graph.nodes[node].inputs + graph.nodes[node].outputs
    return values.allSatisfy { graph.type($0).dtype.hasArithmetic } && graph.type(values[0]).shape.elementCount > 0
  }

  /// A producer for a group that may join it: all its readers are inside, so nothing outside runs between them.
  private func nextMember(of members: Set<Int>, _ shape: Shape) -> Int? {
    for member in members {
      for id in graph.nodes[member].inputs {
        guard let node = producer[id.index], !members.contains(node), isFusible(node) else { continue }
        let value = graph.nodes[node].outputs[0]
        if graph.type(value).shape == shape, readers[value.index].allSatisfy(members.contains) { return node }
      }
    }
    return nil
  }

  private mutating func findElementwise() {
    for root in graph.nodes.indices.reversed() where isFusible(root) {
      let shape = graph.type(graph.nodes[root].outputs[0]).shape
      var members: Set<Int> = [root]
      var grows = true
      while grows, members.count < Self.largestGroup {
        let next = nextMember(of: members, shape)
        if let next { members.insert(next) }
        grows = next != nil
      }
      if members.count > 1 { claim(.elementwise, members.sorted()) }
    }
  }

  private func collect() -> [Unit] {
    var places: [Int: Int] = [:]
    for (g, group) in groups.enumerated() {
      if let place = group.kind == .convolutionGradients ? group.nodes.first : group.nodes.last { places[place] = g }
    }
    var units: [Unit] = []
    for i in graph.nodes.indices {
      if let group = places[i] {
        units.append(unit(groups[group].kind, groups[group].nodes))
      } else if owner[i] == nil {
        units.append(unit(.single, [i]))
      }
    }
    return units
  }

  private func unit(_ kind: Unit.Kind, _ nodes: [Int]) -> Unit {
    let made = Set(nodes.flatMap { graph.nodes[$0].outputs.map(\.index) })
    var inputs: [Int] = []
    for node in nodes {
      for id in graph.nodes[node].inputs where !made.contains(id.index) && !inputs.contains(id.index) {
        inputs.append(id.index)
      }
    }
    let members = Set(nodes)
    let outputs = nodes.flatMap { graph.nodes[$0].outputs.map(\.index) }.filter { value in
      isOutput[value] || !readers[value].allSatisfy(members.contains)
    }
    return Unit(kind: kind, nodes: nodes, inputs: inputs, outputs: outputs)
  }
}

/// What oneDNN can compute on the way out of a convolution or matrix product.
enum Epilogue {
  static func canStart(_ primitive: Primitive) -> Bool {
    switch primitive {
    case .convolution, .matmul: true
    default: false
    }
  }
}
