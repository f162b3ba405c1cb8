extension Graph: CustomStringConvertible {
  /// The text form: one line a node, `%3 = matmul(%0, %1) : float32[batch, 256]`.
  public var description: String {
    var lines: [String] = []
    let parameters = inputs.map { "\($0.value) \($0.name): \(typeText($0.value))" }
    lines.append("graph \(name)(\(parameters.joined(separator: ", "))) {")
    for (id, tensor) in constants.sorted(by: { $0.key.index < $1.key.index }) {
      lines.append("  \(id) = constant : \(tensor.type)")
    }
    for node in nodes {
      let results = node.outputs.map(\.description).joined(separator: ", ")
      let operands = node.inputs.map(\.description).joined(separator: ", ")
      let types = node.outputs.map(typeText).joined(separator: ", ")
      let notes = [node.scope, node.isDetached ? "without gradient" : ""].filter { !$0.isEmpty }
      let scope = notes.isEmpty ? "" : "  // \(notes.joined(separator: ", "))"
      lines.append("  \(results) = \(node.primitive.name)\(attributeText(node))(\(operands)) : \(types)\(scope)")
    }
    let results = outputs.map { $0.name.isEmpty ? "\($0.value)" : "\($0.name): \($0.value)" }
    lines.append("  return \(results.joined(separator: ", "))")
    lines.append("}")
    return lines.joined(separator: "\n")
  }

  private func typeText(_ id: ValueID) -> String {
    switch self[id] {
    case .tensor(let type): type.description
    case let other: "\(other)"
    }
  }

  private func attributeText(_ node: Node) -> String {
    let attributes = Mirror(reflecting: node.primitive.definition).children.compactMap { child in
      child.label.map { "\($0): \(child.value)" }
    }
    return attributes.isEmpty ? "" : "{\(attributes.joined(separator: ", "))}"
  }

  /// The graph as a picture for Graphviz: `dot -Tsvg`. Scopes become nested boxes.
  /// https://graphviz.org/doc/info/lang.html
  public func dot() -> String {
    var text = "digraph \(quoted(name)) {\n  rankdir=TB; node [fontname=\"Helvetica\", fontsize=10];\n"
    var producer: [ValueID: String] = [:]
    for (i, port) in inputs.enumerated() {
      producer[port.value] = "in\(i)"
      text += "  in\(i) [shape=ellipse, label=\(quoted("\(port.name)\n\(typeText(port.value))"))];\n"
    }
    for (id, tensor) in constants.sorted(by: { $0.key.index < $1.key.index }) {
      producer[id] = "c\(id.index)"
      text += "  c\(id.index) [shape=note, label=\(quoted("constant\n\(tensor.type)"))];\n"
    }
    for (i, node) in nodes.enumerated() { for id in node.outputs { producer[id] = "n\(i)" } }
    let scopes = Dictionary(grouping: nodes.indices, by: { nodes[$0].scope })
    for (scope, members) in scopes.sorted(by: { $0.key < $1.key }) {
      if !scope.isEmpty { text += "  subgraph \(quoted("cluster_" + scope)) { label=\(quoted(scope)); color=gray;\n" }
      for i in members {
        let label = "\(nodes[i].primitive.name)\n\(nodes[i].outputs.map(typeText).joined(separator: "\n"))"
        text += "    n\(i) [shape=box, style=rounded, label=\(quoted(label))];\n"
      }
      if !scope.isEmpty { text += "  }\n" }
    }
    for (i, node) in nodes.enumerated() {
      for id in node.inputs { text += "  \(producer[id] ?? "unknown") -> n\(i);\n" }
    }
    for (i, port) in outputs.enumerated() {
      text += "  out\(i) [shape=ellipse, style=bold, label=\(quoted(port.name))];\n"
      text += "  \(producer[port.value] ?? "unknown") -> out\(i);\n"
    }
    return text + "}\n"
  }

  private func quoted(_ label: String) -> String {
    var escaped = ""
    for character in label {
      switch character {
      case "\"": escaped += "\\\""
      case "\\": escaped += "\\\\"
      case "\n": escaped += "\\n"
      default: escaped.append(character)
      }
    }
    return "\"\(escaped)\""
  }
}
