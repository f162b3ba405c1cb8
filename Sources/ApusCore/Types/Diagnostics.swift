#if canImport(Glibc)
  import Glibc
#endif

/// Diagnostics on standard error, on when the environment has `APUS_LOG=debug`.
enum Diagnostics {
  private static let isOn = getenv("APUS_LOG").map { String(cString: $0) == "debug" } ?? false

  static func debug(_ message: @autoclosure () -> String) {
    guard isOn else { return }
    let line = "apus: \(message())\n"
    _ = line.withCString { write(2, $0, strlen($0)) }
  }
}
