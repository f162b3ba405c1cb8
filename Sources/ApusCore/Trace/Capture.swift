extension Program {
  /// Traces `body` on symbolic inputs of the given types.
  static func capture(
    name: String, _ types: [TensorType], names: [String]? = nil, requiresGradient: [Bool] = [],
    sizes: [String: Int] = [:], _ body: ([Tensor]) throws -> [Tensor]
  ) throws -> Program {
    let context = ExecutionContext.current
    let trace = Trace(name: name, sizes: sizes, parent: context?.trace)
    defer { trace.clear() }
    let inputs = types.enumerated().map { i, type in
      trace.addInput(
        names?[i] ?? "input.\(i)", type, requiresGradient: i < requiresGradient.count && requiresGradient[i])
    }
    let recorder = ErrorRecorder(operationLimit: 10_000_000, location: name)
    return try ExecutionContext.with({
      $0.trace = trace
      $0.recorder = recorder
    }) {
      let outputs: [Tensor]
      do {
        outputs = try body(inputs)
      } catch {
        throw recorder.first ?? error
      }
      if let error = recorder.first { throw error }
      return try trace.finish(outputs.enumerated().map { ("output.\($0)", $1) })
    }
  }
}
