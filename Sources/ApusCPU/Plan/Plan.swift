import ApusCore
import CApus
import CKernels
import COneDNN

/// Addresses of a plan's slots during one run.
typealias Addresses = UnsafePointer<UnsafeMutableRawPointer>

/// A straight schedule: kernel calls in order over slots, each at a fixed place in an input, an output, a constant or
/// the arena. Immutable; runs may overlap, each has its own arena.
final class Plan: Sendable {
  typealias Step = @Sendable (Addresses) throws -> Void

  /// Where a slot's memory comes from.
  enum Source: Sendable {
    case input(Int)
    case output(Int)
    case arena
    case constant(Constant)
  }
  struct Slot: Sendable {
    let source: Source
    let offset: Int
  }
  /// What an output is made of.
  enum Output: Sendable {
    /// Fresh memory, plain or in a layout.
    case fresh(TensorType, Layout?)
    /// The input itself, unchanged.
    case passed(Int)
    /// The input's memory, overwritten.
    case donated(Int)
  }

  let slots: [Slot]
  let steps: [Step]
  /// What each step is for.
  let names: [String]
  /// The graph's node that each step was made for, and its operands' types: what an error of the step is known by.
  let nodes: [TracedNode?]
  let outputs: [Output]
  let arenaBytes: Int
  /// Donated inputs that steps overwrite.
  let overwritten: [Int]
  /// Limits are looked at before the steps up to this one: it overwrites a donated input, after which a run must end well.
  private let lastLimited: Int
  /// Inputs whose layout the steps know; the others are read plain and contiguous.
  let opaqueInputs: Set<Int>
  /// Whether the steps run on the compute thread's team; else inline on the caller.
  let usesTeam: Bool
  /// Whether a step calls into a library that would start a team of its own.
  let callsLibraries: Bool

  init(
    slots: [Slot], steps: [Step], names: [String], nodes: [TracedNode?], outputs: [Output], arenaBytes: Int,
    overwritten: [Int], firstOverwrite: Int?, opaqueInputs: Set<Int>,
    usesTeam: Bool, callsLibraries: Bool
  ) {
    self.slots = slots
    self.steps = steps
    self.names = names
    self.nodes = nodes
    self.outputs = outputs
    self.arenaBytes = arenaBytes
    self.overwritten = overwritten
    lastLimited = firstOverwrite ?? steps.count
    self.opaqueInputs = opaqueInputs
    self.usesTeam = usesTeam
    self.callsLibraries = callsLibraries
  }

  /// Runs the steps. `inputs` must lie as the plan was built for.
  func run(_ inputs: inout [Storage], context: RunContext = RunContext()) throws -> [Storage] {
    for i in overwritten where !(isKnownUniquelyReferenced(&inputs[i]) && inputs[i].isReusable) {
      inputs[i] = try inputs[i].copied()
    }
    var results: [Storage] = []
    results.reserveCapacity(outputs.count)
    for output in outputs {
      switch output {
      case .fresh(let type, nil): results.append(try Storage(type))
      case .fresh(let type, .some(let layout)):
        results.append(Storage(type, opaque: try BlockedBuffer(type, layout)))
      case .passed(let i), .donated(let i): results.append(inputs[i])
      }
    }
    let arena = try Arena(arenaBytes)
    try withUnsafeTemporaryAllocation(of: UnsafeMutableRawPointer.self, capacity: slots.count) { table in
      for (i, slot) in slots.enumerated() {
        let base =
          switch slot.source {
          case .input(let k): opaqueInputs.contains(k) ? try inputs[k].blockedAddress : try inputs[k].plain()
          case .output(let k): try results[k].blockedAddress
          case .arena: arena.base
          case .constant(let constant): constant.address
          }
        table.initializeElement(at: i, to: base + slot.offset)
      }
      guard let addresses = UnsafePointer(table.baseAddress) else { return }
      if usesTeam {
        try ComputeThread.run { try run(addresses, context) }
      } else if callsLibraries {
        let before = apus_dnn_use_threads(1)
        defer { _ = apus_dnn_use_threads(before) }
        try run(addresses, context)
      } else {
        try run(addresses, context)
      }
    }
    return results
  }

  private func run(_ addresses: Addresses, _ context: RunContext) throws {
    let clock = ContinuousClock()
    let isLimited = context.isLimited
    for i in steps.indices {
      if isLimited, i <= lastLimited { try context.check("a compiled graph") }
      do {
        if let observer = context.observer {
          let duration = try clock.measure { try steps[i](addresses) }
          observer(.init(name: names[i], duration: duration))
        } else {
          try steps[i](addresses)
        }
      } catch {
        throw nodes[i]?.naming(error) ?? error
      }
    }
  }
}

/// A node of a traced graph with its operands' types.
struct TracedNode: Sendable {
  let node: Graph.Node
  let operands: [TensorType]

  func naming(_ error: any Error) -> any Error { node.naming(error, operands: operands) }
}

/// Memory of one run's intermediates.
private struct Arena: ~Copyable {
  let base: UnsafeMutableRawPointer
  private let bytes: Int

  init(_ bytes: Int) throws {
    guard let base = apus_allocate(max(bytes, 1)) else {
      throw ApusError(.memory, "the intermediate values need \(bytes) bytes, and the machine has none left")
    }
    self.base = base
    self.bytes = bytes
  }
  deinit { apus_deallocate(base, max(bytes, 1)) }
}

/// Memory that belongs to a plan: constants of the graph, as they are or converted once.
final class Constant: @unchecked Sendable {
  let address: UnsafeMutableRawPointer
  private let owner: Storage?
  private let bytes: Int
  /// Whether it is the graph's own, which lives as long as whatever was compiled of the graph.
  var belongsToGraph: Bool { owner != nil }

  init(_ storage: Storage) throws {
    owner = storage
    bytes = 0
    address = try storage.plain()
  }

  /// Uninitialised.
  init(bytes: Int) throws {
    guard let memory = apus_allocate(max(bytes, 1)) else {
      throw ApusError(.memory, "a constant needs \(bytes) bytes, and the machine has none left")
    }
    owner = nil
    self.bytes = max(bytes, 1)
    address = memory
  }

  deinit { if owner == nil { apus_deallocate(address, bytes) } }
}

extension Storage {
  /// The elements in whatever layout the storage has.
  var blockedAddress: UnsafeMutableRawPointer {
    get throws { try (opaque as? BlockedBuffer)?.memory ?? plain() }
  }

  /// The same elements in fresh, contiguous memory.
  func copied() throws -> Storage {
    let source = try plain()
    let copy = try Storage(type)
    let count = type.dtype.byteCount(shape.elementCount) ?? 0
    if isContiguous {
      copy.plainAddress.copyMemory(from: source, byteCount: count)
    } else {
      guard let bytes = dtype.elementBytes else {
        throw ApusError(.unsupported, "a strided view of \(dtype) can't be copied")
      }
      Geometry(shape, strides).gather(bytes, from: source, to: copy.plainAddress)
    }
    return copy
  }
}
