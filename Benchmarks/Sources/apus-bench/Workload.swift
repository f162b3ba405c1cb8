import Apus

/// Something to time: `prepare` makes its inputs and returns the call.
struct Workload {
  typealias Call = () throws -> Void

  let name: String
  let prepare: () throws -> Call

  init(_ name: String, prepare: @escaping () throws -> Call) {
    self.name = name
    self.prepare = prepare
  }

  static let all: [Workload] = dispatch + tensors + convolutions + models
}
