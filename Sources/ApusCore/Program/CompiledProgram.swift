/// A program made ready on an engine: runs with its state, from any task.
///
/// ```swift
/// let ready = try program.compiled()
/// let logits = try ready([batch])[0]
/// let named = try ready(["input.0": batch])["output.0"]
/// ```
public final class CompiledProgram: Sendable {
  /// What it computes.
  public let program: Program
  let state: ProgramState
  private let executable: any Executable
  /// Where the state and what the code caught are kept between runs; nil: on the host.
  private let residence: Residence?
  /// Whether a run may fail after it has returned though it writes state, which must then stay as it was: it waits.
  private let canFailLate: Bool

  init(_ program: Program, engine: any Engine, options: CompileOptions = CompileOptions()) throws {
    self.program = program
    state = ProgramState(program)
    var options = options
    options.donated = state.donated
    let device = try engine.device(options, for: program.name)
    residence = device == .cpu ? nil : try Residence(program, Placement(engine: engine, device: device))
    canFailLate = residence != nil && program.writesState && program.graph.nodes.contains { $0.primitive.canFail }
    executable = try engine.compile(program.graph, options: options)
  }

  /// Runs the program on its arguments, in order; sizes that it names are taken from them.
  ///
  /// A run that throws leaves the state as it was. Results are not on a gradient tape.
  /// - Parameters:
  ///   - arguments: one for each of the program's arguments.
  ///   - context: limits and watchers of this run; what it donates is the program's state, whatever is said there.
  /// - Returns: the results, in order.
  /// - Throws: ``ApusError``: (argument) for another number of arguments or one without values, (dtype), (shape) for one
  ///   that does not fit, and for what only values show.
  public func callAsFunction(_ arguments: [Tensor], context: RunContext = RunContext()) throws -> [Tensor] {
    let ports = program.arguments
    guard arguments.count == ports.count else {
      throw ApusError(
        .argument, "\(program.name) takes \(ports.count) arguments, not \(arguments.count)",
        operands: arguments.map(\.type))
    }
    for (port, tensor) in zip(ports, arguments) {
      guard tensor.storage.isConcrete else {
        throw ApusError(
          .argument,
          "\(program.name): \(port.name) has no values here: it is symbolic or the result of a failed operation")
      }
      let type = program.graph.type(port.value)
      guard tensor.dtype == type.dtype else {
        throw ApusError(.dtype, "\(program.name): \(port.name) must be \(type)", operands: [tensor.type])
      }
    }
    let sizes = try SizeBinding.bind(
      ports.map { program.graph.type($0.value).shape }, arguments.map(\.type), zeroFits: false
    ) { "\(ports[$0].name) of \(program.name)" }
    try program.guards.check(sizes, program.name)
    return try run(arguments, sizes: sizes, keepsOperands: false, context).results
  }

  /// The same by names.
  /// - Returns: the results by their names.
  /// - Throws: ``ApusError`` (argument) for a missing or an unknown name, and as by position.
  public func callAsFunction(
    _ arguments: [String: Tensor], context: RunContext = RunContext()
  ) throws -> [String: Tensor] {
    let names = program.arguments.map(\.name)
    for name in arguments.keys.sorted() where !names.contains(name) {
      throw ApusError(
        .argument, "\(program.name) has no argument \(name); it takes \(names.joined(separator: ", "))")
    }
    let ordered = try names.map { name in
      guard let tensor = arguments[name] else {
        throw ApusError(.argument, "\(program.name): the argument \(name) is missing")
      }
      return tensor
    }
    return Dictionary(uniqueKeysWithValues: zip(program.results.map(\.name), try self(ordered, context: context)))
  }

  func run(
    _ arguments: [Tensor], sizes: [String: Int], keepsOperands: Bool, _ context: RunContext = RunContext()
  ) throws -> (results: [Tensor], operands: [Tensor]?) {
    var context = context
    context.sizes = sizes
    context.donated = state.donated
    let waits = canFailLate || residence != nil && program.writesState && context.isLimited
    return try state.run(arguments, keepsOperands: keepsOperands, residence) { inputs in
      let results = try executable.run(&inputs, context: context)
      if waits { for result in results { try (result.opaque as? any DeviceBuffer)?.completion.wait() } }
      return results
    }
  }
}

extension Program {
  /// Makes the program ready on an engine.
  /// - Parameters:
  ///   - options: threads and device.
  ///   - engine: nil: the one of this thread, ``Engines/current``.
  /// - Throws: ``ApusError`` when the engine can't run it, (argument) for a device that it doesn't have.
  public func compiled(options: CompileOptions = CompileOptions(), on engine: (any Engine)? = nil) throws
    -> CompiledProgram
  {
    try CompiledProgram(self, engine: engine ?? Engines.current, options: options)
  }
}
