/// Finds what named sizes are from the shapes that come.
enum SizeBinding {
  /// The sizes under which the shapes are of the patterns.
  /// - Parameters:
  ///   - patterns: for each operand a shape whose dimensions are numbers, names or arithmetic of names; nil: any.
  ///   - types: the operands.
  ///   - zeroFits: whether 0 in a pattern means "whatever comes".
  ///   - describe: names an operand and what it belongs to.
  /// - Throws: ``ApusError`` (shape) for an operand of another rank or size, a name with two sizes, or arithmetic of a
  ///   name that no dimension binds.
  static func bind(
    _ patterns: [Shape?], _ types: [TensorType], zeroFits: Bool, describe: (Int) -> String
  ) throws -> [String: Int] {
    func fail(_ problem: String, _ i: Int) -> ApusError { ApusError(.shape, problem, operands: [types[i]]) }
    // Names first: arithmetic of them may come before the operand that binds them.
    var sizes: [String: Int] = [:]
    for (i, (pattern, type)) in zip(patterns, types).enumerated() {
      guard let pattern else { continue }
      guard pattern.rank == type.rank else { throw fail("\(describe(i)) must be of shape \(pattern)", i) }
      for (axis, want) in pattern.dims.enumerated() where !want.isKnown {
        for name in want.symbols where sizes[name] == nil && want == .symbol(name) { sizes[name] = type.shape[axis] }
      }
    }
    for (i, (pattern, type)) in zip(patterns, types).enumerated() {
      guard let pattern else { continue }
      for (axis, want) in pattern.dims.enumerated() {
        let have = type.shape[axis]
        if let fixed = want.value {
          guard fixed == have || (fixed == 0 && zeroFits) else {
            throw fail("\(describe(i)) must be of shape \(pattern)", i)
          }
        } else if let known = want.resolved(sizes) {
          guard known == have else {
            throw fail("size \(want) of \(describe(i)) is \(have) and was \(known) before", i)
          }
        } else {
          throw fail("size \(want) of \(describe(i)): its names must be sizes of arguments themselves", i)
        }
      }
    }
    return sizes
  }
}
