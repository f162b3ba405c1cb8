import Apus
import Synchronization

/// An engine over simulated accelerators, as an outside package would write one.
///
/// It has memory of its own, so its storages are over ``Block``s. It compiles whole graphs, and eager operations as graphs
/// of one node (`CompilingEngine`). What its commands compute with is Apus's own CPU engine, on the device's queue; a real
/// one would lower the graph to its device's code instead.
final class AcceleratorEngine: CompilingEngine {
  let name = "accelerator"
  let devices: [Device]
  let singleOperations = SingleOperations()
  private let accelerators: [Accelerator]

  init(devices count: Int = 1, memory: Int = 1 << 30) {
    devices = (0..<count).map { Device(engine: "accelerator", index: $0) }
    accelerators = (0..<count).map { _ in Accelerator(capacity: memory) }
  }

  /// The first one.
  var accelerator: Accelerator { accelerators[0] }
  func accelerator(_ device: Device) -> Accelerator { accelerators[device.index] }

  func upload(_ storage: Storage, to device: Device) throws -> Storage {
    let bytes = try storage.contiguousBytes()
    return Storage(storage.type, opaque: Block(self, device, holding: try accelerator(device).copyIn(bytes)))
  }

  func compile(_ graph: Graph, options: CompileOptions) throws -> any Executable {
    try AcceleratedGraph(graph, engine: self, device: device(options, for: graph.name))
  }
}

extension Storage {
  /// The elements without gaps, as the accelerator's memory has them.
  func contiguousBytes() throws -> [UInt8] {
    _ = try plain()
    return try (isContiguous ? self : HostCopy.contiguous(self)).withBytes { Array($0) }
  }
}

/// A tensor in an accelerator's memory, or to be there.
final class Block: DeviceBuffer {
  let engine: any Engine
  let device: Device
  let completion: Completion
  private let accelerator: Accelerator
  private let place: Mutex<Int?>

  /// To be computed.
  init(_ engine: AcceleratorEngine, _ device: Device) {
    (self.engine, self.device, accelerator) = (engine, device, engine.accelerator(device))
    completion = Completion()
    place = Mutex(nil)
  }

  /// There already.
  init(_ engine: AcceleratorEngine, _ device: Device, holding block: Int) {
    (self.engine, self.device, accelerator) = (engine, device, engine.accelerator(device))
    completion = .done
    place = Mutex(block)
  }

  deinit { if let block = place.withLock({ $0 }) { accelerator.release(block) } }

  func finish(_ result: Result<Int, any Error>) {
    if case .success(let block) = result { place.withLock { $0 = block } }
    completion.finish(result.map { _ in })
  }

  /// Its place in the memory, once it is there.
  func block() throws -> Int {
    try completion.wait()
    guard let block = place.withLock({ $0 }) else { throw ApusError(.argument, "a block is read that was donated") }
    return block
  }

  /// Leaves its place to a result.
  func donate() -> Int? {
    place.withLock { block in
      defer { block = nil }
      return block
    }
  }

  func writePlain(to destination: UnsafeMutableRawBufferPointer) throws {
    try accelerator.copyOut(block(), to: destination)
  }
}

/// A graph made ready for an accelerator, its constants in the device's memory.
final class AcceleratedGraph: Executable {
  private struct Operand: Sendable {
    let type: TensorType
    let block: Block
    var isDonated = false
  }

  private let name: String
  private let engine: AcceleratorEngine
  private let device: Device
  /// Takes the constants behind the inputs.
  private let kernel: any Executable
  private let constants: [Storage]
  private let resultTypes: PerSizes<[TensorType]>

  init(_ graph: Graph, engine: AcceleratorEngine, device: Device) throws {
    (name, self.engine, self.device) = (graph.name, engine, device)
    resultTypes = PerSizes(graph)
    var lowered = graph
    var constants: [Storage] = []
    for (id, constant) in graph.constants.sorted(by: { $0.key.index < $1.key.index }) {
      constants.append(try engine.resident(constant.storage, on: device))
      lowered.inputs.append(Graph.Port(name: "constant.\(id.index)", value: id))
    }
    lowered.constants = [:]
    self.constants = constants
    kernel = try Engines.embedded.compile(lowered)
  }

  func run(_ inputs: inout [Storage], context: RunContext) throws -> [Storage] {
    // What is known to be wrong is thrown now; what only values show, ends the results' completions.
    let types = try resultTypes.value(for: inputs, context) { graph, _ in graph.outputTypes }
    var operands: [Operand] = []
    for i in inputs.indices {
      inputs[i] = try engine.resident(inputs[i], on: device)
      let isDonated = context.donated.contains(i) && isKnownUniquelyReferenced(&inputs[i])
      operands.append(try operand(inputs[i], isDonated: isDonated))
    }
    operands += try constants.map { try operand($0, isDonated: false) }
    let results = types.map { _ in Block(engine, device) }
    engine.accelerator(device).launch { [operands] in
      do {
        try self.compute(operands, results, types, context)
      } catch {
        for block in results { block.finish(.failure(error)) }
      }
    }
    return zip(types, results).map { Storage($0, opaque: $1) }
  }

  /// On the device's queue. Donated blocks are overwritten once nothing can fail any more.
  private func compute(
    _ operands: [Operand], _ results: [Block], _ types: [TensorType], _ context: RunContext
  ) throws {
    try context.check(name)
    let accelerator = engine.accelerator(device)
    var inputs: [Storage] = []
    for operand in operands {
      let bytes = try accelerator.load(operand.block.block())
      inputs.append(try Tensor(bytes: bytes.span.bytes, type: operand.type).storage)
    }
    var inner = context
    inner.donated = []
    let computed = try kernel.run(&inputs, context: inner).map { try $0.contiguousBytes() }
    var free = operands.filter(\.isDonated)
    var donors: [Block?] = []
    var places: [Int] = []
    for (type, bytes) in zip(types, computed) {
      let donor = free.firstIndex { $0.type == type }.map { free.remove(at: $0).block }
      donors.append(donor)
      places.append(try donor?.block() ?? accelerator.store(bytes))
    }
    for (i, bytes) in computed.enumerated() {
      if donors[i]?.donate() != nil { accelerator.overwrite(places[i], bytes) }
      results[i].finish(.success(places[i]))
    }
  }

  private func operand(_ storage: Storage, isDonated: Bool) throws -> Operand {
    guard let block = storage.opaque as? Block else {
      throw ApusError(.unsupported, "\(name): \(storage.type) is not in the accelerator's memory")
    }
    return Operand(type: storage.type, block: block, isDonated: isDonated)
  }
}
