extension Window {
  /// Calls `body` with each tap of the window of result pixel (row, column) that lies in an image of height × width.
  fileprivate func forEachTap(
    row: Int, column: Int, height: Int, width: Int, _ body: (_ tap: (Int, Int), _ y: Int, _ x: Int) -> Void
  ) {
    for i in 0..<kernel.height {
      let y = row * strides.height - padding.top + i * dilation.height
      guard y >= 0, y < height else { continue }
      for j in 0..<kernel.width {
        let x = column * strides.width - padding.left + j * dilation.width
        if x >= 0, x < width { body((i, j), y, x) }
      }
    }
  }
}

/// Convolution, its two adjoints, and matrix product: all of them sums of products, straight from the definition.
enum ReferenceLinear {
  /// Calls `body` with the places (in the image, the weight and the result) of every product of a convolution
  /// `image` [n, c, h, w] ⋆ `weight` [o, c / groups, kh, kw] → `result` [n, o, h', w'].
  private static func forEachProduct(
    _ window: Window, groups: Int, image: Shape, weight: Shape, result: Shape, _ body: (Int, Int, Int) -> Void
  ) {
    let (height, width) = (image[2], image[3])
    let channels = weight[1]
    for n in 0..<result[0] {
      for o in 0..<result[1] {
        let group = o / Swift.max(result[1] / groups, 1)
        for row in 0..<result[2] {
          for column in 0..<result[3] {
            let place = ((n * result[1] + o) * result[2] + row) * result[3] + column
            for c in 0..<channels {
              let plane = (n * image[1] + group * channels + c) * height
              let taps = (o * channels + c) * window.kernel.height
              window.forEachTap(row: row, column: column, height: height, width: width) { tap, y, x in
                body((plane + y) * width + x, (taps + tap.0) * window.kernel.width + tap.1, place)
              }
            }
          }
        }
      }
    }
  }

  static func convolution(
    _ x: ReferenceArray, _ weight: ReferenceArray, _ window: Window, groups: Int, _ output: TensorType
  ) throws -> ReferenceArray {
    let (x, w, shapes) = (try x.reals(), try weight.reals(), (x.shape, weight.shape))
    var y = [Double](repeating: 0, count: output.shape.elementCount)
    forEachProduct(window, groups: groups, image: shapes.0, weight: shapes.1, result: output.shape) {
      y[$2] += x[$0] * w[$1]
    }
    return ReferenceArray(output, y)
  }

  static func convolutionInputGradient(
    _ gradient: ReferenceArray, _ weight: ReferenceArray, _ window: Window, groups: Int, _ output: TensorType
  ) throws -> ReferenceArray {
    let (g, w, shapes) = (try gradient.reals(), try weight.reals(), (gradient.shape, weight.shape))
    var x = [Double](repeating: 0, count: output.shape.elementCount)
    forEachProduct(window, groups: groups, image: output.shape, weight: shapes.1, result: shapes.0) {
      x[$0] += g[$2] * w[$1]
    }
    return ReferenceArray(output, x)
  }

  static func convolutionWeightGradient(
    _ x: ReferenceArray, _ gradient: ReferenceArray, _ window: Window, groups: Int, _ output: TensorType
  ) throws -> ReferenceArray {
    let (x, g, shapes) = (try x.reals(), try gradient.reals(), (x.shape, gradient.shape))
    var w = [Double](repeating: 0, count: output.shape.elementCount)
    forEachProduct(window, groups: groups, image: shapes.0, weight: output.shape, result: shapes.1) {
      w[$1] += x[$0] * g[$2]
    }
    return ReferenceArray(output, w)
  }

  /// NumPy's `matmul`: a vector on the left is a row, on the right a column; the leading axes broadcast.
  static func matmul(_ a: ReferenceArray, _ b: ReferenceArray, _ output: TensorType) throws -> ReferenceArray {
    let left = a.type.rank == 1 ? a.shape.inserting(1, at: 0) : a.shape
    let right = b.type.rank == 1 ? b.shape.inserting(1, at: 1) : b.shape
    let (rows, depth, columns) = (left[left.rank - 2], left[left.rank - 1], right[right.rank - 1])
    let batch = Shape(output.shape.prefix(Swift.max(left.rank, right.rank) - 2))
    let firsts = zip(
      StridedPositions(batch, strides: batchStrides(left, batch)),
      StridedPositions(batch, strides: batchStrides(right, batch)))
    if case (.integer(let x), .integer(let y)) = (a.elements, b.elements) {
      return ReferenceArray(output, integers: products(x, y, firsts, rows, depth, columns, 0) { $0 &+ $1 &* $2 })
    }
    return ReferenceArray(
      output, products(try a.reals(), try b.reals(), firsts, rows, depth, columns, 0) { $0 + $1 * $2 })
  }

  private static func products<T>(
    _ x: [T], _ y: [T], _ firsts: some Sequence<(Int, Int)>, _ rows: Int, _ depth: Int, _ columns: Int, _ zero: T,
    _ multiplyAdd: (T, T, T) -> T
  ) -> [T] {
    var result: [T] = []
    for (i, j) in firsts {
      for row in 0..<rows {
        for column in 0..<columns {
          var sum = zero
          for k in 0..<depth { sum = multiplyAdd(sum, x[i + row * depth + k], y[j + k * columns + column]) }
          result.append(sum)
        }
      }
    }
    return result
  }

  /// Strides of a stack of matrices along the result's leading axes: 0 where it is stretched.
  private static func batchStrides(_ shape: Shape, _ batch: Shape) -> [Int] {
    let strides = shape.denseStrides
    let missing = batch.rank - (shape.rank - 2)
    return batch.indices.map { $0 < missing || shape[$0 - missing] == 1 ? 0 : strides[$0 - missing] }
  }
}

/// Pooling, for the reference engine.
enum ReferencePooling {
  /// Calls `body` with each result pixel's place and the places of its window's taps in the image, in row-major order.
  private static func forEachWindow(
    _ window: Window, image: Shape, result: Shape, _ body: (_ place: Int, _ taps: [Int]) -> Void
  ) {
    let (height, width) = (image[2], image[3])
    var place = 0
    for plane in 0..<image[0] * image[1] {
      for row in 0..<result[2] {
        for column in 0..<result[3] {
          var taps: [Int] = []
          window.forEachTap(row: row, column: column, height: height, width: width) { _, y, x in
            taps.append((plane * height + y) * width + x)
          }
          body(place, taps)
          place += 1
        }
      }
    }
  }

  /// Where each window's first largest element is; nil where a window lies in the padding altogether.
  private static func places(_ x: ReferenceArray, _ window: Window, _ result: Shape) -> [Int?] {
    var best: [Int?] = []
    forEachWindow(window, image: x.shape, result: result) { _, taps in
      best.append(
        taps.dropFirst().reduce(taps.first) { best, tap in
          best.map { x.isLarger(tap, than: $0) ? tap : $0 }
        })
    }
    return best
  }

  static func maxPool(_ x: ReferenceArray, _ window: Window, _ output: TensorType) -> ReferenceArray {
    x.picking(places(x, window, output.shape), fill: .double(-.infinity), as: output)
  }

  /// Each window's gradient, added to its largest element.
  static func maxPoolGradient(
    _ x: ReferenceArray, _ gradient: ReferenceArray, _ window: Window, _ output: TensorType
  ) throws -> ReferenceArray {
    let targets = places(x, window, gradient.shape)
    let inside = targets.indices.filter { targets[$0] != nil }
    let kept = gradient.picking(inside, as: gradient.type.with(shape: [Dim(inside.count)]))
    return try ReferenceReduction.sum(kept, into: targets.compactMap { $0 }, output)
  }

  /// `values` where each window of `x` has its largest element.
  static func maxPoolGather(
    _ x: ReferenceArray, _ values: ReferenceArray, _ window: Window, _ output: TensorType
  ) -> ReferenceArray {
    values.picking(places(x, window, output.shape), as: output)
  }

  /// What a window's sum is divided by: all its elements, or those that lie in the image.
  private static func divisor(_ window: Window, _ taps: [Int], countsPadding: Bool) -> Double {
    Double(countsPadding ? window.kernel.height * window.kernel.width : taps.count)
  }

  static func averagePool(
    _ x: ReferenceArray, _ window: Window, countsPadding: Bool, _ output: TensorType
  ) throws -> ReferenceArray {
    let values = try x.reals()
    var y = [Double](repeating: 0, count: output.shape.elementCount)
    forEachWindow(window, image: x.shape, result: output.shape) { place, taps in
      y[place] = taps.reduce(0) { $0 + values[$1] } / divisor(window, taps, countsPadding: countsPadding)
    }
    return ReferenceArray(output, y)
  }

  static func averagePoolGradient(
    _ gradient: ReferenceArray, _ window: Window, countsPadding: Bool, _ output: TensorType
  ) throws -> ReferenceArray {
    let g = try gradient.reals()
    var dx = [Double](repeating: 0, count: output.shape.elementCount)
    forEachWindow(window, image: output.shape, result: gradient.shape) { place, taps in
      let share = g[place] / divisor(window, taps, countsPadding: countsPadding)
      for tap in taps { dx[tap] += share }
    }
    return ReferenceArray(output, dx)
  }
}
