import Synchronization
import Testing

@testable import ApusCore

#if canImport(Glibc)
  import Glibc
#endif

/// A graph and what its ports stand for.
@Suite struct ProgramTests {
  private func linear() throws -> (graph: Graph, weight: Buffer) {
    var graph = Graph(name: "linear")
    let w = graph.addInput("w", TensorType(.float32, [2, 3]))
    let x = graph.addInput("x", TensorType(.float32, ["batch", 2]))
    graph.addOutput("y", try graph.add(.matmul, [x, w])[0])
    return (graph, Buffer(Tensor([[1.0, 2, 3], [4, 5, 6]])))
  }

  @Test("a graph's named inputs become state, arguments come first, and both ways of calling agree")
  func named() throws {
    let (graph, weight) = try linear()
    let program = try Program(graph, variables: ["w": weight])
    #expect(program.arguments.map(\.name) == ["x"] && program.results.map(\.name) == ["y"])
    #expect(program.variables.map(\.name) == ["w"] && program.variables[0].variable === weight)
    #expect(!program.writesState)
    let ready = try program.compiled()
    let x = Tensor([[1.0, 1], [2, 0], [0, 1]])
    let expected: [Float] = [5, 7, 9, 2, 4, 6, 4, 5, 6]
    #expect(try ready([x])[0].toArray(of: Float.self) == expected)
    #expect(try ready(["x": x])["y"]?.toArray(of: Float.self) == expected)
    // The variable is read at each run; the size is found from the argument.
    weight.value = Tensor.ones([2, 3])
    #expect(try ready([Tensor.ones([1, 2])])[0].toArray(of: Float.self) == [2, 2, 2])
  }

  @Test("two programs share a variable")
  func shared() throws {
    let (graph, weight) = try linear()
    let (a, b) = (try Program(graph, variables: ["w": weight]), try Program(graph, variables: ["w": weight]))
    weight.value = Tensor.zeros([2, 3])
    for program in [a, b] {
      #expect(try program.compiled()([Tensor.ones([1, 2])])[0].toArray(of: Float.self) == [0, 0, 0])
    }
  }

  @Test("frozen, read-only state and captures are constants; what is written stays state")
  func frozen() throws {
    let (scale, count) = (Buffer(Tensor(3.0)), Buffer(Tensor(0.0)))
    let caught = Tensor([1.0, 2])
    let function = compiled { (x: Tensor) in
      count.value += 1
      return x * scale.value + caught
    }
    let program = try function.program(Tensor.ones([2]))
    #expect(program.writesState)
    let frozen = try program.frozen()
    #expect(frozen.arguments.map(\.name) == ["input.0"])
    #expect(frozen.variables.map(\.variable).allSatisfy { $0 === count })
    scale.value = Tensor(100.0)
    let result = try frozen.compiled()([Tensor.ones([2])])[0]
    #expect(result.toArray(of: Float.self) == [4, 5])
    #expect(count.value.toArray(of: Float.self) == [1])
    try frozen.graph.verify()
  }

  @Test("what does not fit is refused by name, and the state stays")
  func refuses() throws {
    let (graph, weight) = try linear()
    func said(_ body: () throws -> Void) -> String {
      do { try body() } catch { return "\(error)" }
      return "no error"
    }
    #expect(said { _ = try Program(graph, variables: ["v": weight]) }.contains("no input v; its inputs are w, x"))
    #expect(said { _ = try Program(graph, variables: ["w": Buffer(nil)]) }.contains("w has no value"))
    #expect(said { _ = try Program(graph, variables: ["w": Buffer(Tensor(1.0))]) }.contains("float32[2, 3]"))
    let ready = try Program(graph, variables: ["w": weight]).compiled()
    #expect(said { _ = try ready([]) }.contains("takes 1 arguments, not 0"))
    #expect(said { _ = try ready(["z": Tensor(1.0)]) }.contains("no argument z; it takes x"))
    #expect(said { _ = try ready([:]) }.contains("argument x is missing"))
    #expect(said { _ = try ready([Tensor.ones([2])]) }.contains("x of linear must be of shape [batch, 2]"))
    #expect(said { _ = try ready([Tensor.ones([1, 5])]) }.contains("x of linear must be of shape [batch, 2]"))
    #expect(said { _ = try ready([Tensor.ones([1, 2], dtype: .float64)]) }.contains("x must be float32[batch, 2]"))
    #expect(weight.value.toArray(of: Float.self) == [1, 2, 3, 4, 5, 6])
    var other = graph
    other.addOutput("z", graph.inputs[0].value)
    #expect(said { _ = try Program(graph).with(graph: other) }.contains("other inputs or outputs"))
  }

  @Test("state of another shape, a fixed size and a gradient that was absent are refused, and nothing is lost")
  func outdated() throws {
    func said(_ body: () throws -> Void) -> String {
      do { try body() } catch { return "\(error)" }
      return "no error"
    }
    let (read, written) = (Buffer(Tensor.ones([1024])), Buffer(Tensor.ones([1024])))
    let ready = try compiled { (x: Tensor) in
      written.value = written.value + x
      return x * read.value
    }.program(Tensor.ones([1024])).compiled()
    read.value = Tensor.ones([1])
    #expect(said { _ = try ready([Tensor.ones([1024])]) }.contains("is float32[1] now, and the program was made for"))
    read.value = Tensor.ones([1024])
    written.value = Tensor.ones([2])
    #expect(said { _ = try ready([Tensor.ones([1024])]) }.contains("is float32[2] now"))
    #expect(written.value.toArray(of: Float.self) == [1, 1])

    let sized = try compiled(inputs: [["n"]]) { (x: Tensor) in x * Double(x.shape[0]) }.program(Tensor.ones([2]))
      .compiled()
    #expect(try sized([Tensor.ones([2])])[0].toArray(of: Float.self) == [2, 2])
    #expect(said { _ = try sized([Tensor.ones([3])]) }.contains("n was read as a number"))

    let parameter = Parameter(Tensor(2.0))
    let accumulating = try compiled { (x: Tensor) in (parameter.tensor * x).backward() }.program(Tensor(3.0)).compiled()
    _ = try accumulating([Tensor(3.0)])
    #expect(parameter.gradient?.item() == 3.0)
    #expect(said { _ = try accumulating([Tensor(3.0)]) }.contains("a gradient is there"))
    #expect(parameter.gradient?.item() == 3.0)
  }

  @Test("graphs that are not well formed make no program")
  func malformed() throws {
    var graph = Graph()
    graph.addOutput("y", ValueID(7))
    #expect(throws: ApusError.self) { try Program(graph) }
    var twice = try linear().graph
    twice.addOutput("y", twice.outputs[0].value)
    #expect(throws: ApusError.self) { try Program(twice) }
    #expect(throws: ApusError.self) { try linear().graph.rewritten { _, _ in .replace([ValueID(999)]) } }
  }

  @Test("a gradient outside flows through a function of named sizes")
  func gradientThroughSymbols() throws {
    let (weight, bias) = (Parameter(Tensor([1.0, 2])), Parameter(Tensor([0.5, -0.5])))
    let function = compiled(inputs: [["batch", 2]]) { (x: Tensor) in x * weight.tensor + bias.tensor }
    for batch in [3, 5] {
      weight.gradient = nil
      bias.gradient = nil
      try function(Tensor.ones([batch, 2]) * 2).sum().backward()
      #expect(weight.gradient?.toArray() == [Float](repeating: Float(2 * batch), count: 2))
      #expect(bias.gradient?.toArray() == [Float](repeating: Float(batch), count: 2))
    }
  }

  @Test("constants that differ in their bits only are two: zeros of both signs, in plans and merged nodes")
  func bitsOfConstants() throws {
    let function = compiled { (x: Tensor) in [x / Tensor.full([2], 0.0), x / Tensor.full([2], -0.0)] }
    let results = try function(Tensor.ones([2]))
    #expect(results[0].toArray(of: Float.self) == [.infinity, .infinity])
    #expect(results[1].toArray(of: Float.self) == [-.infinity, -.infinity])
    for sign in [1.0, -1, 1, -1] {
      let padded = Tensor.ones([1]).padded([(1, 0)], value: 0.0 * sign)
      #expect((1 / padded).toArray(of: Float.self)[0] == Float(sign) * .infinity)
    }
  }

  @Test("a constant that a plan makes for itself is not mistaken for another plan's")
  func constantsOfPlans() throws {
    let function = compiled(inputs: [["n", 256]]) { (x: Tensor) in
      x.matmul(Tensor.full([256, 256], 0.5)) + x.matmul(Tensor.full([256, 256], 0.25)) * 8
    }
    for n in 1...40 {
      let result = try function(Tensor.ones([n, 256]))
      #expect(result.toArray(of: Float.self).allSatisfy { $0 == 128 + 64 * 8 }, "n = \(n)")
    }
  }

  @Test("a failing run puts back every variable it had taken, read before or not")
  func failingRun() throws {
    let (read, unread) = (Buffer(Tensor([1.0, 2])), Buffer(Tensor(7.0)))
    let function = compiled { (x: Tensor, i: Tensor) in
      unread.value = x.sum()
      read.value = read.value + x
      return read.value.gathered(i)
    }
    _ = try function(Tensor.ones([2]), Tensor([0, 1]))
    #expect(throws: ApusError.self) { try function(Tensor.ones([2]), Tensor([0, 9])) }
    #expect(read.value.toArray(of: Float.self) == [2, 3])
    #expect(unread.value.toArray(of: Float.self) == [2])
  }

  @Test("a reader that waits for a long update sleeps")
  func readersSleep() throws {
    let state = Buffer(Tensor(0.0))
    let running = Flag()
    let slow = CustomPrimitive(
      "slow", infer: { $0 },
      evaluate: { operands in
        running.set()
        usleep(300_000)
        return operands
      }, derivative: .notDifferentiable(because: "it only waits"))
    let step = compiled { (x: Tensor) in state.value = slow(state.value + x)[0] }
    try step(Tensor(0.0))
    running.clear()
    let writer = Thread { try? step(Tensor(1.0)) }
    while !running.isSet { usleep(1_000) }
    var before = timespec()
    var after = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before)
    let value = state.value.toArray(of: Float.self)
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after)
    writer.join()
    let spent = Double(after.tv_sec - before.tv_sec) + Double(after.tv_nsec - before.tv_nsec) * 1e-9
    #expect(value == [1])
    // 250 ms of spinning would be seen, however busy the machine is.
    #expect(spent < 0.02, "\(spent) s of processor time while waiting")
    #expect(state.value.toArray(of: Float.self) == [1])
  }
}

/// What an engine is told of one run.
@Suite struct RunContextTests {
  private func chain(_ length: Int) throws -> Program {
    var graph = Graph(name: "chain")
    var x = graph.addInput("x", TensorType(.float32, ["n", 64]))
    let w = graph.addInput("w", TensorType(.float32, [64, 64]))
    for _ in 0..<length { x = try graph.add(.matmul, [x, w])[0] }
    graph.addOutput("y", x)
    return try Program(graph)
  }

  static let engines: [any Engine] = [Engines.embedded, ReferenceEngine.shared]

  @Test("a deadline that has passed, and a cancelled run, throw; later runs are right", arguments: [0, 1])
  func limits(_ index: Int) throws {
    let program = try chain(8)
    let ready = try CompiledProgram(program, engine: Self.engines[index])
    let arguments = [Tensor.ones([3, 64]), Tensor.ones([64, 64]) / 64]
    let late = #expect(throws: ApusError.self) {
      try ready(arguments, context: RunContext(deadline: .now - .seconds(1)))
    }
    #expect(late?.kind == .cancelled && late?.message.contains("deadline") == true)
    let cancelled = #expect(throws: ApusError.self) { try ready(arguments, context: RunContext(isCancelled: { true })) }
    #expect(cancelled?.kind == .cancelled && cancelled?.message.contains("cancelled") == true)
    let inTime = RunContext(deadline: .now + .seconds(3600), isCancelled: { false })
    expectClose(try ready(arguments, context: inTime)[0], Tensor.ones([3, 64]), 1e-5)
  }

  @Test("an observer sees every step of both engines", arguments: [0, 1])
  func observer(_ index: Int) throws {
    let ready = try CompiledProgram(try chain(5), engine: Self.engines[index])
    let names = Noted<String>()
    let context = RunContext(observer: { step in names.append(step.name) })
    _ = try ready([Tensor.ones([3, 64]), Tensor.ones([64, 64])], context: context)
    #expect(names.all.filter { $0.contains("matmul") }.count == 5)
  }

  @Test("a run that is cancelled leaves state that it would have overwritten as it was")
  func cancelledUpdate() throws {
    let state = Buffer(Tensor.ones([64]))
    let step = compiled { (x: Tensor) in state.value = (state.value + x) * 2 }
    try step(Tensor.zeros([64]))
    let ready = try step.program(Tensor.zeros([64])).compiled()
    #expect(throws: ApusError.self) { try ready([Tensor.ones([64])], context: RunContext(isCancelled: { true })) }
    #expect(state.value.toArray(of: Float.self) == [Float](repeating: 2, count: 64))
  }

  @Test("sizes are found from the inputs, kept to a number, and made once by callers that come together")
  func sizes() async throws {
    let graph = try chain(2).graph
    let plans = PerSizes<Int>(graph, capacity: 2)
    let made = Noted<Int>()
    @Sendable func value(_ n: Int) throws -> Int {
      let inputs = [Tensor.zeros([n, 64]).storage, Tensor.zeros([64, 64]).storage]
      return try plans.value(for: inputs) { graph, _ in
        made.append(n)
        return graph.type(graph.outputs[0].value).shape[0]
      }
    }
    try await withThrowingTaskGroup(of: Int.self) { group in
      for _ in 0..<8 { group.addTask { try value(5) } }
      for try await found in group { #expect(found == 5) }
    }
    #expect(made.all == [5])
    #expect(try [value(6), value(5), value(7), value(5), value(6)] == [6, 5, 7, 5, 6])
    // 6 was used longest ago when 7 came.
    #expect(made.all == [5, 6, 7, 6] && plans.count == 2)
    let misfit = #expect(throws: ApusError.self) {
      try plans.value(for: [Tensor.zeros([3, 65]).storage, Tensor.zeros([64, 64]).storage]) { _, _ in 0 }
    }
    #expect(misfit?.message.contains("x of chain must be of shape [n, 64]") == true)
  }
}

/// Something that a thread tells another.
private final class Flag: Sendable {
  private let value = Atomic(false)
  var isSet: Bool { value.load(ordering: .acquiring) }
  func set() { value.store(true, ordering: .releasing) }
  func clear() { value.store(false, ordering: .releasing) }
}

/// What happened, in order, whoever did it.
private final class Noted<Element: Sendable>: Sendable {
  private let elements = Mutex<[Element]>([])
  var all: [Element] { elements.withLock { $0 } }
  func append(_ element: Element) { elements.withLock { $0.append(element) } }
}

/// A thread of the system, which may sleep without holding one of the tasks' threads.
private final class Thread: @unchecked Sendable {
  private var handle = pthread_t()
  private let body: @Sendable () -> Void

  init(_ body: @escaping @Sendable () -> Void) {
    self.body = body
    pthread_create(
      &handle, nil,
      { context in
        if let context { Unmanaged<Thread>.fromOpaque(context).takeRetainedValue().body() }
        return nil
      }, Unmanaged.passRetained(self).toOpaque())
  }

  func join() { pthread_join(handle, nil) }
}
