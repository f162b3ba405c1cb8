import ApusCore

/// Named tensors in a fixed order: the parameters and buffers of a module, or the slots of an optimizer.
///
/// ```swift
/// var state = model.stateDictionary()     // ["0.weight": float32[10, 64], "0.bias": float32[10]]
/// state["0.bias"] = Tensor.zeros([10])
/// for (name, value) in state { print(name, value.shape) }
/// try model.loadStateDictionary(state)
/// ```
public struct StateDictionary: Sendable {
  /// The names in their order.
  public private(set) var keys: [String] = []
  private var values: [String: Tensor] = [:]

  /// A dictionary without entries.
  public init() {}

  /// A dictionary of pairs, in their order; of two with the same name the later one counts.
  public init(_ entries: some Sequence<(String, Tensor)>) {
    for (key, tensor) in entries { self[key] = tensor }
  }

  /// The entries of a dictionary, in the order of their keys.
  public init(_ entries: [String: Tensor]) { self.init(entries.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }) }

  /// How many entries there are.
  public var count: Int { keys.count }
  /// Whether there are none.
  public var isEmpty: Bool { keys.isEmpty }

  /// The tensor of that name, nil when there is none. A new key goes to the end; setting nil removes the entry.
  public subscript(key: String) -> Tensor? {
    get { values[key] }
    set {
      let known = values[key] != nil
      values[key] = newValue
      if newValue == nil {
        keys.removeAll { $0 == key }
      } else if !known {
        keys.append(key)
      }
    }
  }

  /// The entries whose keys begin with `prefix`, without it.
  public func entries(under prefix: String) -> StateDictionary {
    StateDictionary(
      lazy.filter { $0.key.hasPrefix(prefix) }.map { (String($0.key.dropFirst(prefix.count)), $0.value) })
  }
}

extension StateDictionary: Sequence, ExpressibleByDictionaryLiteral {
  public init(dictionaryLiteral elements: (String, Tensor)...) { self.init(elements) }

  public func makeIterator() -> some IteratorProtocol<(key: String, value: Tensor)> {
    keys.lazy.compactMap { key in values[key].map { (key: key, value: $0) } }.makeIterator()
  }
}

extension Module {
  /// The values of all parameters and buffers under their names: PyTorch's keys for the same structure.
  ///
  /// Traps when a layer's size is still to be inferred; see ``requireSizes()``.
  public func stateDictionary() -> StateDictionary {
    do {
      try requireSizes()
    } catch {
      _ = Tensor.failure(error, as: TensorType(.float32, []))
      return StateDictionary()
    }
    return StateDictionary(stateVariables().map { ($0.name, $0.variable.value) })
  }

  /// Checks that every parameter has a value.
  /// - Throws: `ApusError` (argument) naming the parameters whose size is still to be inferred.
  public func requireSizes() throws(ApusError) {
    let unknown = stateVariables().filter { !$0.variable.isInitialized }.map(\.name)
    if unknown.isEmpty { return }
    throw ApusError(
      .argument,
      "the model's sizes are not all known: call it once, or give the layers' sizes. Without values: \(list(unknown))")
  }

  /// Replaces the values of parameters and buffers by those of the same names, cast to their dtypes.
  ///
  /// Everything is checked before the first value is replaced. Parameters whose size was to be inferred take the
  /// shapes given; those of own modules, created without a value, the dtypes too.
  /// - Parameters:
  ///   - state: the values under their names, in the shapes of the module's.
  ///   - strict: whether names that only one side has are an error; otherwise they are left out.
  /// - Returns: the names that only one side has.
  /// - Throws: `ApusError` (argument) listing missing and unexpected names and the shapes that differ.
  @discardableResult
  public func loadStateDictionary(_ state: StateDictionary, strict: Bool = true) throws -> StateDifference {
    let variables = stateVariables()
    var difference = StateDifference()
    for (name, variable) in variables {
      guard let tensor = state[name] else {
        difference.missing.append(name)
        continue
      }
      if variable.isInitialized, variable.value.shape != tensor.shape {
        difference.mismatched.append("\(name): got \(tensor.shape), expected \(variable.value.shape)")
      }
    }
    let known = Set(variables.map(\.name))
    difference.unexpected = state.keys.filter { !known.contains($0) }
    guard difference.mismatched.isEmpty && (!strict || difference.isEmpty) else {
      throw ApusError(.argument, "the state does not fit \(ModuleCalls.typeName(self)): \(difference)")
    }
    let dtypes = inferredDTypes()
    for (name, variable) in variables {
      guard let tensor = state[name] else { continue }
      if variable.isInitialized {
        variable.value = tensor.cast(to: variable.value.dtype)
      } else {
        variable.initialize(tensor.cast(to: dtypes[ObjectIdentifier(variable)] ?? tensor.dtype))
      }
    }
    return difference
  }

  /// What the layers will make those of their variables of that have no values yet.
  private func inferredDTypes() -> [ObjectIdentifier: DType] {
    var dtypes: [ObjectIdentifier: DType] = [:]
    for (_, module) in namedModules() {
      guard let layer = module as? any SizeInferring else { continue }
      for (_, variable) in layer.stateVariables() where !variable.isInitialized {
        dtypes[ObjectIdentifier(variable)] = layer.dtype
      }
    }
    return dtypes
  }

  /// Parameters and buffers in the order of declaration; shared ones under each of their names.
  func stateVariables() -> [(name: String, variable: Variable)] {
    allMembers().compactMap { path, kind in
      switch kind {
      case .parameter(let parameter): (path, parameter)
      case .buffer(let buffer): (path, buffer)
      default: nil
      }
    }
  }
}

/// How a state dictionary and a module differ.
public struct StateDifference: Sendable, CustomStringConvertible {
  /// Names of the module that the state lacks.
  public var missing: [String] = []
  /// Names of the state that the module lacks.
  public var unexpected: [String] = []
  /// Names with both shapes.
  public var mismatched: [String] = []

  /// Whether both sides have the same names and shapes.
  public var isEmpty: Bool { missing.isEmpty && unexpected.isEmpty && mismatched.isEmpty }

  public var description: String {
    var parts: [String] = []
    if !missing.isEmpty { parts.append("missing: \(list(missing))") }
    if !unexpected.isEmpty { parts.append("unexpected: \(list(unexpected))") }
    if !mismatched.isEmpty { parts.append("of another shape: \(list(mismatched))") }
    return parts.isEmpty ? "no difference" : parts.joined(separator: "; ")
  }
}

/// Names for a message: at most a dozen of them.
func list(_ names: [String]) -> String {
  let shown = names.prefix(12).joined(separator: ", ")
  return names.count > 12 ? shown + " and \(names.count - 12) more" : shown
}
