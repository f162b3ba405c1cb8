import ApusCore
import Synchronization

/// Constants in the layouts that kernels want: made once for each, shared by the plans of all sizes.
final class PackedConstants: Sendable {
  /// Where a constant lies, and what was made of it.
  struct Key: Hashable {
    let source: UInt
    let strides: [Int]
    let shape: Shape
    let from: Layout?
    let to: Layout?

    /// - Parameters:
    ///   - address: of the constant's first element, which whoever holds this keeps alive.
    ///   - to: nil: row-major.
    init(_ address: UnsafeMutableRawPointer, _ form: Form, _ shape: Shape, from: Layout?, to: Layout?) {
      source = UInt(bitPattern: address)
      strides = (0..<shape.rank).map { form.strides[$0] }
      self.shape = shape
      self.from = from
      self.to = to
    }
  }

  private let made = Mutex<[Key: Constant]>([:])

  /// How many there are.
  var count: Int { made.withLock { $0.count } }

  func constant(_ key: Key, _ make: () throws -> Constant) throws -> Constant {
    if let known = made.withLock({ $0[key] }) { return known }
    // Not under the lock: making it may wait for the team.
    let new = try make()
    return made.withLock { made in
      if let known = made[key] { return known }
      made[key] = new
      return new
    }
  }
}
