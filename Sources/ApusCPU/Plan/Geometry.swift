import ApusCore
import CKernels

/// Sizes and distances of a strided region as the kernels take them, with dimensions of size 1 dropped.
struct Geometry: Sendable {
  private var sizes: [Int64] = []
  private var strides: [Int64] = []

  init(_ shape: Shape, _ distances: Strides) {
    for i in 0..<shape.rank where shape[i] != 1 {
      sizes.append(Int64(shape[i]))
      strides.append(Int64(distances[i]))
    }
  }

  /// Copies the strided region at `source` to contiguous memory.
  func gather(_ elementBytes: Int, from source: UnsafeRawPointer, to target: UnsafeMutableRawPointer) {
    // The only failure is a rank above 32.
    _ = ck_copy_strided(Int64(elementBytes), Int64(sizes.count), sizes, source, strides, target)
  }

  /// Copies contiguous memory to the strided region at `target`.
  func scatter(_ elementBytes: Int, from source: UnsafeRawPointer, to target: UnsafeMutableRawPointer) {
    _ = ck_scatter_strided(Int64(elementBytes), Int64(sizes.count), sizes, source, target, strides)
  }
}
