import ApusCore
import CApus

#if canImport(Glibc)
  import Glibc
#endif

/// Files and directories that appear whole or not at all.
package enum AtomicReplacement {
  /// Writes a file under a temporary name beside `path` and renames it when its bytes are on the disk. After an error,
  /// or a process killed half-way, what was at `path` before is still there.
  package static func file(_ path: String, _ body: (OutputFile) throws -> Void) throws {
    let temporary = temporaryName(for: path)
    let file = try OutputFile(creating: temporary, for: path)
    do {
      try body(file)
      try file.finish()
      guard rename(temporary, path) == 0 else { throw ApusError.file("can't write \(path)", errno) }
    } catch {
      unlink(temporary)
      throw error
    }
    syncDirectory(split(path).folder)
  }

  /// Writes the bytes of a file, as ``file(_:_:)``.
  package static func file(_ path: String, _ bytes: [UInt8]) throws { try file(path) { try $0.write(bytes) } }

  /// Fills a directory beside `path` and swaps it with the one at `path` when all of it is on the disk.
  ///
  /// A process killed at any moment leaves either the old or the new directory at `path`. Where the file system can't
  /// swap, there is a moment without one; the old is then found at ``previous(_:)``. Only one process may write a path.
  /// - Parameters:
  ///   - path: where nothing is, an empty directory, or one that holds nothing but `names`.
  ///   - names: of the files that `body` makes: nothing else is ever replaced or deleted.
  ///   - body: makes the files in the folder that it is given.
  /// - Throws: `ApusError` (file), as ``checkDirectory(_:holds:)``, before anything is touched, or when it can't be
  ///   written, and what `body` throws. What was at `path` is still there then.
  package static func directory(_ path: String, holding names: [String], _ body: (_ folder: String) throws -> Void)
    throws
  {
    let path = try checkDirectory(path, holds: names)
    let (folder, name) = split(path)
    removeLeftovers(of: name, in: folder, names)
    let fresh = temporaryName(for: path)
    guard mkdir(fresh, 0o777) == 0 else { throw ApusError.file("can't write \(path)", errno) }
    do {
      try body(fresh)
      syncDirectory(fresh)
      try put(fresh, at: path, names)
    } catch {
      remove(fresh, names)
      throw error
    }
    syncDirectory(folder)
    // After a swap this is the old directory.
    remove(fresh, names)
    remove(previous(path), names)
  }

  /// The path that ``directory(_:holding:_:)`` would replace: a link is followed.
  /// - Throws: `ApusError` (file) when something else than a directory with such files only is there.
  @discardableResult
  package static func checkDirectory(_ path: String, holds names: [String]) throws -> String {
    let wanted = "a folder that is new, empty, or holds nothing but \(names.joined(separator: ", ")) fits"
    var status = stat()
    guard lstat(path, &status) == 0 else {
      if errno == ENOENT { return path }
      throw ApusError.file("can't write \(path)", errno)
    }
    var path = path
    if status.st_mode & S_IFMT == S_IFLNK {
      guard let target = realpath(path, nil) else {
        throw ApusError.file("can't write \(path), a link that leads nowhere", errno)
      }
      path = String(cString: target)
      free(target)
      guard lstat(path, &status) == 0 else { throw ApusError.file("can't write \(path)", errno) }
    }
    guard status.st_mode & S_IFMT == S_IFDIR else {
      throw ApusError(.file, "\(path) is no folder, and is not replaced: \(wanted)")
    }
    guard let present = entries(path) else { throw ApusError.file("can't list \(path)", errno) }
    for entry in present {
      guard names.contains(entry), lstat("\(path)/\(entry)", &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
        throw ApusError(.file, "\(path) holds \(entry), and is not replaced: \(wanted)")
      }
    }
    return path
  }

  /// Where a directory's former state may be found when a process was killed while it was being replaced.
  package static func previous(_ path: String) -> String {
    let (folder, name) = split(path)
    return "\(folder)/.\(name).previous"
  }

  private static func put(_ fresh: String, at path: String, _ names: [String]) throws {
    if rename(fresh, path) == 0 { return }
    // There is a directory with files in it: the two change places.
    let code = apus_exchange_paths(fresh, path)
    if code == 0 { return }
    guard code == EINVAL || code == ENOSYS || code == ENOTSUP else {
      throw ApusError.file("can't replace \(path)", code)
    }
    let previous = previous(path)
    remove(previous, names)
    guard rename(path, previous) == 0 else { throw ApusError.file("can't replace \(path)", errno) }
    guard rename(fresh, path) == 0 else {
      let code = errno
      rename(previous, path)
      throw ApusError.file("can't replace \(path)", code)
    }
  }

  /// A name beside `path` that nothing left over has: a killed process's number may come again, in containers at once.
  private static func temporaryName(for path: String) -> String {
    let (folder, name) = split(path)
    let digits = String(UInt64.random(in: .min ... .max), radix: 16)
    return "\(folder)/.\(name).\(String(repeating: "0", count: 16 - digits.count))\(digits).partial"
  }

  /// Deletes what killed processes left of their temporary directories; failing is no harm.
  private static func removeLeftovers(of name: String, in folder: String, _ names: [String]) {
    for entry in entries(folder) ?? [] where entry.hasPrefix(".\(name).") && entry.hasSuffix(".partial") {
      let middle = entry.dropFirst(name.count + 2).dropLast(".partial".count)
      if middle.count == 16, middle.allSatisfy(\.isHexDigit) { remove("\(folder)/\(entry)", names) }
    }
  }

  /// Deletes a directory's files of those names, half-written ones too, and the directory unless others are in it.
  private static func remove(_ path: String, _ names: [String]) {
    for entry in entries(path) ?? [] {
      let isPartial = entry.hasSuffix(".partial") && names.contains { entry.hasPrefix(".\($0).") }
      if isPartial || names.contains(entry) { unlink("\(path)/\(entry)") }
    }
    rmdir(path)
  }

  /// The names in a directory; nil, with `errno` set, when it can't be read.
  private static func entries(_ path: String) -> [String]? {
    guard let directory = opendir(path) else { return nil }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != "." && name != ".." { names.append(name) }
    }
    return names.sorted()
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
