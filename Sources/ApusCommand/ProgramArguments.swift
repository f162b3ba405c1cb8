import ArgumentParser
import CApus

/// The command line as the system gave it: Swift's own list comes from `/proc`, which need not be there, and repairs what
/// is not UTF-8, so that a file would go elsewhere.
enum ProgramArguments {
  /// The program first, then its arguments.
  /// - Throws: `ValidationError` for one that is not UTF-8.
  static func read() throws -> [String] {
    let count = apus_argument_count()
    guard count >= 0 else { return CommandLine.arguments }
    return try (0..<count).map { index in
      guard let bytes = apus_argument(index) else { return "" }
      guard let text = String(validatingCString: bytes) else {
        throw ValidationError(
          "argument \(index), \"\(escaped(bytes))\", is not UTF-8: rename the file, or reach it by a link with another name"
        )
      }
      return text
    }
  }

  /// How the program was called.
  static var program: String { (try? read().first) ?? "apus" }

  private static func escaped(_ bytes: UnsafePointer<CChar>) -> String {
    var text = ""
    var next = bytes
    while next.pointee != 0 {
      let byte = UInt8(bitPattern: next.pointee)
      text +=
        (0x20..<0x7F).contains(byte)
        ? String(UnicodeScalar(byte)) : "\\x" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
      next += 1
    }
    return text
  }
}
