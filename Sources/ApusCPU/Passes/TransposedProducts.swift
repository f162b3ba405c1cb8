import ApusCore

/// (A·B)ᵀ as Bᵀ·Aᵀ: the operands' transposes are views, the result's would be a copy. Gradients of weights stored
/// [out, in] look like that.
struct TransposedProducts: Pass {
  let name = "transposed-products"

  func run(_ graph: Graph) throws -> Graph {
    let uses = graph.useCounts
    /// For a product's value, the node that transposes it.
    var transposes: [ValueID: Graph.Node] = [:]
    for node in graph.nodes {
      guard case .permute(let d)? = node.primitive, Self.swapsLastTwo(d.permutation), uses[node.inputs[0].index] == 1
      else {
        continue
      }
      transposes[node.inputs[0]] = node
    }
    guard !transposes.isEmpty else { return graph }
    var result = graph
    result.nodes.removeAll()
    var replaced: Set<ValueID> = []
    for node in graph.nodes {
      if case .matmul? = node.primitive, let transpose = transposes[node.outputs[0]] {
        let operands = node.inputs.reversed().map { operand in
          let type = graph.type(operand)
          let (rows, columns) = (type.rank - 2, type.rank - 1)
          var dims = type.shape.dims
          dims.swapAt(rows, columns)
          let value = result.makeValue(.tensor(TensorType(type.dtype, Shape(dims: dims))))
          var view = transpose
          view.inputs = [operand]
          view.outputs = [value]
          result.nodes.append(view)
          return value
        }
        var product = node
        product.inputs = operands
        product.outputs = transpose.outputs
        result.nodes.append(product)
        replaced.formUnion(transpose.outputs)
      } else if !node.outputs.contains(where: replaced.contains) {
        result.nodes.append(node)
      }
    }
    return result
  }

  private static func swapsLastTwo(_ permutation: Permutation) -> Bool {
    let count = permutation.count
    guard count >= 2, permutation[count - 2] == count - 1, permutation[count - 1] == count - 2 else { return false }
    return (0..<(count - 2)).allSatisfy { permutation[$0] == $0 }
  }
}
