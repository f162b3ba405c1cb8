/// Values that stand for variables' own on this thread inside a closure.
///
/// Two things need it. ``withValues(_:_:)`` computes with other values than the variables hold; nothing is written to
/// those then. And inside `gradient(at:)` and `jvp` a value that is assigned to a variable stays on the tape for whoever
/// reads it there, though the variable itself keeps it without its node.
final class VariableOverlay {
  private let parent: VariableOverlay?
  /// Whether it stands for its variables, or only remembers what was assigned to them.
  private let isSubstitute: Bool
  private var entries: [ObjectIdentifier: (variable: Variable, value: Tensor)] = [:]

  private init(parent: VariableOverlay?, isSubstitute: Bool) {
    self.parent = parent
    self.isSubstitute = isSubstitute
  }

  convenience init(_ values: [(Variable, Tensor)], parent: VariableOverlay?) {
    self.init(parent: parent, isSubstitute: true)
    for (variable, value) in values { entries[ObjectIdentifier(variable)] = (variable, value) }
  }

  /// An overlay that remembers assignments, within `parent`: one for all derivatives that nest.
  static func rememberingAssignments(in parent: VariableOverlay?) -> VariableOverlay {
    var known = parent
    while let overlay = known {
      if !overlay.isSubstitute { return parent ?? overlay }
      known = overlay.parent
    }
    return VariableOverlay(parent: parent, isSubstitute: false)
  }

  /// Whether it changes nothing: compiled functions may then run as graphs, which read the variables themselves.
  var isEmpty: Bool { entries.isEmpty && parent?.isEmpty ?? true }

  func value(of variable: Variable) -> Tensor? {
    if !entries.isEmpty, let found = entries[ObjectIdentifier(variable)] { return found.value }
    return parent?.value(of: variable)
  }

  /// Takes note of an assignment.
  /// - Returns: whether that is all: the variable itself is not to be written.
  func assign(_ value: Tensor, to variable: Variable) -> Bool {
    let key = ObjectIdentifier(variable)
    if isSubstitute, entries[key] != nil {
      entries[key] = (variable, value)
      return true
    }
    if parent?.assign(value, to: variable) == true { return true }
    guard !isSubstitute else { return false }
    let isTracked = value.node != nil && ExecutionContext.recordsGradients && !value.isPoisoned
    if isTracked { entries[key] = (variable, value) } else { entries[key] = nil }
    return false
  }
}

/// Runs `body` with other values in place of those that variables hold, on this thread and for derivatives too: reading
/// such a variable, ``Parameter/tensor`` included, gives the tensor with its place on the gradient tape. What `body`
/// assigns to one stays inside; the variables keep their values and gradients.
package func withValues<R>(_ values: [(Variable, Tensor)], _ body: () throws -> R) rethrows -> R {
  try ExecutionContext.with({ $0.overlay = VariableOverlay(values, parent: $0.overlay) }, body)
}
