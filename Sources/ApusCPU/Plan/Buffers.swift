import ApusCore

/// What a ``PlanBuilder`` knows of values and memory.
extension PlanBuilder {
  enum Home {
    case temporary
    case input(Int)
    case constant(Constant)
    case output(Int)
  }

  struct Value {
    var type: TensorType
    var forms: [Form] = []
    /// Units yet to come that read it, and one more for being an output.
    var remaining = 0
    var isOutput = false
  }

  struct Buffer {
    var home: Home
    var bytes: Int
    var values: [Int] = []
    var first = Int.max
    var last = -1
    var isOverwritten = false
  }

  struct SlotKey: Hashable {
    let buffer: Int
    let offset: Int
  }
}
