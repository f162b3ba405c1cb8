import ApusCore
import CApus
import CKernels
import Synchronization

/// The embedded engine: vector kernels, oneDNN and OpenBLAS on the host's processors.
///
/// Eager operations run as plans of one primitive, cached by the operands' types and layouts; element-wise ones on plain
/// operands go straight to their kernel. Graphs become plans of fused, ordered steps over one arena.
public final class CPUEngine: Engine {
  /// The engine of this process; ``Engines/embedded`` is the same one where this target is linked in.
  public static let shared = CPUEngine()

  /// `cpu`.
  public let name = "cpu"
  /// The host alone.
  public let devices = [Device.cpu]
  private let plans = PlanCache()

  private init() {}

  public func execute(_ primitive: Primitive, _ inputs: [Storage], outputs: [TensorType]) throws -> [Storage] {
    switch primitive {
    case .full(let d): if let result = try filled(d.value, outputs[0]) { return [result] }
    case .custom(let custom): return try custom.evaluated(inputs)
    default: break
    }
    var operands = inputs
    let plan =
      Self.isRepeated(primitive)
      ? try plans.plan(primitive, inputs, outputs) : try Planner.plan(primitive, inputs, outputs)
    return try plan.run(&operands)
  }

  /// Whether the same attributes are likely to come again. Positions wander; plans for them would only crowd the cache.
  private static func isRepeated(_ primitive: Primitive) -> Bool {
    switch primitive {
    case .slice, .sliceUpdate, .iota, .full: false
    default: true
    }
  }

  /// One value repeated. Not planned: the values differ from call to call.
  private func filled(_ value: Scalar, _ type: TensorType) throws -> Storage? {
    guard let bits = value.bits(as: type.dtype), let bytes = type.dtype.elementBytes else { return nil }
    let result = try Storage(type)
    _ = withUnsafePointer(to: bits) { ck_fill(Int64(bytes), Int64(type.shape.elementCount), $0, result.plainAddress) }
    return result
  }

  public func compile(_ graph: Graph) throws -> any Executable { try CPUExecutable(graph) }
}

/// What Core asks for where this target is linked in.
@_cdecl("apus_embedded_engine")
func makeEmbeddedEngine() -> UnsafeMutableRawPointer {
  Unmanaged.passRetained(CPUEngine.shared as AnyObject).toOpaque()
}
