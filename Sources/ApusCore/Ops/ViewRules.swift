/// Operations that need no work on plain host memory: their results are the same elements seen through other strides.
enum ViewRules {
  /// - Returns: the results as views of the operand; nil when the engine has to compute them.
  static func view(_ primitive: Primitive, _ inputs: [Tensor], _ outputs: [TensorType]) throws -> [Storage]? {
    switch primitive {
    case .reshape, .permute, .broadcast, .slice, .cast: break
    default: return nil
    }
    let x = inputs[0].storage
    let type = outputs[0]
    if type == x.type, isIdentity(primitive) { return [x] }
    // Elements of less than a byte have no address.
    guard x.isPlain, x.dtype.bitWidth >= 8 else { return nil }
    func made(_ strides: InlineArray<8, Int>, offset: Int = 0) -> [Storage] {
      [Storage(view: x, dtype: x.dtype, shape: type.shape, strides: strides, offset: x.offset + offset)]
    }
    switch primitive {
    case .reshape: return strides(of: x, reshaped: type.shape).map { made($0) }
    case .permute(let d):
      var strides = InlineArray<8, Int>(repeating: 0)
      for i in 0..<type.rank { strides[i] = x.strides[d.permutation[i]] }
      return made(strides)
    case .broadcast:
      var strides = InlineArray<8, Int>(repeating: 0)
      let extra = type.rank - x.shape.rank
      for i in 0..<x.shape.rank where x.shape[i] == type.shape[i + extra] { strides[i + extra] = x.strides[i] }
      return made(strides)
    case .slice(let d):
      if type.shape.contains(0) { return nil }
      var strides = InlineArray<8, Int>(repeating: 0)
      var offset = 0
      for i in 0..<type.rank {
        // The one element of an axis has no next, and the step to it may be any.
        strides[i] = type.shape[i] > 1 ? x.strides[i] * d.steps[i] : x.strides[i]
        offset += x.strides[i] * d.starts[i]
      }
      return made(strides, offset: offset)
    default: return nil
    }
  }

  /// Whether the operation, yielding its operand's type, yields the operand.
  private static func isIdentity(_ primitive: Primitive) -> Bool {
    switch primitive {
    case .reshape, .broadcast, .cast, .slice: true
    case .permute(let d): d.permutation.isIdentity
    default: false
    }
  }

  /// Strides under which `x`'s elements, in order, have another shape; nil when they would have to be copied.
  ///
  /// Runs of axes that step evenly through memory count as one axis; each such run must be cut up on its own.
  static func strides(of x: Storage, reshaped shape: Shape) -> InlineArray<8, Int>? {
    if x.isContiguous { return Storage.contiguousStrides(shape) }
    var result = InlineArray<8, Int>(repeating: 0)
    if x.shape.contains(0) { return result }
    var target = shape.rank - 1
    var axis = x.shape.rank - 1
    while axis >= 0 {
      if x.shape[axis] == 1 {
        axis -= 1
        continue
      }
      let step = x.strides[axis]
      var run = x.shape[axis]
      while axis > 0, x.shape[axis - 1] == 1 || x.strides[axis - 1] == step * run {
        run &*= x.shape[axis - 1]
        axis -= 1
      }
      axis -= 1
      var covered = 1
      while target >= 0, covered < run || shape[target] == 1 {
        result[target] = step * covered
        covered &*= shape[target]
        target -= 1
      }
      if covered != run { return nil }
    }
    return result
  }
}
