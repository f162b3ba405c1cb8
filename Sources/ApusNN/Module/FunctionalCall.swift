import ApusCore

/// Calls a module with other values in place of its parameters and buffers (`torch.func.functional_call`): a function of
/// the values, which can be differentiated, compiled and mapped by them.
///
/// ```swift
/// let layer = Linear(3, 1)
/// let x = Tensor.ones([2, 3])
/// let slope = gradient(at: Tensor.zeros([1, 3])) { weight in
///   meanSquaredError(functionalCall(layer, ["weight": weight], x), Tensor.ones([2, 1]))
/// }
/// ```
/// The module keeps its own values and gets no gradients by those that are replaced; values that are not named are its
/// own. A parameter that has several names is replaced under all of them by one. What `forward` assigns to a replaced
/// buffer (running statistics) is forgotten at the end; other buffers change as in a call of the module.
/// - Parameters:
///   - module: any module, also one of several inputs.
///   - values: by the names of ``Module/stateDictionary()``. Others, and two different values for one parameter: error
///     (argument).
///   - input: what the module takes; several inputs as a tuple.
/// - Returns: what the module returns.
public func functionalCall<M: Module>(_ module: M, _ values: StateDictionary, _ input: M.Input) -> M.Output {
  let variables = module.stateVariables()
  var replaced: [(Variable, Tensor)] = []
  var names: [ObjectIdentifier: String] = [:]
  for (name, variable) in variables {
    guard let value = values[name] else { continue }
    if let other = names.updateValue(name, forKey: ObjectIdentifier(variable)) {
      require(
        values[other]?.storage === value.storage, "\(other) and \(name) are one parameter: a value for one of them fits"
      )
    }
    replaced.append((variable, value))
  }
  let known = Set(variables.map { ExactName($0.name) })
  let unknown = values.keys.filter { !known.contains(ExactName($0)) }
  require(
    unknown.isEmpty,
    "\(ModuleCalls.typeName(module)) has no parameter or buffer \(list(unknown)); it has \(list(variables.map(\.name)))"
  )
  return withValues(replaced) { module(input) }
}
