import ApusCore
import CApus
import CBLAS
import CKernels
import COneDNN
import Synchronization

/// The embedded engine: vector kernels, oneDNN and OpenBLAS on the host's processors.
///
/// Eager operations run as plans of one primitive, cached by the operands' types and layouts; element-wise ones on plain
/// operands go straight to their kernel. Graphs become plans of fused, ordered steps over one arena.
public final class CPUEngine: Engine {
  /// The engine of this process; `Engines.embedded` is the same one where this target is linked in.
  public static let shared = CPUEngine()

  /// `cpu`.
  public let name = "cpu"
  /// The host alone.
  public let devices = [Device.cpu]
  private let plans = PlanCache()

  private init() {}

  /// Instruction set, threads and libraries: `avx512 kernels, 2 threads, oneDNN 2.6.3, OpenBLAS 0.3.21`. Loads them.
  public var summary: String {
    let threads = ck_threads()
    let version = apus_dnn_version()
    let oneDNN =
      version == 0
      ? "no oneDNN (\(String(cString: apus_dnn_error())))"
      : "oneDNN \(version / 10000).\(version / 100 % 100).\(version % 100)"
    let blas = apus_blas_version().map { String(cString: $0).split(separator: " ").prefix(2).joined(separator: " ") }
    return [
      "\(String(cString: ck_cpu_level())) kernels", "\(threads) thread\(threads == 1 ? "" : "s")", oneDNN,
      blas ?? (apus_blas_is_available() ? "a BLAS" : "no OpenBLAS"),
    ].joined(separator: ", ")
  }

  public func execute(_ primitive: Primitive, _ inputs: [Storage], outputs: [TensorType]) throws -> [Storage] {
    switch primitive {
    case .full(let d): if let result = try filled(d.value, outputs[0]) { return [result] }
    case .custom(let custom): return try custom.evaluate(inputs.map { Tensor(storage: $0) }).map(\.storage)
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

  public func compile(_ graph: Graph, options: CompileOptions) throws -> any Executable {
    _ = try device(options, for: graph.name)
    return try CPUExecutable(graph, options: options)
  }
}

/// What Core asks for where this target is linked in.
@_cdecl("apus_embedded_engine")
func makeEmbeddedEngine() -> UnsafeMutableRawPointer {
  Unmanaged.passRetained(CPUEngine.shared as AnyObject).toOpaque()
}
