import ApusCore
import CApus

#if canImport(Glibc)
  import Glibc
#endif

/// An open folder. What is done through it is done in that folder, whatever its path leads to meanwhile, and no link that
/// lies in it is ever followed.
package final class Folder: Sendable {
  /// Where it was found, for messages.
  package let path: String
  private let descriptor: Int32

  /// Opens the folder at a path, links in which are followed.
  /// - Parameters:
  ///   - path: of the folder.
  ///   - purpose: what an error says can't be done: `can't open x`.
  /// - Throws: `ApusError` (file).
  package convenience init(_ path: String, _ purpose: String? = nil) throws {
    let purpose = purpose ?? "can't open \(path)"
    try FilePath.check(path)
    let descriptor = Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw ApusError.file(purpose, errno) }
    self.init(path: path, descriptor)
  }

  private init(path: String, _ descriptor: Int32) {
    self.path = path
    self.descriptor = descriptor
  }

  deinit { close(descriptor) }

  // MARK: What is in it

  /// The folder of a name in this one; nil, with `errno` set, when there is none: a link to one is none.
  func folder(_ name: String) -> Folder? {
    let found = openat(descriptor, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
    return found < 0 ? nil : Folder(path: "\(path)/\(name)", found)
  }

  /// Opens the regular file of a name in this folder for reading.
  /// - Throws: `ApusError` (file) when there is none: a link to one is none.
  package func file(_ name: String) throws -> InputFile {
    let path = "\(path)/\(name)"
    if entry(name)?.isLink == true { throw ApusError(.file, "\(path) is a symbolic link, and is not followed") }
    return try InputFile(openat(descriptor, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW), path)
  }

  /// Opens a file with more of `open`'s flags; negative, with `errno` set, when it can't.
  func open(_ name: String, _ flags: Int32, _ mode: mode_t = 0) -> Int32 {
    openat(descriptor, name, flags | O_CLOEXEC | O_NOFOLLOW, mode)
  }

  /// What is at a name, a link for itself; nil, with `errno` set, when nothing is.
  func entry(_ name: String) -> Entry? {
    var status = stat()
    return fstatat(descriptor, name, &status, AT_SYMLINK_NOFOLLOW) == 0 ? Entry(status) : nil
  }

  /// This folder itself.
  var entry: Entry? {
    var status = stat()
    return fstat(descriptor, &status) == 0 ? Entry(status) : nil
  }

  /// Whether the path leads to this very folder still.
  package var isInPlace: Bool {
    var status = stat()
    guard stat(path, &status) == 0, let entry else { return false }
    return Entry(status).identity == entry.identity
  }

  /// The names in it but for itself and its parent; nil, with `errno` set, when they can't be read. What is no text keeps
  /// replacement characters.
  func names() -> [String]? {
    // A description of its own: a duplicate's place in the list would be shared.
    let copy = openat(descriptor, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard copy >= 0, let directory = fdopendir(copy) else {
      if copy >= 0 { close(copy) }
      return nil
    }
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

  // MARK: Changing it. 0, or the error's number

  func makeFolder(_ name: String, mode: mode_t) -> Int32 { mkdirat(descriptor, name, mode) == 0 ? 0 : errno }
  func rename(_ name: String, to new: String) -> Int32 {
    renameat(descriptor, name, descriptor, new) == 0 ? 0 : errno
  }
  func exchange(_ a: String, _ b: String) -> Int32 { apus_exchange(descriptor, a, b) }
  @discardableResult func removeFile(_ name: String) -> Int32 { unlinkat(descriptor, name, 0) == 0 ? 0 : errno }
  @discardableResult func removeFolder(_ name: String) -> Int32 {
    unlinkat(descriptor, name, AT_REMOVEDIR) == 0 ? 0 : errno
  }
  /// Whether this process may write the file of a name.
  func isWritable(_ name: String) -> Int32 {
    faccessat(descriptor, name, W_OK, AT_EACCESS) == 0 ? 0 : errno
  }
  /// Waits until what was done in it is on the disk, where the file system can tell.
  func sync() { fsync(descriptor) }

  /// Gives it another folder's owner and rights.
  func takeRights(of other: Folder) throws {
    guard let entry = other.entry else { throw ApusError.file("can't look at \(other.path)", errno) }
    try Rights.give(entry, accessListOf: other.descriptor, to: descriptor, for: path)
  }
}

/// What lies at a name.
struct Entry {
  /// Tells two files apart.
  struct Identity: Hashable, Sendable {
    var device: UInt
    var number: UInt
  }
  let identity: Identity
  let mode: mode_t
  let owner: uid_t
  let group: gid_t
  let links: Int

  init(_ status: stat) {
    identity = Identity(device: UInt(status.st_dev), number: UInt(status.st_ino))
    mode = status.st_mode
    owner = status.st_uid
    group = status.st_gid
    links = Int(status.st_nlink)
  }

  private var kind: mode_t { mode & S_IFMT }
  var isFile: Bool { kind == S_IFREG }
  var isFolder: Bool { kind == S_IFDIR }
  var isLink: Bool { kind == S_IFLNK }

  /// For messages: "a FIFO".
  var description: String {
    switch kind {
    case S_IFREG: "a file"
    case S_IFDIR: "a directory"
    case S_IFLNK: "a symbolic link"
    case S_IFIFO: "a FIFO"
    case S_IFSOCK: "a socket"
    default: "a device"
    }
  }
}

/// Owner and access rights of what replaces something.
enum Rights {
  /// Gives an open file or folder the owner, mode and access list of another, as far as this process may: rights that
  /// would go to another group instead are left out.
  /// - Parameters:
  ///   - old: the other.
  ///   - source: the same, opened for reading; negative where it can't be.
  ///   - target: what gets them.
  ///   - path: what errors name.
  /// - Throws: `ApusError` (file).
  static func give(_ old: Entry, accessListOf source: Int32, to target: Int32, for path: String) throws {
    var new = stat()
    guard fstat(target, &new) == 0 else { throw ApusError.file("can't write \(path)", errno) }
    var mode = old.mode & 0o7777
    if old.group != new.st_gid, fchown(target, uid_t.max, old.group) != 0 {
      // The group's rights were another group's: this one gets what everybody has.
      mode = mode & ~0o2070 | (mode & 0o007) << 3 & mode
    }
    if old.owner != new.st_uid, fchown(target, old.owner, gid_t.max) != 0 { mode &= ~0o4000 }
    // Without the access list its mask, which stands in the group's place, would open the file to the group.
    if apus_copy_access_list(source, target) != 0 { mode &= ~0o070 }
    guard fchmod(target, mode) == 0 else { throw ApusError.file("can't give \(path) the rights it had", errno) }
  }
}

/// Paths as the system takes them.
package enum FilePath {
  /// - Throws: `ApusError` (file) for a path that the system would take for another one.
  package static func check(_ path: String) throws {
    guard !path.utf8.contains(0) else {
      let shown = path.utf8.split(separator: 0, omittingEmptySubsequences: false).map { String($0) ?? "" }
      throw ApusError(
        .file, "the path \"\(shown.joined(separator: "\\0"))\" has a NUL character, at which the system would end it")
    }
  }

  /// The folder that a path names something in, and the name. Slashes are looked for among the bytes: a character may
  /// be one with an accent.
  static func split(_ path: String) -> (folder: String, name: String) {
    let slash = UInt8(ascii: "/")
    var bytes = Array(path.utf8)[...]
    while bytes.count > 1, bytes.last == slash { bytes.removeLast() }
    guard let last = bytes.lastIndex(of: slash) else { return (".", text(bytes)) }
    let folder = bytes[..<last]
    return (folder.isEmpty ? "/" : text(folder), text(bytes[(last + 1)...]))
  }

  /// The parts between slashes.
  package static func parts(_ path: String) -> [String] {
    path.utf8.split(separator: UInt8(ascii: "/")).map { String(decoding: $0, as: UTF8.self) }
  }

  private static func text(_ bytes: ArraySlice<UInt8>) -> String { String(decoding: bytes, as: UTF8.self) }
}

extension String {
  func hasExact(prefix: String) -> Bool { utf8.starts(with: prefix.utf8) }
  func hasExact(suffix: String) -> Bool { utf8.reversed().starts(with: suffix.utf8.reversed()) }
}
