import Apus
import ApusFiles
import ArgumentParser
import Dispatch

#if canImport(Glibc)
  import Glibc
#endif

/// The program `apus`.
@main
struct ApusCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "apus",
    abstract: "Trains, evaluates and runs models.",
    discussion: """
      Examples:
        apus train digits --output out/digits       train on the built-in 8×8 digits; model and pictures go to out/digits
        apus train mnist --data ~/mnist             train on MNIST's IDX files
        apus evaluate out/digits/model.safetensors digits
        apus predict out/digits/model.safetensors seven.png

      Exit codes: 0 done; 1 a file or a value was bad, the message says which; 2 a training run did not reach the accuracy asked for;
      64 the command line was wrong; 130 interrupted.
      """,
    version: "0.1.0",
    subcommands: [Train.self, Evaluate.self, Predict.self, Summary.self, Devices.self])

  static func main() {
    end {
      let arguments = try Array(ProgramArguments.read().dropFirst())
      var command = try parseAsRoot(arguments)
      // On this thread: the scheduler of tasks, which reads /proc, is not even started.
      guard command is any AsyncParsableCommand else { return try command.run() }
      guard InputFile.exists("/proc/self/task") else {
        throw ApusError(.unsupported, "this command needs /proc, which the scheduler of tasks reads")
      }
      Task.detached { await finish(arguments) }
      dispatchMain()
    }
  }

  /// Runs a command that waits, and ends the program. Commands can't be sent to another task: it is parsed in this one.
  private static func finish(_ arguments: [String]) async {
    let result: Result<Void, any Error>
    do {
      if var command = try parseAsRoot(arguments) as? any AsyncParsableCommand { try await command.run() }
      result = .success(())
    } catch {
      result = .failure(error)
    }
    end { try result.get() }
    Glibc.exit(0)
  }

  /// Runs the program's last part: an error in it is told and becomes the exit code.
  private static func end(_ body: () throws -> Void) {
    do {
      try body()
    } catch let error as ApusError {
      Console.error("apus: \(error)")
      Glibc.exit(1)
    } catch {
      exit(withError: error)
    }
  }
}

/// Output: results on standard output, everything else on standard error.
///
/// Nothing is buffered: a full disk is noticed at the line that no longer fits, and progress keeps its place.
enum Console {
  /// A message, which may quote a file: what would steer the terminal is escaped.
  static func error(_ text: String) {
    // There is nowhere to tell that this failed.
    _ = put(text.split(separator: "\n", omittingEmptySubsequences: false).map(plain).joined(separator: "\n"), to: 2)
  }

  /// A line on standard output.
  /// - Throws: `ApusError` (file) when it can't be written.
  static func show(_ text: String) throws {
    if let code = put(text, to: 1) {
      throw ApusError(.file, "can't write the results to standard output: \(String(cString: strerror(code)))")
    }
  }

  /// One JSON object on a line.
  /// - Throws: as ``show(_:)``.
  static func json(_ fields: [(String, JSON)]) throws { try show(JSON.object(fields).text) }

  /// Text from a file as a terminal may show it: control characters, and those that turn the direction of writing, become
  /// `\u{1B}`.
  static func plain(_ text: some StringProtocol) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
      switch scalar.properties.generalCategory {
      case .control, .format, .lineSeparator, .paragraphSeparator: result += scalar.escaped(asASCII: true)
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }

  /// The error's number, nil when all was written.
  private static func put(_ line: String, to descriptor: Int32) -> Int32? {
    var bytes = Array((line + "\n").utf8)[...]
    while !bytes.isEmpty {
      let count = bytes.span.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
      if count < 0 && errno == EINTR { continue }
      if count <= 0 { return count < 0 ? errno : EIO }
      bytes = bytes.dropFirst(count)
    }
    return nil
  }
}

/// As much JSON as the program prints.
indirect enum JSON {
  case string(String)
  case number(Double)
  case integer(Int)
  case bool(Bool)
  case null
  case array([JSON])
  case object([(String, JSON)])

  var text: String {
    switch self {
    case .string(let s): JSON.quoted(s)
    case .number(let d): d.isFinite ? "\(d)" : "null"
    case .integer(let i): "\(i)"
    case .bool(let b): "\(b)"
    case .null: "null"
    case .array(let items): "[" + items.map(\.text).joined(separator: ", ") + "]"
    case .object(let fields): "{" + fields.map { "\(JSON.quoted($0)): \($1.text)" }.joined(separator: ", ") + "}"
    }
  }

  private static func quoted(_ s: String) -> String {
    var out = "\""
    for scalar in s.unicodeScalars {
      switch scalar {
      case "\"": out += "\\\""
      case "\\": out += "\\\\"
      case "\n": out += "\\n"
      case "\t": out += "\\t"
      case "\r": out += "\\r"
      case let c where c.value < 0x20 || (0x7F..<0xA0).contains(c.value):
        let hex = String(c.value, radix: 16)
        out += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
      default: out.unicodeScalars.append(scalar)
      }
    }
    return out + "\""
  }
}
