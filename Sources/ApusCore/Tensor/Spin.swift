#if canImport(Glibc)
  import Glibc
#endif

/// Waiting for something that is nearly always immediate.
enum Spin {
  static func pause() { sched_yield() }
}
