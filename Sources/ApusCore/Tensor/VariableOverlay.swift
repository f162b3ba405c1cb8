/// Values that stand for variables' own on this thread inside a closure.
///
/// Two things need it. ``withValues(_:_:)`` computes with other values than the variables hold; nothing is written to
/// those then. And inside `gradient(at:)` and `jvp` a value that is assigned to a variable stays on the tape for whoever
/// reads it there, though the variable itself keeps it without its node.
final class VariableOverlay {
  private enum Kind {
    /// Stands for its variables.
    case substitutes
    /// Remembers what was assigned to variables.
    case assignments
    /// The same within a trace, whose values mean nothing outside.
    case trace
  }
  private let kind: Kind
  private let parent: VariableOverlay?
  /// No value: the variable's own, whatever `parent` has.
  private var entries: [ObjectIdentifier: (variable: Variable, value: Tensor?)] = [:]

  private init(_ kind: Kind, parent: VariableOverlay?) {
    self.kind = kind
    self.parent = parent
  }

  static func substituting(_ values: [(Variable, Tensor)], in parent: VariableOverlay?) -> VariableOverlay {
    let overlay = VariableOverlay(.substitutes, parent: parent)
    for (variable, value) in values { overlay.entries[ObjectIdentifier(variable)] = (variable, value) }
    return overlay
  }

  /// An overlay that remembers assignments, within `parent`: one for all derivatives that nest.
  static func rememberingAssignments(in parent: VariableOverlay?) -> VariableOverlay {
    var known = parent
    while let overlay = known {
      if overlay.kind != .substitutes { return parent ?? overlay }
      known = overlay.parent
    }
    return VariableOverlay(.assignments, parent: parent)
  }

  /// What holds inside a trace: `parent`, where there is one, to read from.
  static func tracing(in parent: VariableOverlay?) -> VariableOverlay? {
    parent.map { VariableOverlay(.trace, parent: $0) }
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
    if kind == .trace ? substitutes(key) : kind == .substitutes && entries[key] != nil {
      entries[key] = (variable, value)
      return true
    }
    if kind != .trace, parent?.assign(value, to: variable) == true { return true }
    if kind == .substitutes { return false }
    entries[key] = (variable, value.isTracked ? value : nil)
    return false
  }

  private func substitutes(_ key: ObjectIdentifier) -> Bool {
    kind == .substitutes && entries[key] != nil || parent?.substitutes(key) == true
  }
}

extension Tensor {
  /// Whether a derivative would lead through it here.
  var isTracked: Bool { node != nil && ExecutionContext.recordsGradients && !isPoisoned }
}

/// Runs `body` with other values in place of those that variables hold, on this thread and for derivatives too: reading
/// such a variable, ``Parameter/tensor`` included, gives the tensor with its place on the gradient tape. What `body`
/// assigns to one stays inside; the variables keep their values and gradients.
package func withValues<R>(_ values: [(Variable, Tensor)], _ body: () throws -> R) rethrows -> R {
  try ExecutionContext.with({ $0.overlay = .substituting(values, in: $0.overlay) }, body)
}
