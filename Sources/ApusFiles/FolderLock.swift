import ApusCore

#if canImport(Glibc)
  import Glibc
#endif

/// Says that this process writes a folder, until it is released; a second writer is told who that is.
///
/// A file beside the folder, `.name.lock`, holds the words, and a lock of the system's (`flock`) on it decides: that goes
/// with the process, so that nothing has to be cleared after one that was killed. A file system without such locks is
/// written without one.
package final class FolderLock: Sendable {
  /// What is locked, however it is written.
  package struct Key: Hashable, Sendable {
    let folder: Entry.Identity?
    let name: ExactName
  }
  package let key: Key
  private let folder: Folder
  private let name: String
  private let descriptor: Int32

  private static let mark = "Apus: "
  private static let tries = 100

  /// Locks the folder at a path, which need not be there; its parent must.
  /// - Throws: `ApusError` (file) when another holds it, naming that, or its file can't be made.
  package convenience init(_ path: String) throws {
    let place = try Place(path, followsLink: true)
    try self.init(".\(place.name).lock", in: place.folder, for: path)
  }

  /// Locks a folder by a file within it.
  /// - Throws: as ``init(_:)``.
  package convenience init(within path: String) throws {
    try self.init(".lock", in: Folder(path, "can't write \(path)"), for: path)
  }

  private init(_ name: String, in folder: Folder, for path: String) throws {
    (self.folder, self.name) = (folder, name)
    key = Key(folder: folder.entry?.identity, name: ExactName(name))
    descriptor = try Self.take(name, in: folder, for: path)
  }

  deinit {
    // While it is held: whoever opened the file already sees that it is gone.
    if Self.isInPlace(descriptor, name, folder) { folder.removeFile(name) }
    close(descriptor)
  }

  /// What the lock of a path would be known by.
  package static func key(_ path: String) throws -> Key {
    let place = try Place(path, followsLink: true)
    return Key(folder: place.folder.entry?.identity, name: ExactName(".\(place.name).lock"))
  }

  private static func take(_ name: String, in folder: Folder, for path: String) throws -> Int32 {
    // Each time the one who had it let it go in between.
    for _ in 0..<tries {
      var descriptor = folder.open(name, O_RDWR | O_CREAT | O_NONBLOCK, 0o666)
      // Another user's, which can be locked and, left over, replaced.
      let isForeign = descriptor < 0 && errno == EACCES
      if isForeign { descriptor = folder.open(name, O_RDONLY | O_NONBLOCK) }
      guard descriptor >= 0 else { throw ApusError.file("can't write \(path): its lock file \(name)", errno) }
      var isTaken = false
      defer { if !isTaken { close(descriptor) } }
      guard let entry = entry(descriptor), entry.isFile, entry.links <= 1 else {
        throw ApusError(.file, "\(folder.path)/\(name) is not the lock file of \(path): remove it")
      }
      if flock(descriptor, LOCK_EX | LOCK_NB) != 0, errno == EWOULDBLOCK || errno == EINTR {
        if errno == EINTR { continue }
        let holder = words(descriptor).dropping(exactPrefix: mark) ?? "another process"
        throw ApusError(
          .file, "\(path) is in use by \(holder): wait for its end, or write to another folder")
      }
      guard isInPlace(descriptor, name, folder) else { continue }
      let words = words(descriptor)
      guard words.isEmpty || words.hasExact(prefix: mark) else {
        throw ApusError(.file, "\(folder.path)/\(name) is not the lock file of \(path): remove it")
      }
      if isForeign {
        let code = folder.removeFile(name)
        guard code == 0 else { throw ApusError.file("can't write \(folder.path)/\(name)", code) }
        continue
      }
      isTaken = true
      let own = Array("\(mark)\(holder())\n".utf8)
      // A full disk leaves a lock without words.
      if ftruncate(descriptor, 0) == 0 { _ = own.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, $0.count, 0) } }
      return descriptor
    }
    throw ApusError(.file, "\(path) is in use: its lock was taken and released \(tries) times meanwhile")
  }

  private static func isInPlace(_ descriptor: Int32, _ name: String, _ folder: Folder) -> Bool {
    guard let here = entry(descriptor), let there = folder.entry(name) else { return false }
    return here.identity == there.identity
  }

  private static func entry(_ descriptor: Int32) -> Entry? {
    var status = stat()
    return fstat(descriptor, &status) == 0 ? Entry(status) : nil
  }

  /// The file's line; another's words may not steer a terminal.
  private static func words(_ descriptor: Int32) -> String {
    let bytes = [UInt8](unsafeUninitializedCapacity: 300) { buffer, count in
      count = max(pread(descriptor, buffer.baseAddress, 300, 0), 0)
    }
    let line = String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
    return line.unicodeScalars.map { $0.properties.generalCategory == .control ? "?" : String($0) }.joined()
  }

  /// "process 17 on machine since 2026-01-31 12:00:00 UTC".
  private static func holder() -> String {
    let host = withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer -> String in
      guard let start = buffer.baseAddress, gethostname(start, 255) == 0 else { return "this machine" }
      buffer[255] = 0
      return String(cString: start)
    }
    var (now, parts) = (time(nil), tm())
    gmtime_r(&now, &parts)
    func two(_ number: Int32) -> String { (number < 10 ? "0" : "") + "\(number)" }
    let day = "\(parts.tm_year + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))"
    return
      "process \(getpid()) on \(host) since \(day) \(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec)) UTC"
  }
}
