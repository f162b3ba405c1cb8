import ApusCore
import CApus

/// The modules whose calls this thread is in. Pushing and popping are on every call's way; names are found only for
/// errors, graphs and hooks.
enum ModuleCalls {
  @inline(__always)
  static func push(_ module: some Module) { apus_calls_push(Unmanaged.passUnretained(module).toOpaque()) }
  @inline(__always)
  static func pop() { apus_calls_pop() }

  @inline(__always)
  static var isOutermost: Bool { apus_calls_depth() == 1 }

  /// The calls' modules, outermost first. Each is alive: its call has not returned.
  fileprivate static var objects: [AnyObject] {
    (0..<apus_calls_depth()).compactMap { i in
      apus_calls_item(i).map { Unmanaged<AnyObject>.fromOpaque($0).takeUnretainedValue() }
    }
  }
  private static var stack: [any Module] { objects.compactMap { $0 as? any Module } }

  /// The innermost module's name inside the one that called it.
  static var innermostName: String {
    let stack = stack.suffix(2)
    guard let child = stack.last else { return "" }
    guard stack.count == 2, let parent = stack.first else { return typeName(child) }
    return name(of: child, in: parent)
  }

  /// The innermost module for messages, with its path from the outermost one: `features.0 (Conv2D)`.
  static var describedPath: String { describedPath(stack) }

  fileprivate static func describedPath(_ stack: [any Module]) -> String {
    guard let innermost = stack.last else { return "" }
    let path = zip(stack, stack.dropFirst()).map { name(of: $1, in: $0) }.joined(separator: ".")
    return path.isEmpty ? typeName(innermost) : "\(path) (\(typeName(innermost)))"
  }

  /// Names are found once a trace: a search at every call would make the capture of a large model quadratic.
  private static func name(of child: any Module, in parent: any Module) -> String {
    let names = TraceNotes.once(for: parent) {
      Dictionary(
        parent.namedModules().map { (ObjectIdentifier($0.module), $0.name) }, uniquingKeysWith: { first, _ in first })
    }
    return names[ObjectIdentifier(child)] ?? typeName(child)
  }

  /// Tells the trace that is going on what the outermost module calls its variables.
  static func nameVariables(of module: some Module) {
    TraceNotes.nameVariables(by: module) {
      module.namedParameters().map { ($0.name, $0.parameter) } + module.namedBuffers().map { ($0.name, $0.buffer) }
    }
  }

  static func typeName(_ module: any Module) -> String { "\(type(of: module))" }
}

extension ApusError {
  /// A size that does not fit the layer being called.
  static func layer(
    _ kind: Kind = .shape, expected: String, got: Tensor
  ) -> ApusError {
    ApusError(kind, "\(ModuleCalls.describedPath) expects \(expected), got \(got.type)")
  }
}

/// The modules that a thread was in when something failed, named when somebody asks: a walk over a large model takes
/// longer than most operations.
private final class FailedCalls: ModuleCallDescription, @unchecked Sendable {
  private struct Call {
    weak var module: AnyObject?
  }
  private let calls: [Call]
  private let innermost: AnyClass
  private let kept: [AnyObject]

  init?(_ objects: [AnyObject]) {
    guard let last = objects.last else { return nil }
    calls = objects.map { Call(module: $0) }
    innermost = type(of: last)
    kept = []
  }

  private init(holding other: FailedCalls) {
    calls = other.calls
    innermost = other.innermost
    kept = calls.compactMap(\.module)
  }

  var held: any ModuleCallDescription { kept.isEmpty ? FailedCalls(holding: self) : self }

  var text: String? {
    let modules = calls.compactMap { $0.module as? any Module }
    // Of a model that is gone, the layer's type is still known.
    return modules.count == calls.count ? ModuleCalls.describedPath(modules) : "\(innermost)"
  }
}

/// What Core asks for where this target is linked in.
@_cdecl("apus_describe_calls")
func describeCalls() -> UnsafeMutableRawPointer? {
  FailedCalls(ModuleCalls.objects).map { Unmanaged.passRetained($0 as AnyObject).toOpaque() }
}
