import ApusCore
import FoundationEssentials

/// Reading and writing whole files: bounded, and atomic.
enum FileBytes {
  /// The bytes of a regular file of at most `limit` bytes.
  /// - Throws: `ApusError` (file) that names the file.
  static func read(_ path: String, limit: Int) throws -> [UInt8] {
    let attributes: [FileAttributeKey: Any]
    do {
      attributes = try FileManager.default.attributesOfItem(atPath: resolved(path))
    } catch {
      throw ApusError(.file, "cannot read \(path): there is no such file, or it may not be read")
    }
    guard attributes[.type] as? FileAttributeType == .typeRegular else {
      throw ApusError(.file, "cannot read \(path): it is not a regular file")
    }
    let size = (attributes[.size] as? UInt64) ?? (attributes[.size] as? Int).map(UInt64.init(clamping:)) ?? 0
    guard size <= UInt64(limit) else {
      throw ApusError(.file, "\(path) has \(size) bytes; at most \(limit) are read")
    }
    do {
      return [UInt8](try Data(contentsOf: URL(filePath: path)))
    } catch {
      throw ApusError(.file, "cannot read \(path): \(error)")
    }
  }

  /// Writes a file under a temporary name and renames it.
  /// - Throws: `ApusError` (file) that names the file.
  static func write(_ bytes: [UInt8], to path: String) throws {
    do {
      try Data(bytes).write(to: URL(filePath: path), options: .atomic)
    } catch {
      throw ApusError(.file, "cannot write \(path): \(error)")
    }
  }

  static func exists(_ path: String) -> Bool { FileManager.default.fileExists(atPath: path) }

  /// Attributes are those of a link itself: follow it first.
  private static func resolved(_ path: String) -> String { URL(filePath: path).resolvingSymlinksInPath().path }
}
