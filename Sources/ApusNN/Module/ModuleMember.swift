import ApusCore

/// A named part of a module.
///
/// ```swift
/// func members() -> [ModuleMember] { [ModuleMember("body", .module(body)), ModuleMember("scale", .parameter(scale))] }
/// ```
/// A module says so itself where its stored properties can't: ``Module/members()``.
public struct ModuleMember: Sendable {
  /// What the part is.
  public enum Kind: Sendable {
    case parameter(Parameter)
    case buffer(Buffer)
    case mode(Mode)
    case generator(Generator)
    case module(any Module)
  }
  /// Its name within the module, the part between two dots of a parameter's name.
  public var name: String
  /// What the part is.
  public var kind: Kind

  /// - Parameters:
  ///   - name: within the module.
  ///   - kind: what the part is.
  public init(_ name: String, _ kind: Kind) {
    self.name = name
    self.kind = kind
  }
}

extension Module {
  /// This module's parameters, buffers, modes and generators and those of all modules below it, with their dotted paths.
  /// What is reachable by two paths appears twice; two things of one path are an error.
  func allMembers() -> [(path: String, kind: ModuleMember.Kind)] {
    var found: [(String, ModuleMember.Kind)] = []
    var paths: Set<ExactName> = []
    visit(prefix: "", parents: [self]) { path, kind in
      require(
        paths.insert(ExactName(path)).inserted,
        "\(ModuleCalls.typeName(self)) has two members called \(path): one would replace the other in the state dictionary"
      )
      found.append((path, kind))
    }
    return found
  }

  fileprivate func visit(
    prefix: String, parents: [any Module], _ body: (String, ModuleMember.Kind) -> Void
  ) {
    for member in members() {
      let path = prefix + member.name
      body(path, member.kind)
      guard case .module(let child) = member.kind else { continue }
      let isCircle = parents.contains { $0 === child }
      require(!isCircle, "the module at \(path) contains itself; a tree of modules has no circles")
      if isCircle { continue }
      child.visit(prefix: path + ".", parents: parents + [child], body)
    }
  }
}

// MARK: What is asked of it

extension Module {
  /// Every module at and below this one, with its path; this one's is empty. Each once.
  public func namedModules() -> [(name: String, module: any Module)] {
    var seen: Set<ObjectIdentifier> = [ObjectIdentifier(self)]
    return [("", self as any Module)]
      + allMembers().compactMap { path, kind in
        guard case .module(let module) = kind, seen.insert(ObjectIdentifier(module)).inserted else { return nil }
        return (path, module)
      }
  }

  /// The parameters at and below this module with their names, each once (`named_parameters`).
  ///
  /// ```swift
  /// for (name, parameter) in model.namedParameters() { print(name, parameter.value.shape) }
  /// ```
  public func namedParameters() -> [(name: String, parameter: Parameter)] {
    var seen: Set<ObjectIdentifier> = []
    return allMembers().compactMap { path, kind in
      guard case .parameter(let parameter) = kind, seen.insert(ObjectIdentifier(parameter)).inserted else { return nil }
      return (path, parameter)
    }
  }

  /// The parameters at and below this module, each once, frozen ones too: what an optimizer takes.
  public var parameters: [Parameter] { namedParameters().map(\.parameter) }

  /// The buffers at and below this module with their names, each once.
  public func namedBuffers() -> [(name: String, buffer: Buffer)] {
    var seen: Set<ObjectIdentifier> = []
    return allMembers().compactMap { path, kind in
      guard case .buffer(let buffer) = kind, seen.insert(ObjectIdentifier(buffer)).inserted else { return nil }
      return (path, buffer)
    }
  }

  /// The random generators that layers at and below this module were given, each once; not the default one.
  public func namedGenerators() -> [(name: String, generator: Generator)] {
    var seen: Set<ObjectIdentifier> = [ObjectIdentifier(Generator.default)]
    return allMembers().compactMap { path, kind in
      guard case .generator(let generator) = kind, seen.insert(ObjectIdentifier(generator)).inserted else { return nil }
      return (path, generator)
    }
  }

  /// Number of elements of all parameters. Parameters whose size is still to be inferred count 0.
  public var parameterCount: Int {
    Sizes.sum(parameters.map { $0.isInitialized ? $0.value.elementCount : 0 })
  }

  /// Forgets the gradients of all parameters.
  public func zeroGradients() { for parameter in parameters { parameter.gradient = nil } }

  /// Whether training changes the parameters at and below this module (`requires_grad_`, Keras' `trainable`).
  ///
  /// ```swift
  /// model.body.setTrainable(false)          // fine-tune the rest
  /// ```
  /// - Parameter trainable: false freezes them: they get no gradients and optimizers leave them out.
  public func setTrainable(_ trainable: Bool) { for parameter in parameters { parameter.isTrainable = trainable } }
}
