import ApusCore

extension PlanBuilder {
  /// A step that computes outside the kernels: users' primitives by their own closure, rare dtypes by the reference
  /// engine.
  func lowerByReference(_ primitive: Primitive, _ inputs: [Int], _ outputs: [Int]) throws {
    let sources = try inputs.map { try plain($0) }
    let inputTypes = inputs.map { type($0) }
    let outputTypes = outputs.map { type($0) }
    let inputBytes = try inputTypes.map { try $0.byteCount() }
    let outputBytes = try outputTypes.map { try $0.byteCount() }
    let targets = try outputs.map { try define($0) }
    emit(reads: sources, writes: targets) { p in
      var operands: [Storage] = []
      for (i, source) in sources.enumerated() {
        let operand = try Storage(inputTypes[i])
        operand.plainAddress.copyMemory(from: p[source], byteCount: inputBytes[i])
        operands.append(operand)
      }
      let results: [Storage] =
        if case .custom(let custom) = primitive {
          try custom.evaluate(operands.map { Tensor(storage: $0) }).map(\.storage)
        } else {
          try ReferenceEngine.shared.execute(primitive, operands, outputs: outputTypes)
        }
      for (i, result) in results.enumerated() {
        let whole = result.isContiguous ? result : try result.copied()
        p[targets[i]].copyMemory(from: whole.plainAddress, byteCount: outputBytes[i])
      }
    }
  }
}
