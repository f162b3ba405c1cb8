import CApus
import Synchronization

/// What holds for the operations of a thread inside a `with…` closure: the trace, the error recorder, gradient mode.
///
/// It is found through a C thread-local; outside every such closure it is nil and costs one load an operation.
/// Closures that set it are synchronous, so it can't leak into another task.
final class ExecutionContext {
  var trace: Trace?
  var recorder: ErrorRecorder?
  /// The innermost call of the user's that told its place in the source.
  var place: CallPlace?
  var gradientEnabled = true
  /// How many `gradient(at:)` and tapes are open: inside one, derivatives are themselves recorded.
  var gradientLevel = 0
  /// Values that are read in place of variables' own.
  var overlay: VariableOverlay?
  var engine: (any Engine)?
  var detectsAnomalies = false

  init(copying other: ExecutionContext?) {
    guard let other else { return }
    trace = other.trace
    recorder = other.recorder
    place = other.place
    gradientEnabled = other.gradientEnabled
    gradientLevel = other.gradientLevel
    overlay = other.overlay
    engine = other.engine
    detectsAnomalies = other.detectsAnomalies
  }

  @inline(__always)
  static var isDefault: Bool { apus_context_get() == nil }

  /// Whether operations on concrete tensors run at once on the embedded engine, unwatched: outside every context, or in
  /// one that sets no more than gradient modes (as `backward` does).
  @inline(__always)
  static var isEager: Bool {
    if apus_engine_may_be_chosen(), EngineChoice.current != nil { return false }
    guard let raw = apus_context_get() else { return true }
    return Unmanaged<ExecutionContext>.fromOpaque(raw)._withUnsafeGuaranteedRef { $0.isUnwatched }
  }
  private var isUnwatched = false

  static var current: ExecutionContext? {
    guard let raw = apus_context_get() else { return nil }
    return Unmanaged<ExecutionContext>.fromOpaque(raw).takeUnretainedValue()
  }

  /// Runs `body` under a changed copy of the current context.
  static func with<R>(_ change: (ExecutionContext) -> Void, _ body: () throws -> R) rethrows -> R {
    let previous = apus_context_get()
    let context = ExecutionContext(copying: current)
    change(context)
    context.isUnwatched =
      context.trace == nil && context.recorder == nil && context.engine == nil && !context.detectsAnomalies
    apus_context_set(Unmanaged.passUnretained(context).toOpaque())
    defer { apus_context_set(previous) }
    return try withExtendedLifetime(context) { try body() }
  }

  /// Whether operations on tensors that require gradients are recorded.
  static var recordsGradients: Bool { current?.gradientEnabled ?? true }
}

/// The engine that a task or the process was given in place of the embedded one.
enum EngineChoice {
  @TaskLocal static var ofTask: (any Engine)?
  private static let process = Mutex<(any Engine)?>(nil)

  static var ofProcess: (any Engine)? {
    get { process.withLock { $0 } }
    set {
      if newValue != nil { apus_engine_was_chosen() }
      process.withLock { $0 = newValue }
    }
  }

  /// nil: the embedded engine.
  static var current: (any Engine)? {
    guard apus_engine_may_be_chosen() else { return nil }
    return ofTask ?? ofProcess
  }
}

/// Whether operations run at once on the embedded engine and nothing watches each of them: no trace, no `checked`
/// block, no anomaly mode.
package var operationsRunUnwatched: Bool { ExecutionContext.isEager }

/// Runs `body` without recording operations for `backward` (`torch.no_grad`).
///
/// ```swift
/// let accuracy = withoutGradients { (model(images).argMax(axis: -1) .== labels).mean() }
/// ```
public func withoutGradients<R>(_ body: () throws -> R) rethrows -> R {
  try ExecutionContext.with({ $0.gradientEnabled = false }, body)
}

/// Runs `body` checking every eager result: the first NaN or infinity that comes from finite operands is an error that
/// names the operation and its line (`torch.autograd.detect_anomaly`). Compiled functions run eagerly meanwhile. Slow;
/// for debugging.
public func detectingAnomalies<R>(_ body: () throws -> R) rethrows -> R {
  try ExecutionContext.with({ $0.detectsAnomalies = true }, body)
}
