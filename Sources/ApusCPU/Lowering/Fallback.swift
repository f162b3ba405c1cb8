import ApusCore

extension PlanBuilder {
  /// A step that has the reference engine compute: what the kernels lack (rare dtypes, users' primitives).
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
      let results = try ReferenceEngine.shared.execute(primitive, operands, outputs: outputTypes)
      for (i, result) in results.enumerated() {
        let whole = result.isContiguous ? result : try result.copied()
        p[targets[i]].copyMemory(from: whole.plainAddress, byteCount: outputBytes[i])
      }
    }
  }
}
