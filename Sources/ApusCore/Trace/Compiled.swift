import CApus

/// A function that is traced and compiled at its first call for each signature, then run as a graph.
///
/// Made by ``compiled(inputs:name:file:line:_:)->Compiled<Input,Output>`` and its variants for two, three or no results. Calls
/// may come from any task: functions that write state take turns, pure ones overlap. Called inside another trace, its
/// body is traced as part of that.
public struct Compiled<each Input: TensorStructure, Output>: Sendable {
  private let body: @Sendable (repeat each Input) throws -> Output
  private let collect: @Sendable (Output) -> [Tensor]
  private let rebuild: @Sendable (Output, [Tensor]) -> Output
  /// What has been traced so far.
  public let cache: CompiledCache

  init(
    cache: CompiledCache, collect: @escaping @Sendable (Output) -> [Tensor],
    rebuild: @escaping @Sendable (Output, [Tensor]) -> Output,
    body: @escaping @Sendable (repeat each Input) throws -> Output
  ) {
    self.body = body
    self.collect = collect
    self.rebuild = rebuild
    self.cache = cache
  }

  /// How often the function has been traced: once for each signature.
  public var traceCount: Int { cache.traceCount }

  /// Runs the function.
  /// - Throws: ``ApusError`` when an operation fails, or what the body throws while it is traced.
  @inline(never)
  public func callAsFunction(_ input: repeat each Input) throws -> Output {
    let context = ExecutionContext.current
    let readsOtherValues = context?.overlay.map { !$0.isEmpty } ?? false
    if context?.trace != nil || context?.detectsAnomalies == true || cache.runsEagerly || readsOtherValues {
      return try ErrorRecorder.checking(at: cache.place?.marked(apus_stack_mark())) { () throws -> Output in
        try body(repeat each input)
      }
    }
    let (tensors, structure) = gather(repeat each input)
    let run: (template: Any, results: [Tensor])?
    do {
      run = try cache.run(tensors, structure: structure) { symbolic in
        var rest = symbolic[...]
        let output = try body(repeat (each input).rebuilt(from: &rest))
        return (output, collect(output))
      }
    } catch let error as ApusError {
      throw error.from(.enclosing(cache.place)).inTask
    }
    guard let (template, results) = run else {
      return try ErrorRecorder.checking(at: cache.place?.marked(apus_stack_mark())) { () throws -> Output in
        try body(repeat each input)
      }
    }
    guard let output = template as? Output else {
      throw ApusError(.trace, "\(cache.name): the cached result has another type")
    }
    return rebuild(output, results)
  }

  private func gather(_ input: repeat each Input) -> (tensors: [Tensor], structure: String) {
    var tensors: [Tensor] = []
    var structure = ""
    for value in repeat each input {
      value.collect(into: &tensors)
      value.describeStructure(into: &structure)
    }
    return (tensors, structure)
  }

  /// The graph that a call with such arguments runs: traced if it has not been.
  /// - Throws: ``ApusError`` (shape) when the arguments don't fit the shapes that the function was compiled for, when
  ///   an operation fails, or what the body throws while it is traced.
  public func graph(_ input: repeat each Input) throws -> Graph { try program(repeat each input).graph }

  /// The program that a call with such arguments runs: its graph, with the variables it reads and writes by their names.
  /// - Throws: as ``graph(_:)``.
  public func program(_ input: repeat each Input) throws -> Program {
    let (tensors, structure) = gather(repeat each input)
    return try cache.entry(tensors, structure: structure) { symbolic in
      var rest = symbolic[...]
      let output = try body(repeat (each input).rebuilt(from: &rest))
      return (output, collect(output))
    }.ready.program
  }
}

/// Wraps a function so that it is traced once for each signature (dtypes, shapes, modes of the modules it uses),
/// compiled by the engine, and from then on run as a graph. A whole training step can be one: backward and update
/// included.
///
/// ```swift
/// let step = compiled { (images: Tensor, labels: Tensor) in
///   optimizer.zeroGradients()
///   let loss = crossEntropy(model(images), labels)
///   loss.backward()
///   optimizer.step()
///   return loss
/// }
/// let loss = try step(images, labels)
/// ```
/// `backward` inside reaches parameters and what else the function captures; the gradient of an argument is what
/// ``gradient(at:_:)`` returns.
///
/// - Parameters:
///   - inputs: shapes of the tensor arguments in order, with names for sizes that vary: `[["batch", 784], ["batch"]]`
///     is traced once for all batch sizes. Known sizes may be given as 0 to mean "whatever comes". nil: all sizes
///     fixed.
///   - name: shown in errors, logs and graphs.
///   - file: the caller's file. An error names it where the failing line itself can't be found on the stack.
///   - line: the caller's line, named with the file.
///   - body: the function. Its arguments and its result are tensors, or structures of them (``TensorStructure``).
public func compiled<each Input: TensorStructure, Output: TensorStructure>(
  inputs: [Shape?] = [], name: String = "compiled", file: StaticString = #fileID, line: UInt = #line,
  _ body: @escaping @Sendable (repeat each Input) throws -> Output
) -> Compiled<repeat each Input, Output> {
  Compiled(
    cache: CompiledCache(name: name, specs: inputs, place: CallPlace(file, line, mark: 0)),
    collect: { output in
      var tensors: [Tensor] = []
      output.collect(into: &tensors)
      return tensors
    },
    rebuild: { template, tensors in
      var rest = tensors[...]
      return template.rebuilt(from: &rest)
    }, body: body)
}

/// The same for a function with two results.
public func compiled<each Input: TensorStructure, A: TensorStructure, B: TensorStructure>(
  inputs: [Shape?] = [], name: String = "compiled", file: StaticString = #fileID, line: UInt = #line,
  _ body: @escaping @Sendable (repeat each Input) throws -> (A, B)
) -> Compiled<repeat each Input, (A, B)> {
  Compiled(
    cache: CompiledCache(name: name, specs: inputs, place: CallPlace(file, line, mark: 0)),
    collect: { output in
      var tensors: [Tensor] = []
      output.0.collect(into: &tensors)
      output.1.collect(into: &tensors)
      return tensors
    },
    rebuild: { template, tensors in
      var rest = tensors[...]
      return (template.0.rebuilt(from: &rest), template.1.rebuilt(from: &rest))
    }, body: body)
}

/// The same for a function with three results.
public func compiled<each Input: TensorStructure, A: TensorStructure, B: TensorStructure, C: TensorStructure>(
  inputs: [Shape?] = [], name: String = "compiled", file: StaticString = #fileID, line: UInt = #line,
  _ body: @escaping @Sendable (repeat each Input) throws -> (A, B, C)
) -> Compiled<repeat each Input, (A, B, C)> {
  Compiled(
    cache: CompiledCache(name: name, specs: inputs, place: CallPlace(file, line, mark: 0)),
    collect: { output in
      var tensors: [Tensor] = []
      output.0.collect(into: &tensors)
      output.1.collect(into: &tensors)
      output.2.collect(into: &tensors)
      return tensors
    },
    rebuild: { template, tensors in
      var rest = tensors[...]
      return (
        template.0.rebuilt(from: &rest), template.1.rebuilt(from: &rest), template.2.rebuilt(from: &rest)
      )
    }, body: body)
}

/// The same for a function that only changes state.
public func compiled<each Input: TensorStructure>(
  inputs: [Shape?] = [], name: String = "compiled", file: StaticString = #fileID, line: UInt = #line,
  _ body: @escaping @Sendable (repeat each Input) throws -> Void
) -> Compiled<repeat each Input, Void> {
  Compiled(
    cache: CompiledCache(name: name, specs: inputs, place: CallPlace(file, line, mark: 0)), collect: { _ in [] },
    rebuild: { _, _ in () }, body: body)
}
