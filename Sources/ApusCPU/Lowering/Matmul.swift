import ApusCore
import CBLAS
import COneDNN

/// A stack of matrices as BLAS sees it.
private struct MatrixStack {
  var isTransposed: Bool
  /// Distance between stored rows.
  var leading: Int
  /// Distance between matrices; 0: the same one throughout.
  var step: Int

  /// nil: the elements lie otherwise.
  init?(_ form: Form, _ shape: Shape) {
    guard form.layout == nil else { return nil }
    let (rowAxis, columnAxis) = (shape.rank - 2, shape.rank - 1)
    let (rows, columns) = (shape[rowAxis], shape[columnAxis])
    let (rowStep, columnStep) = (form.strides[rowAxis], form.strides[columnAxis])
    if columns == 1 || columnStep == 1, rows == 1 || rowStep >= max(columns, 1) {
      isTransposed = false
      leading = rows == 1 ? max(columns, 1) : rowStep
    } else if rows == 1 || rowStep == 1, columns == 1 || columnStep >= max(rows, 1) {
      isTransposed = true
      leading = columns == 1 ? max(rows, 1) : columnStep
    } else {
      return nil
    }
    // The leading axes must make one even series.
    var step: Int?
    var expected = 0
    for axis in stride(from: rowAxis - 1, through: 0, by: -1) where shape[axis] != 1 {
      let distance = form.strides[axis]
      guard distance >= 0 else { return nil }
      if step == nil { step = distance } else if distance != expected { return nil }
      expected = distance * shape[axis]
    }
    self.step = step ?? 0
  }
}

private struct Product {
  var count: Int
  var rows: Int
  var columns: Int
  var depth: Int
  var work: Double { Double(count) * Double(rows) * Double(columns) * Double(depth) }

  init(_ a: Shape, _ b: Shape) {
    let last = a.rank - 1
    count = Sizes.product(a[..<(last - 1)])
    rows = a[last - 1]
    depth = a[last]
    columns = b[last]
  }
}

extension PlanBuilder {
  /// Up to here OpenBLAS is quicker, runs on one thread and needs nothing compiled; beyond, oneDNN wins.
  private static let smallProduct = 64.0 * 64 * 64

  private func stack(_ value: Int) throws -> (form: Form, stack: MatrixStack) {
    let form = try strided(value)
    if let stack = MatrixStack(form, shape(value)) { return (form, stack) }
    let whole = try contiguous(value)
    guard let stack = MatrixStack(whole, shape(value)) else {
      throw ApusError(.unsupported, "a contiguous matrix is not one")
    }
    return (whole, stack)
  }

  /// Whether a product is left to the reference engine, which takes memory while the plan runs.
  static func lacksKernel(_ a: TensorType, _ b: TensorType) -> Bool {
    guard a.dtype == .float32 || a.dtype == .float64 else { return true }
    // Large ones are oneDNN's, so that OpenBLAS need not be loaded to know.
    if a.dtype == .float32, Product(a.shape, b.shape).work > smallProduct { return false }
    return !apus_blas_is_available()
  }

  func lowerMatmul(_ inputs: [Int], _ output: Int) throws -> Bool {
    let dtype = dtype(output)
    guard dtype == .float32 || dtype == .float64 else { return false }
    let product = Product(shape(inputs[0]), shape(inputs[1]))
    // A sum of nothing: the strides of an empty operand say nothing either. Left to the reference engine.
    guard product.work > 0 else { return false }
    let isLarge = product.work > Self.smallProduct
    if dtype == .float32, isLarge || !apus_blas_is_available(),
      try lowerLargeMatmul(product, inputs, bias: nil, output)
    {
      return true
    }
    guard apus_blas_is_available() else { return false }
    let (a, b) = (try stack(inputs[0]), try stack(inputs[1]))
    let (first, second) = (slot(a.form), slot(b.form))
    let target = try define(output)
    let (x, y) = (a.stack, b.stack)
    let count = Int64(product.count)
    let (m, n, k) = (Int64(product.rows), Int64(product.columns), Int64(product.depth))
    emit(reads: [first, second], writes: [target], libraries: true) { p in
      let status =
        dtype == .float32
        ? apus_blas_sgemm_batch(
          count, x.isTransposed, y.isTransposed, m, n, k, 1, p[first].assumingMemoryBound(to: Float.self),
          Int64(x.leading), Int64(x.step), p[second].assumingMemoryBound(to: Float.self), Int64(y.leading),
          Int64(y.step), 0, p[target].assumingMemoryBound(to: Float.self), n, m * n)
        : apus_blas_dgemm_batch(
          count, x.isTransposed, y.isTransposed, m, n, k, 1, p[first].assumingMemoryBound(to: Double.self),
          Int64(x.leading), Int64(x.step), p[second].assumingMemoryBound(to: Double.self), Int64(y.leading),
          Int64(y.step), 0, p[target].assumingMemoryBound(to: Double.self), n, m * n)
      guard status == APUS_BLAS_OK else {
        throw ApusError(.unsupported, String(cString: apus_blas_message(status)))
      }
    }
    return true
  }

  /// oneDNN's view of a stack.
  private func layout(_ stack: MatrixStack, count: Int, rows: Int, columns: Int) throws -> Layout {
    let inner = stack.isTransposed ? [1, stack.leading] : [stack.leading, 1]
    if count == 1 { return try Layout([rows, columns], strides: inner) }
    if stack.step == 0 { return try Layout([1, rows, columns], strides: [max(rows, columns) * stack.leading] + inner) }
    return try Layout([count, rows, columns], strides: [stack.step] + inner)
  }

  private func lowerLargeMatmul(
    _ product: Product, _ inputs: [Int], bias: Int?, _ output: Int
  ) throws -> Bool {
    let (a, b) = (try stack(inputs[0]), try stack(inputs[1]))
    // oneDNN repeats one of the two over a stack, not both.
    if product.count > 1, a.stack.step == 0, b.stack.step == 0 { return false }
    let sizes = [product.rows, product.columns]
    let operation: DNNOperation
    do {
      let first = try layout(a.stack, count: product.count, rows: product.rows, columns: product.depth)
      let second = try layout(b.stack, count: product.count, rows: product.depth, columns: product.columns)
      let result = try Layout(product.count == 1 ? sizes : [product.count] + sizes)
      operation = try makeOperation {
        try DNNOperation.matmul(first, second, columns: product.columns, result, bias: bias != nil)
      }
    } catch let error as ApusError where error.kind == .unsupported {
      return false
    }
    let target = try define(output)
    let operands = [slot(a.form), slot(b.form)] + (bias.map { [$0] } ?? []) + [target]
    try emit(operation, operands, writes: [operands.count - 1])
    return true
  }

  /// The slot of a vector of `count` elements that is seen along axis `axis` of `shape` and repeated along the others.
  func biasSlot(_ value: Int, axis: Int) throws -> Int? {
    let shape = shape(value)
    guard hasPlainForm(value), dtype(value) == .float32 else { return nil }
    let form = try strided(value)
    for i in 0..<shape.rank where shape[i] != 1 && form.strides[i] != (i == axis ? 1 : 0) { return nil }
    return shape[axis] == 1 ? nil : slot(form)
  }

  /// product + bias in one kernel.
  /// - Returns: false where that is not possible.
  func lowerMatmulEpilogue(_ inputs: [Int], bias: Int, _ output: Int) throws -> Bool {
    let product = Product(shape(inputs[0]), shape(inputs[1]))
    guard dtype(output) == .float32, product.work > Self.smallProduct,
      let slot = try biasSlot(bias, axis: shape(output).rank - 1)
    else { return false }
    return try lowerLargeMatmul(product, inputs, bias: slot, output)
  }
}
