import Foundation

/// A folder that goes away with the test.
public struct TemporaryFolder: ~Copyable {
  public let path: String

  public init() throws {
    path = NSTemporaryDirectory() + "apus-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }
  deinit { try? FileManager.default.removeItem(atPath: path) }

  public func file(_ name: String) -> String { "\(path)/\(name)" }
  public func names() throws -> [String] { try FileManager.default.contentsOfDirectory(atPath: path).sorted() }
}

/// A folder that goes away behind `body`.
public func withFolder<R>(_ body: (String) throws -> R) throws -> R {
  let folder = try TemporaryFolder()
  return try body(folder.path)
}
