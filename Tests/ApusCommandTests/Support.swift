import Foundation

/// What a run of the program `apus` left behind.
struct Run {
  let code: Int32
  let output: String
  let errors: String

  /// The one line of `--json`.
  var json: [String: Any] {
    get throws { try JSONSerialization.jsonObject(with: Data(output.utf8)) as? [String: Any] ?? [:] }
  }
}

/// The program beside the tests' own, not yet started, in a folder, its output to a file if one is named.
func process(_ arguments: [String], in folder: String, outputTo sink: String? = nil) throws -> Process {
  let process = Process()
  let own = URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent()
  process.executableURL = own.appending(path: "apus")
  process.arguments = arguments
  process.currentDirectoryURL = URL(filePath: folder)
  // Files, not pipes: nobody has to empty them meanwhile.
  let (output, errors) = (sink ?? "\(folder)/.stdout", "\(folder)/.stderr")
  if sink == nil { try Data().write(to: URL(filePath: output)) }
  try Data().write(to: URL(filePath: errors))
  process.standardOutput = FileHandle(forWritingAtPath: output)
  process.standardError = FileHandle(forWritingAtPath: errors)
  process.standardInput = FileHandle.nullDevice
  return process
}

/// Runs the program to its end.
func apus(_ arguments: [String], in folder: String, outputTo sink: String? = nil) throws -> Run {
  let process = try process(arguments, in: folder, outputTo: sink)
  try process.run()
  process.waitUntilExit()
  func text(_ name: String) throws -> String {
    String(decoding: try Data(contentsOf: URL(filePath: "\(folder)/\(name)")), as: UTF8.self)
  }
  return Run(
    code: process.terminationReason == .exit ? process.terminationStatus : -process.terminationStatus,
    output: sink == nil ? try text(".stdout") : "", errors: try text(".stderr"))
}
