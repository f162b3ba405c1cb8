import ApusCore

extension Tensor {
  /// The product of some of a tensor's sizes as a scalar; symbolic sizes stay symbolic.
  package static func elementCount(_ x: Tensor, over axes: [Int], dtype: DType) -> Tensor {
    var known = 1.0
    var result: Tensor?
    for axis in axes {
      if let size = x.dimension(axis).value {
        known *= Double(size)
      } else if let size = try? apply(.dimension(.init(axis: axis)), [x])[0].cast(to: dtype) {
        result = result.map { $0 * size } ?? size
      }
    }
    return result.map { $0 * known } ?? Tensor(known, dtype: dtype)
  }
}
