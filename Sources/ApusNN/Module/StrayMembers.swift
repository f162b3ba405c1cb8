import ApusCore
import Synchronization

/// Finds modules and what belongs to them in places where a module's walk does not come: in tuples, sets, structures and
/// enumerations.
enum StrayMembers {
  /// Modules that are known to have none: stored properties are `let`, so one look is enough.
  private static let checked = Mutex<[ObjectIdentifier: Reference]>([:])

  static func check(_ module: any Module, _ properties: [(name: String, value: Any)]) {
    let key = ObjectIdentifier(module)
    if checked.withLock({ $0[key]?.object === module }) { return }
    for property in properties {
      guard let stray = find(in: property.value, named: property.name) else { continue }
      return require(
        false,
        "\(ModuleCalls.typeName(module)).\(property.name) holds a \(stray.member) in a \(stray.holder) (\(stray.path)), where "
          + "it is neither trained nor saved: make it a property of its own, an element of an array or a dictionary, or name "
          + "it in members()")
    }
    checked.withLock { checked in
      // Addresses of modules that are gone come again.
      if checked.count >= 1024, checked.count.nonzeroBitCount == 1 {
        checked = checked.filter { $0.value.object != nil }
      }
      checked[key] = Reference(module)
    }
  }

  private struct Place {
    var value: Any
    var path: String
    /// What holds it, where the module's own walk does not come.
    var holder: String?
  }

  private static func find(in value: Any, named name: String) -> (member: String, holder: String, path: String)? {
    var places = [Place(value: value, path: name)]
    while let place = places.popLast() {
      if let kind = ModuleMember.kind(of: place.value) {
        guard let holder = place.holder else { continue }
        // The default generator is everybody's.
        if case .generator(let generator) = kind, generator === Generator.default { continue }
        return (noun(kind), holder, place.path)
      }
      if place.value is any MemberFree { continue }
      if let container = place.value as? any MemberContainer {
        guard type(of: container).mayHoldMembers else { continue }
        for part in container.parts {
          places.append(
            Place(value: part.value, path: part.name.map { "\(place.path).\($0)" } ?? place.path, holder: place.holder))
        }
        continue
      }
      let mirror = Mirror(reflecting: place.value)
      guard let holder = holderName(mirror) else { continue }
      if let set = place.value as? any Sequence, !mayHoldMembers(set) { continue }
      for (label, value) in mirror.children {
        places.append(
          Place(
            value: value, path: label.map { "\(place.path).\($0.drop { $0 == "." })" } ?? place.path,
            holder: place.holder ?? holder))
      }
    }
    return nil
  }

  private static func mayHoldMembers<S: Sequence>(_ sequence: S) -> Bool { ModuleMember.mayHoldMembers(S.Element.self) }

  /// What kind of value it is; nil for objects, which own what they hold.
  private static func holderName(_ mirror: Mirror) -> String? {
    switch mirror.displayStyle {
    case .tuple: "tuple"
    case .set: "set"
    case .enum: "enum \(mirror.subjectType)"
    case .struct, .collection, .dictionary, .optional: "\(mirror.subjectType)"
    default: nil
    }
  }

  private static func noun(_ kind: ModuleMember.Kind) -> String {
    switch kind {
    case .parameter: "Parameter"
    case .buffer: "Buffer"
    case .mode: "Mode"
    case .generator: "Generator"
    case .module(let module): ModuleCalls.typeName(module)
    }
  }
}
