import ApusCore

/// (A·B)ᵀ as Bᵀ·Aᵀ: the operands' transposes are views, the result's would be a copy. Gradients of weights stored
/// [out, in] look like that.
struct TransposedProducts: Pass {
  let name = "transposed-products"

  func run(_ graph: Graph) throws -> Graph {
    try graph.rewritten { node, graph in
      guard case .permute(let d) = node.primitive, Self.swapsLastTwo(d.permutation),
        graph.useCount(node.inputs[0]) == 1, let product = graph.definition(node.inputs[0]),
        case .matmul = product.primitive
      else { return .keep }
      let operands = try product.inputs.reversed().map { try graph.add(node.primitive, [$0])[0] }
      return .replace(try graph.add(.matmul, operands))
    }
  }

  private static func swapsLastTwo(_ permutation: Permutation) -> Bool {
    let count = permutation.count
    guard count >= 2, permutation[count - 2] == count - 1, permutation[count - 1] == count - 2 else { return false }
    return (0..<(count - 2)).allSatisfy { permutation[$0] == $0 }
  }
}
