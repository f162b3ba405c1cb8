import Apus

/// Something to time: `prepare` makes its inputs and returns the call.
struct Workload: Sendable {
  typealias Call = () throws -> Void

  let name: String
  let prepare: @Sendable () throws -> Call

  init(_ name: String, prepare: @escaping @Sendable () throws -> Call) {
    self.name = name
    self.prepare = prepare
  }

  static let all: [Workload] = dispatch + tensors + convolutions + models
}
