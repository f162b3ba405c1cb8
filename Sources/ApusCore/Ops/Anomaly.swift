/// Anomaly mode's check of an eager result.
enum Anomaly {
  static func check(_ name: String, _ inputs: [Tensor], _ results: [Storage], _ types: [TensorType]) throws {
    for result in results where result.dtype.isFloatingPoint && !isFinite(result) {
      if inputs.allSatisfy({ !$0.dtype.isFloatingPoint || isFinite($0.storage) }) {
        throw ApusError(.argument, "made the first NaN or infinity, from finite operands").at(name, types)
      }
    }
  }

  private static func isFinite(_ storage: Storage) -> Bool {
    // The reading's own casts are not to be checked in turn.
    ExecutionContext.with({ $0.detectsAnomalies = false }) {
      Tensor(storage).toArray(of: Double.self).allSatisfy(\.isFinite)
    }
  }
}
