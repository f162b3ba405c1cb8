import ApusCore

extension Module {
  public func members() -> [ModuleMember] { reflectedMembers() }

  /// The members that the stored properties hold: those of superclasses first, then in the order of declaration.
  ///
  /// A member may be the property itself, optional, in a ``Slot``, or in an array or a dictionary of such, nested at will:
  /// `layers.0.1`, `by_name.left`. A dictionary's are in the order of their keys (Swift keeps no other; in
  /// `KeyValuePairs` they stay as written), and a key is one part of a name: empty or with a dot, it is an error, as in
  /// PyTorch's `ModuleDict`. A member in anything else that is a value (a tuple, a set, another structure or
  /// enumeration) is an error that names the property: it would be neither trained nor saved. What closures and objects of
  /// other classes hold can't be seen, and is no part of the module.
  public func reflectedMembers() -> [ModuleMember] {
    let properties = storedProperties
    StrayMembers.check(self, properties)
    return properties.flatMap { ModuleMember.members(named: $0.name.snakeCased, of: $0.value) }
  }

  private var storedProperties: [(name: String, value: Any)] {
    var mirrors: [Mirror] = []
    var mirror: Mirror? = Mirror(reflecting: self)
    while let current = mirror {
      mirrors.append(current)
      mirror = current.superclassMirror
    }
    return mirrors.reversed().flatMap { mirror in
      mirror.children.compactMap { label, value in label.map { ($0, value) } }
    }
  }
}

extension ModuleMember {
  /// What one stored property holds; nothing for values that are no part of a module.
  static func members(named name: String, of value: Any) -> [ModuleMember] {
    if let kind = kind(of: value) { return [ModuleMember(name, kind)] }
    guard let container = value as? any MemberContainer, type(of: container).mayHoldMembers else { return [] }
    return container.parts.flatMap { part in
      members(named: part.name.map { "\(name).\($0)" } ?? name, of: part.value)
    }
  }

  /// What a value itself is as a member; a slot is its child.
  static func kind(of value: Any) -> Kind? {
    switch value {
    case let parameter as Parameter: .parameter(parameter)
    case let buffer as Buffer: .buffer(buffer)
    case let mode as Mode: .mode(mode)
    case let generator as Generator: .generator(generator)
    case let slot as any AnySlot: slot.anyModule.map { .module($0) }
    case let module as any Module: .module(module)
    default: nil
    }
  }

  /// Whether values of a type may be members or hold some: nothing without references can, and of those that are common
  /// in large numbers some are known not to.
  static func mayHoldMembers<T>(_ type: T.Type) -> Bool {
    if _isPOD(type) || type is any MemberFree.Type { return false }
    return (type as? any MemberContainer.Type)?.mayHoldMembers ?? true
  }
}

/// A type whose values are never a module's members.
protocol MemberFree {}
extension String: MemberFree {}
extension Tensor: MemberFree {}
extension Activation: MemberFree {}
extension Initializer: MemberFree {}

/// A value whose contents are members of the module that it is a property of.
protocol MemberContainer {
  static var mayHoldMembers: Bool { get }
  /// What is in it, with the part of the name that it adds.
  var parts: [(name: String?, value: Any)] { get }
}

extension Optional: MemberContainer {
  static var mayHoldMembers: Bool { ModuleMember.mayHoldMembers(Wrapped.self) }
  var parts: [(name: String?, value: Any)] { map { [(nil, $0)] } ?? [] }
}

extension MemberContainer where Self: Collection {
  static var mayHoldMembers: Bool { ModuleMember.mayHoldMembers(Element.self) }
  var parts: [(name: String?, value: Any)] { enumerated().map { ("\($0)", $1) } }
}
extension Array: MemberContainer {}
extension ArraySlice: MemberContainer {}
extension ContiguousArray: MemberContainer {}

extension Dictionary: MemberContainer {
  static var mayHoldMembers: Bool { ModuleMember.mayHoldMembers(Value.self) }
  var parts: [(name: String?, value: Any)] { keyedParts(map { ("\($0)", $1) }.sorted { $0.0 < $1.0 }) }
}

extension KeyValuePairs: MemberContainer {
  static var mayHoldMembers: Bool { ModuleMember.mayHoldMembers(Value.self) }
  var parts: [(name: String?, value: Any)] { keyedParts(map { ("\($0)", $1) }) }
}

/// Only a key beside a member must be a name.
private func keyedParts(_ pairs: [(String, Any)]) -> [(name: String?, value: Any)] {
  pairs.map { key, value in
    require(
      !key.isEmpty && !key.utf8.contains(UInt8(ascii: ".")) || ModuleMember.members(named: "", of: value).isEmpty,
      "a module's member has the key \"\(key)\": a key is a part of its name, not empty and without a dot")
    return (key, value)
  }
}

extension String {
  /// `runningMean` → `running_mean`; a name that begins with a capital, or has underscores, stays as it is.
  var snakeCased: String {
    guard let first, first.isLowercase, !contains("_") else { return self }
    var result = ""
    var previousWasLower = false
    for character in self {
      if character.isUppercase && previousWasLower { result.append("_") }
      previousWasLower = character.isLowercase || character.isNumber
      result.append(contentsOf: character.lowercased())
    }
    return result
  }
}
