import Runtime

/// Finds the user's line among addresses of the stack: the innermost frame outside this library. Slow: it reads debug
/// information.
enum UserFrame {
  private static let rooms = [
    "ApusCore", "ApusCPU", "ApusNN", "ApusData", "ApusFiles", "ApusTrain", "ApusFormats", "ApusWatch",
    "ApusConformance", "ApusCommand",
  ]
  /// Paths of inlined frames are relative to the package, others are not.
  private static let folders = rooms.map { "Sources/\($0)/" }

  /// Whether a `#fileID` is of this library.
  static func isOurs(fileID: String) -> Bool { rooms.contains { fileID.hasPrefix($0 + "/") } }

  static func location(of addresses: [UInt]) -> String? {
    guard !addresses.isEmpty,
      let stack = BacktraceArchive(returnAddresses: addresses).opened()?.symbolicated()
    else { return nil }
    for frame in stack.frames {
      guard let source = frame.symbol?.sourceLocation else { continue }
      if folders.contains(where: source.path.contains) || source.path.contains("<compiler")
        || source.path.contains("swift-generated-sources")
      {
        continue
      }
      let name = source.path.split(separator: "/").suffix(2).joined(separator: "/")
      if source.line > 0 { return "\(name):\(source.line)" }
    }
    return nil
  }
}
