import CApus

extension Program {
  /// Traces `body` on symbolic inputs of the given types.
  static func capture(
    name: String, _ types: [TensorType], names: [String]? = nil, requiresGradient: [Bool] = [],
    sizes: [String: Int] = [:], place: CallPlace? = nil, _ body: ([Tensor]) throws -> [Tensor]
  ) throws -> Program {
    let context = ExecutionContext.current
    let trace = Trace(name: name, sizes: sizes, parent: context?.trace)
    defer { trace.clear() }
    let inputs = types.enumerated().map { i, type in
      trace.addInput(
        names?[i] ?? "input.\(i)", type, requiresGradient: i < requiresGradient.count && requiresGradient[i])
    }
    let recorder = ErrorRecorder(operationLimit: 10_000_000)
    let here = place?.marked(apus_stack_mark())
    return try ExecutionContext.with({
      $0.trace = trace
      $0.recorder = recorder
      $0.place = here ?? $0.place
      $0.overlay = .tracing(in: $0.overlay)
    }) {
      let outputs = try recorder.run { try body(inputs) }
      return try trace.finish(outputs.enumerated().map { ("output.\($0)", $1) })
    }
  }
}
