#if canImport(Glibc)
  import Glibc
#endif

/// Diagnostics on standard error: `APUS_LOG=debug` for traces and sizes that were fixed, `APUS_LOG=passes` for what each
/// pass changes, `APUS_LOG=debug,passes` for both.
enum Diagnostics {
  private static let topics = Set((environment("APUS_LOG") ?? "").split(separator: ",").map(String.init))
  private static let isOn = topics.contains("debug")
  static let showsPasses = topics.contains("passes")

  static func environment(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

  static func debug(_ message: @autoclosure () -> String) {
    if isOn { write(message()) }
  }

  static func write(_ message: String) {
    let line = "apus: \(message)\n"
    _ = line.withCString { Glibc.write(2, $0, strlen($0)) }
  }
}
