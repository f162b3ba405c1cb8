import ApusCore
import CApus
import Synchronization

#if canImport(Glibc)
  import Glibc
#endif

/// A file being written.
package final class OutputFile {
  private let path: String
  private var descriptor: Int32

  /// Creates a file that must not exist.
  fileprivate init(creating path: String) throws {
    self.path = path
    descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw ApusError.file("can't create \(path)", errno) }
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  package func write(_ bytes: RawSpan) throws {
    var done = 0
    while done < bytes.byteCount {
      let count = bytes.extracting(droppingFirst: done).withUnsafeBytes {
        Glibc.write(descriptor, $0.baseAddress, $0.count)
      }
      if count < 0 {
        if errno == EINTR { continue }
        throw ApusError.file("can't write \(path)", errno)
      }
      done += count
    }
  }

  package func write(_ bytes: [UInt8]) throws { try write(bytes.span.bytes) }

  /// Closes the file once its bytes are on the disk.
  fileprivate func finish() throws {
    guard fsync(descriptor) == 0 else { throw ApusError.file("can't write \(path)", errno) }
    let result = close(descriptor)
    descriptor = -1
    guard result == 0 else { throw ApusError.file("can't write \(path)", errno) }
  }
}

/// Files and directories that appear whole or not at all.
package enum AtomicReplacement {
  private static let counter = Atomic(0)

  /// Writes a file under a temporary name beside `path` and renames it when its bytes are on the disk. After an error,
  /// or a process killed half-way, what was at `path` before is still there.
  package static func file(_ path: String, _ body: (OutputFile) throws -> Void) throws {
    let (folder, name) = split(path)
    let temporary = "\(folder)/.\(name).\(getpid()).\(counter.add(1, ordering: .relaxed).newValue).partial"
    do {
      let file = try OutputFile(creating: temporary)
      try body(file)
      try file.finish()
      guard rename(temporary, path) == 0 else { throw ApusError.file("can't rename \(temporary) to \(path)", errno) }
    } catch {
      unlink(temporary)
      throw error
    }
    syncDirectory(folder)
  }

  /// Fills a directory beside `path` and swaps it with the one at `path` when all of it is on the disk.
  ///
  /// A process killed at any moment leaves either the old or the new directory at `path`. Where the file system can't
  /// swap, there is a moment without one; the old is then found at ``previous(_:)``. Only one process may write a path.
  package static func directory(_ path: String, _ body: (_ folder: String) throws -> Void) throws {
    let (folder, name) = split(path)
    let fresh = "\(folder)/.\(name).partial"
    remove(fresh)
    guard mkdir(fresh, 0o777) == 0 else { throw ApusError.file("can't create \(fresh)", errno) }
    do {
      try body(fresh)
      syncDirectory(fresh)
      try put(fresh, at: path)
    } catch {
      remove(fresh)
      throw error
    }
    syncDirectory(folder)
    // After a swap this is the old directory.
    remove(fresh)
    remove(previous(path))
  }

  /// Where a directory's former state may be found when a process was killed while it was being replaced.
  package static func previous(_ path: String) -> String {
    let (folder, name) = split(path)
    return "\(folder)/.\(name).previous"
  }

  private static func put(_ fresh: String, at path: String) throws {
    if rename(fresh, path) == 0 { return }
    // There is a directory with files in it: the two change places.
    let code = apus_exchange_paths(fresh, path)
    if code == 0 { return }
    guard code == EINVAL || code == ENOSYS || code == ENOTSUP else {
      throw ApusError.file("can't replace \(path)", code)
    }
    remove(previous(path))
    guard rename(path, previous(path)) == 0, rename(fresh, path) == 0 else {
      throw ApusError.file("can't replace \(path)", errno)
    }
  }

  /// Deletes a file, or a directory with the files in it.
  private static func remove(_ path: String) {
    if unlink(path) == 0 { return }
    guard let directory = opendir(path) else { return }
    while let entry = readdir(directory) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != "." && name != ".." { unlink("\(path)/\(name)") }
    }
    closedir(directory)
    rmdir(path)
  }

  private static func syncDirectory(_ path: String) {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return }
    fsync(descriptor)
    close(descriptor)
  }

  private static func split(_ path: String) -> (folder: String, name: String) {
    var path = path[...]
    while path.count > 1, path.hasSuffix("/") { path = path.dropLast() }
    guard let slash = path.lastIndex(of: "/") else { return (".", String(path)) }
    let folder = path[..<slash]
    return (folder.isEmpty ? "/" : String(folder), String(path[path.index(after: slash)...]))
  }
}
