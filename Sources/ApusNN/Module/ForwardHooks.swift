import ApusCore
import Synchronization

/// A function run after a module's forward pass, until ``remove()``.
public final class ForwardHook: Sendable {
  let module: (any Module)?
  let body: @Sendable (any Module, Any, Any) -> Void

  init(module: (any Module)?, body: @escaping @Sendable (any Module, Any, Any) -> Void) {
    self.module = module
    self.body = body
  }

  /// Ends the hook.
  public func remove() { ForwardHooks.remove(self) }
}

extension Module {
  /// Runs `body` after each forward pass of this module (`register_forward_hook`).
  ///
  /// ```swift
  /// let hook = model.conv.onForward { _, output in print(output.shape) }
  /// defer { hook.remove() }
  /// ```
  /// The hook keeps the module alive and is kept until ``ForwardHook/remove()``. In a compiled function it runs when
  /// the function is captured, on symbolic tensors.
  /// - Parameter body: is given the module's input and output.
  /// - Returns: the hook, by which it is removed.
  public func onForward(_ body: @escaping @Sendable (Input, Output) -> Void) -> ForwardHook {
    ForwardHooks.add(
      ForwardHook(module: self) { _, input, output in
        if let input = input as? Input, let output = output as? Output { body(input, output) }
      })
  }
}

/// The hooks of all modules. Without any a call pays one relaxed load.
enum ForwardHooks {
  private static let count = Atomic(0)
  private static let hooks = Mutex<[ForwardHook]>([])

  @inline(__always)
  static var areInUse: Bool { count.load(ordering: .relaxed) != 0 }

  static func add(_ hook: ForwardHook) -> ForwardHook {
    hooks.withLock {
      $0.append(hook)
      count.store($0.count, ordering: .relaxed)
    }
    return hook
  }

  static func remove(_ hook: ForwardHook) {
    hooks.withLock { hooks in
      hooks.removeAll { $0 === hook }
      count.store(hooks.count, ordering: .relaxed)
    }
  }

  static func run<M: Module>(_ module: M, _ input: M.Input) -> M.Output {
    let output =
      ModuleCalls.isOutermost
      ? module.forward(input) : withScope(ModuleCalls.innermostName) { module.forward(input) }
    for hook in hooks.withLock({ $0 }) where hook.module == nil || hook.module === module {
      hook.body(module, input, output)
    }
    return output
  }
}
