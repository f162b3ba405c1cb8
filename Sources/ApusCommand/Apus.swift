import Apus
import ArgumentParser

#if canImport(Glibc)
  import Glibc
#endif

/// The program `apus`.
@main
struct ApusCommand: AsyncParsableCommand {
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

  static func main() async {
    do {
      var command = try parseAsRoot()
      if var command = command as? any AsyncParsableCommand {
        try await command.run()
      } else {
        try command.run()
      }
    } catch let error as ApusError {
      Console.error("apus: \(error)")
      Glibc.exit(1)
    } catch {
      exit(withError: error)
    }
  }
}

/// Output: results on standard output, everything else on standard error.
enum Console {
  static func error(_ text: String) {
    let line = text + "\n"
    _ = line.withCString { write(2, $0, strlen($0)) }
  }

  /// A line on standard output at once: the progress that follows is not buffered either.
  static func show(_ text: String) {
    print(text)
    fflush(nil)
  }

  /// One JSON object on a line.
  static func json(_ fields: [(String, JSON)]) { print(JSON.object(fields).text) }
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
      case let c where c.value < 0x20:
        let hex = String(c.value, radix: 16)
        out += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
      default: out.unicodeScalars.append(scalar)
      }
    }
    return out + "\""
  }
}
