extension Variable {
  /// Gives a variable created without a value its first one: at once, also inside a trace, since what a graph reads is
  /// the variable and not this value. A symbolic value: error (trace).
  public func initialize(_ value: Tensor) {
    require(
      !value.isSymbolic, "a variable's first value must be concrete: compute it in outsideTrace { }", kind: .trace)
    if !value.isSymbolic { stored = value.detached() }
  }
}

extension Tensor {
  /// The result of a computation that cannot be done: traps with the error's text, or inside `checked` and traces
  /// records the error and returns a poisoned tensor of the given type. For layers and composites that check their
  /// arguments.
  public static func failure(_ error: ApusError, as type: TensorType) -> Tensor { Dispatch.fail(error, type: type) }
}
