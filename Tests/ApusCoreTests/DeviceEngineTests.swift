import Dispatch
import Synchronization
import Testing

@testable import ApusCore

/// Memory of a device: bytes that only it has, perhaps later.
private final class Bytes: DeviceBuffer {
  let engine: any Engine
  let device: Device
  let completion = Completion()
  private let bytes = Mutex<[UInt8]>([])
  private let downloads: Counter

  init(_ engine: FarEngine, _ device: Device) {
    (self.engine, self.device, downloads) = (engine, device, engine.downloads)
  }

  func finish(_ result: Result<[UInt8], any Error>) {
    if case .success(let bytes) = result { self.bytes.withLock { $0 = bytes } }
    completion.finish(result.map { _ in })
  }

  func read() throws -> [UInt8] {
    try completion.wait()
    return bytes.withLock { $0 }
  }

  func writePlain(to destination: UnsafeMutableRawBufferPointer) throws {
    destination.copyBytes(from: try read())
    downloads.add()
  }
}

private final class Counter: Sendable {
  private let value = Atomic(0)
  func add() { value.add(1, ordering: .relaxed) }
  var count: Int { value.load(ordering: .relaxed) }
}

/// An engine with memory of its own that answers on a queue of its own.
private final class FarEngine: CompilingEngine {
  let name: String
  let devices: [Device]
  let singleOperations = SingleOperations()
  let queue = DispatchQueue(label: "far")
  let uploads = Counter()
  let downloads = Counter()
  let runs = Counter()
  private let limit: Int

  init(_ name: String = "far", devices count: Int = 1, limit: Int = .max) {
    self.name = name
    self.limit = limit
    devices = (0..<count).map { Device(engine: name, index: $0) }
  }

  func upload(_ storage: Storage, to device: Device) throws -> Storage {
    uploads.add()
    let plain = storage.isContiguous ? storage : try HostCopy.contiguous(storage)
    _ = try plain.plain()
    let bytes = plain.withBytes { Array($0) }
    guard bytes.count <= limit else { throw ApusError(.memory, "\(bytes.count) bytes on a device of \(limit)") }
    let buffer = Bytes(self, device)
    buffer.finish(.success(bytes))
    return Storage(storage.type, opaque: buffer)
  }

  func compile(_ graph: Graph, options: CompileOptions) throws -> any Executable {
    FarExecutable(graph, self, try device(options, for: graph.name))
  }
}

private final class FarExecutable: Executable {
  private let inner: InterpretedExecutable
  private let engine: FarEngine
  private let device: Device
  private let types: PerSizes<[TensorType]>

  init(_ graph: Graph, _ engine: FarEngine, _ device: Device) {
    inner = InterpretedExecutable(graph, engine: ReferenceEngine.shared)
    (self.engine, self.device) = (engine, device)
    types = PerSizes(graph)
  }

  func run(_ inputs: inout [Storage], context: RunContext) throws -> [Storage] {
    engine.runs.add()
    let types = try types.value(for: inputs, context) { graph, _ in graph.outputTypes }
    for i in inputs.indices { inputs[i] = try engine.resident(inputs[i], on: device) }
    let operands = inputs
    let results = types.map { _ in Bytes(engine, device) }
    engine.queue.async { [inner] in
      do {
        var mine: [Storage] = []
        for operand in operands {
          guard let buffer = operand.opaque as? Bytes else { throw ApusError(.unsupported, "not a buffer") }
          let bytes = try buffer.read()
          mine.append(try Tensor(bytes: bytes.span.bytes, type: operand.type).storage)
        }
        let computed = try inner.run(&mine, context: context)
        for (result, storage) in zip(results, computed) {
          let plain = storage.isContiguous ? storage : try HostCopy.contiguous(storage)
          result.finish(.success(plain.withBytes { Array($0) }))
        }
      } catch {
        for result in results { result.finish(.failure(error)) }
      }
    }
    return zip(types, results).map { Storage($0, opaque: $1) }
  }
}

/// What an engine with memory of its own may rely on, and its users.
@Suite struct DeviceEngineTests {
  @Test("a completion ends once, for all who wait, in both ways of waiting")
  func completion() async throws {
    struct Failure: Error {}
    for fails in [false, true] {
      let completion = Completion()
      #expect(!completion.isFinished)
      let ended = Counter()
      let failed = Counter()
      await withTaskGroup(of: Void.self) { group in
        for i in 0..<6 {
          group.addTask {
            do {
              if i % 3 == 0 {
                await withCheckedContinuation { continuation in
                  DispatchQueue.global().async {
                    if (try? completion.wait()) == nil { failed.add() }
                    continuation.resume()
                  }
                }
              } else {
                try await completion.ready()
              }
            } catch {
              failed.add()
            }
            ended.add()
          }
        }
        group.addTask { completion.finish(fails ? .failure(Failure()) : .success(())) }
      }
      completion.finish()
      #expect(completion.isFinished && ended.count == 6 && failed.count == (fails ? 6 : 0))
      if fails { #expect(throws: Failure.self) { try completion.wait() } }
    }
  }

  @Test("what computes: the enclosing withEngine, the operands' device, the task's default, the process's")
  func choice() async throws {
    let (task, near) = (FarEngine("task"), FarEngine("near"))
    #expect(Engines.current === Engines.embedded)
    try await Engines.withDefault(task) {
      #expect(Engines.current === task)
      #expect((Tensor([1.0, 2]) + 1).device == task.devices[0])
      #expect(try Tensor([1.0, 2]).to(near).exp().device == near.devices[0])
      #expect(withEngine(near) { Tensor([1.0, 2]) * 2 }.device == near.devices[0])
      #expect(try withEngine(ReferenceEngine.shared) { try Tensor([1.0]).to(near) + 1 }.device == .cpu)
      try await withThrowingTaskGroup(of: Device.self) { group in
        group.addTask { (-Tensor([1.0])).device }
        for try await device in group { #expect(device == task.devices[0]) }
      }
      await Task.detached { #expect((-Tensor([1.0])).device == .cpu) }.value
    }
    #expect((Tensor([1.0, 2]) + 1).device == .cpu)
    await #expect(processExitsWith: .success) {
      let process = FarEngine("process")
      Engines.default = process
      precondition((Tensor([1.0, 2]) + 1).device == process.devices[0])
      let result = try compiled { (x: Tensor) in x * 2 }(Tensor([1.0]))
      precondition(result.device == process.devices[0])
      Engines.default = Engines.embedded
      precondition((Tensor([1.0, 2]) + 1).device == .cpu)
    }
  }

  @Test("moving a tensor by hand: there, back, to itself, and what can't be")
  func moving() throws {
    let engine = FarEngine("moving", devices: 2)
    #expect(throws: ApusError.self) { try Tensor([1.0]).to(engine.devices[0]) }
    try Engines.register(engine)
    try Engines.register(engine)
    #expect(throws: ApusError.self) { try Engines.register(FarEngine("moving")) }
    let x = Tensor([[1.0, 2], [3, 4]])
    let there = try x.T.to(engine.devices[1])
    #expect(there.device == engine.devices[1] && there.type == x.T.type)
    #expect(try there.to(engine.devices[1]).storage === there.storage)
    let back = try there.to(.cpu)
    #expect(back.device == .cpu && back.toArray() == [1, 3, 2, 4])
    #expect(try back.to(.cpu).storage === back.storage)
    #expect(throws: ApusError.self) { try x.to(Device(engine: "moving", index: 2)) }
    #expect(throws: ApusError.self) { try x.to(engine, .cpu) }
    #expect(throws: ApusError.self) { try x.to(FarEngine(limit: 3)) }
    #expect(throws: ApusError.self) { try compiled { (x: Tensor) in try x.to(engine) }(x) }
    let error = #expect(throws: ApusError.self) { try checked { try there + x.to(engine.devices[0]) } }
    #expect(
      error?.message.contains("moving and on moving:1") == true
        || error?.message.contains("moving:1 and on moving") == true)
    // Gradients flow through, and are where they were computed.
    let leaf = Tensor([1.0, 2, 3]).requiringGradient()
    (try leaf.to(engine) * 3).sum().backward()
    #expect(leaf.gradient?.toArray() == [3, 3, 3])
  }

  @Test("state goes up once, what was caught once for a program, arguments at each call")
  func residence() throws {
    let engine = FarEngine()
    let weight = Parameter(Tensor([1.0, 2, 3]))
    // On a tape: others are the graph's constants, which are the engine's to bring.
    let caught = Tensor([10.0, 20, 30], requiresGradient: true)
    let function = compiled { (x: Tensor) in x * weight.tensor + caught }
    let x = Tensor([1.0, 1, 1])
    try withEngine(engine) {
      let y = try withoutGradients { try function(x) }
      #expect(engine.uploads.count == 3)
      for _ in 0..<4 { _ = try withoutGradients { try function(x) } }
      #expect(engine.uploads.count == 7 && engine.downloads.count == 0)
      #expect(y.toArray() == [11, 22, 33])
      #expect(engine.downloads.count == 1)
      // What is there already is not brought again.
      _ = try withoutGradients { try function(y) }
      #expect(engine.uploads.count == 7)
    }
    #expect(weight.value.device == engine.devices[0])
    // And the host still computes with it; a new value starts anew.
    #expect(weight.value.toArray() == [1, 2, 3])
    weight.value = Tensor([0.0, 0, 1])
    let z = try withEngine(engine) { try withoutGradients { try function(x) } }
    #expect(z.toArray() == [10, 20, 31])
  }

  @Test("calls that overlap bring a variable once")
  func overlapping() throws {
    let engine = FarEngine()
    let weight = Buffer(Tensor([1.0, 2, 3]))
    let function = compiled { (x: Tensor) in x * weight.value }
    let x = try Tensor([1.0, 1, 1]).to(engine)
    DispatchQueue.concurrentPerform(iterations: 8) { _ in
      #expect((try? function(x))?.toArray() == [1, 2, 3])
    }
    #expect(engine.uploads.count == 2)
  }

  @Test("state that a run replaces stays on the device, and decides where the next run is")
  func replaced() throws {
    let engine = FarEngine()
    let sum = Buffer(Tensor([0.0, 0]))
    let add = compiled { (x: Tensor) in sum.value = sum.value + x }
    let x = Tensor([1.0, 2])
    try withEngine(engine) { for _ in 0..<3 { try add(x) } }
    #expect(engine.uploads.count == 4 && sum.value.device == engine.devices[0])
    try add(x)
    #expect(sum.value.device == engine.devices[0] && engine.runs.count == 4)
    #expect(sum.value.toArray() == [4, 8])
    sum.value = try sum.value.to(.cpu)
    try add(x)
    #expect(sum.value.device == .cpu && sum.value.toArray() == [5, 10])
  }

  @Test("what fails later is thrown by whoever reads; a step that fails leaves the state")
  func failsLate() async throws {
    let engine = FarEngine()
    let table = try Tensor([[1.0, 2], [3, 4]]).to(engine)
    let missing = table.gathered(Tensor([5]))
    await #expect(throws: ApusError.self) { try await missing.ready() }
    #expect(throws: ApusError.self) { try missing.wait() }
    #expect(throws: ApusError.self) { try missing.to(.cpu) }
    #expect(throws: ApusError.self) { try checked { missing.toArray() } }
    #expect(throws: ApusError.self) { try (missing + 1).wait() }
    let state = Buffer(Tensor([[1.0, 1]]))
    let step = compiled { (rows: Tensor) in state.value = state.value + table.gathered(rows) }
    try withEngine(engine) {
      try step(Tensor([1]))
      #expect(throws: ApusError.self) { try step(Tensor([5])) }
      try step(Tensor([0]))
    }
    #expect(state.value.toArray() == [5, 7])
    // What can't go up leaves it too.
    let small = FarEngine(limit: 8)
    let large = Buffer(Tensor.ones([4]))
    #expect(throws: ApusError.self) { try withEngine(small) { try compiled { large.value = large.value * 2 }() } }
    #expect(large.value.toArray() == [1, 1, 1, 1])
  }

  @Test("a call returns before its result is there")
  func returnsAtOnce() async throws {
    let engine = FarEngine()
    let function = compiled { (x: Tensor) in x + 1 }
    let x = try Tensor([1.0]).to(engine)
    let gate = DispatchSemaphore(value: 0)
    engine.queue.async { gate.wait() }
    let y = try function(x)
    #expect(!y.isReady && y.type == x.type && y.device == engine.devices[0])
    let doubled = y * 2
    gate.signal()
    try await doubled.ready()
    #expect(y.isReady && doubled.toArray() == [4])
    try await Tensor([1.0]).ready()
  }

  @Test("the device that the options name, and no other")
  func options() throws {
    let engine = FarEngine("two", devices: 2)
    let program = try compiled { (x: Tensor) in x + 1 }.program(Tensor([1.0]))
    let ready = try program.compiled(options: CompileOptions(device: engine.devices[1]), on: engine)
    #expect(try ready([Tensor([1.0])])[0].device == engine.devices[1])
    for other in [engine, ReferenceEngine.shared, Engines.embedded] as [any Engine] {
      #expect(throws: ApusError.self) {
        try program.compiled(options: CompileOptions(device: Device(engine: "three")), on: other)
      }
    }
    let y = try compiled { (x: Tensor) in x + 1 }(try Tensor([1.0]).to(engine, engine.devices[1]))
    #expect(y.device == engine.devices[1])
  }

  /// Computes node by node, in memory of its own.
  private final class NodeEngine: Engine {
    let name = "nodes"
    let devices = [Device(engine: "nodes")]
    private let far = FarEngine("nodes")
    var uploads: Int { far.uploads.count }
    func upload(_ storage: Storage, to device: Device) throws -> Storage { try far.upload(storage, to: device) }
    func execute(_ primitive: Primitive, _ inputs: [Storage], outputs: [TensorType]) throws -> [Storage] {
      try far.execute(primitive, inputs, outputs: outputs)
    }
  }

  @Test("an engine that compiles nothing gets constants once and inputs once a run")
  func interpreted() throws {
    let engine = NodeEngine()
    var graph = Graph(name: "g")
    let x = graph.addInput("x", TensorType(.float32, [2]))
    let c = graph.addConstant(Tensor([5.0, 6]))
    let sum = try graph.add(.add, [x, c])[0]
    let product = try graph.add(.multiply, [sum, x])[0]
    graph.addOutput("y", try graph.add(.add, [product, c])[0])
    let executable = try engine.compile(graph)
    #expect(engine.uploads == 1)
    for run in 1...3 {
      var inputs = [Tensor([1.0, 2]).storage]
      #expect(try Tensor(executable.run(&inputs, donated: [])[0]).toArray() == [11, 22])
      #expect(engine.uploads == 1 + run)
    }
  }
}
