import Foundation

/// By how much a piece of work raises the process's resident memory at its highest, in bytes.
///
/// For exit tests, whose process does nothing else meanwhile. Memory that is only reserved does not count, as it takes
/// nothing from anybody.
public func peakMemoryGrowth(_ body: () throws -> Void) throws -> Int {
  func field(_ name: String) throws -> Int {
    let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
    let line = status.split(separator: "\n").first { $0.hasPrefix(name) } ?? ""
    return (line.split { !$0.isNumber }.first.flatMap { Int($0) } ?? 0) * 1024
  }
  // The peak so far is forgotten: making the input may have taken more.
  try "5".write(toFile: "/proc/self/clear_refs", atomically: false, encoding: .utf8)
  let before = try field("VmRSS:")
  try body()
  return try field("VmHWM:") - before
}
