import ApusCore
import Synchronization

/// Plans of single primitives, for eager execution.
final class PlanCache: Sendable {
  /// How an operand lies: what a plan depends on.
  private struct Operand: Hashable {
    let type: TensorType
    /// nil: contiguous.
    let strides: [Int]?
    let layout: Layout?

    init(_ storage: Storage) {
      type = storage.type
      layout = (storage.opaque as? BlockedBuffer)?.layout
      if storage.isContiguous || layout != nil {
        strides = nil
      } else {
        let distances = storage.strides
        strides = (0..<storage.shape.rank).map { distances[$0] }
      }
    }
  }
  private struct Key: Hashable {
    let primitive: Primitive
    let operands: [Operand]
  }

  private static let capacity = 4096
  private let plans = Mutex<[Key: Plan]>([:])

  func plan(_ primitive: Primitive, _ inputs: [Storage], _ outputs: [TensorType]) throws -> Plan {
    let key = Key(primitive: primitive, operands: inputs.map(Operand.init))
    if let plan = plans.withLock({ $0[key] }) { return plan }
    let plan = try Planner.plan(primitive, inputs, outputs)
    plans.withLock { plans in
      // Shapes that never come again must not pile up.
      if plans.count >= Self.capacity { plans.removeAll() }
      plans[key] = plan
    }
    return plan
  }
}
