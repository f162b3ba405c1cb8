import ApusCore

/// A random matrix with orthonormal rows or columns.
enum Orthogonal {
  static func sample(_ shape: Shape, gain: Double, dtype: DType, generator: Generator) -> Tensor {
    guard shape.rank >= 2 else {
      return .failure(
        ApusError(.shape, "an orthogonal weight has two or more dimensions, not the shape \(shape)"),
        as: TensorType(dtype, shape))
    }
    let rows = shape[0]
    let columns = shape.elementCount / max(rows, 1)
    let (length, count) = (max(rows, columns), min(rows, columns))
    let values = Tensor.normal(
      Shape([count, length]), mean: 0, standardDeviation: 1, dtype: .float64, generator: generator
    ).toArray(of: Double.self)
    // What could not be drawn has been reported.
    guard values.count == Sizes.product([count, length]) else { return Tensor.zeros(shape, dtype: dtype) }
    var vectors = (0..<count).map { Array(values[$0 * length..<($0 + 1) * length]) }
    orthonormalize(&vectors)
    // `vectors` are the rows of a wide matrix; of a tall one they are the columns.
    var flat = [Double](repeating: 0, count: rows * columns)
    for (i, vector) in vectors.enumerated() {
      for (j, value) in vector.enumerated() { flat[rows <= columns ? i * columns + j : j * columns + i] = gain * value }
    }
    return Tensor(flat, shape: shape, dtype: dtype)
  }

  /// Gram and Schmidt, twice for each vector: orthogonal to rounding, and the uniform distribution over such matrices
  /// that a QR decomposition with positive diagonal gives.
  private static func orthonormalize(_ vectors: inout [[Double]]) {
    for i in vectors.indices {
      for _ in 0..<2 {
        for j in 0..<i {
          let overlap = dot(vectors[i], vectors[j])
          for k in vectors[i].indices { vectors[i][k] -= overlap * vectors[j][k] }
        }
      }
      let norm = dot(vectors[i], vectors[i]).squareRoot()
      for k in vectors[i].indices { vectors[i][k] /= norm }
    }
  }

  private static func dot(_ a: [Double], _ b: [Double]) -> Double {
    var sum = 0.0
    for k in a.indices { sum += a[k] * b[k] }
    return sum
  }
}
