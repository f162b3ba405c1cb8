import CApus

#if canImport(Glibc)
  import Glibc
#endif

/// Waiting for a change that is nearly always immediate, and sometimes a long run of a compiled function.
enum Parking {
  /// Looks a few times, giving the processor away between, then sleeps until ``wake(_:)``.
  /// - Parameter waits: whether the change is still to come.
  static func wait(for object: AnyObject, while waits: () -> Bool) {
    for _ in 0..<32 {
      if !waits() { return }
      sched_yield()
    }
    withoutActuallyEscaping(waits) { waits in
      var question = waits
      withUnsafeMutablePointer(to: &question) { pointer in
        apus_park(
          Unmanaged.passUnretained(object).toOpaque(),
          { context in context.assumingMemoryBound(to: (() -> Bool).self).pointee() }, pointer)
      }
    }
  }

  /// Wakes all that wait for an object.
  static func wake(_ object: AnyObject) { apus_wake(Unmanaged.passUnretained(object).toOpaque()) }
}
