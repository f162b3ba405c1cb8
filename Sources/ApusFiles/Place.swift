import ApusCore

#if canImport(Glibc)
  import Glibc
#endif

/// Where something is to be written: an open folder and a name in it.
struct Place {
  /// As the user wrote it, for messages.
  let path: String
  let folder: Folder
  let name: String

  /// - Parameters:
  ///   - path: of a file or folder, which need not be there; its parent must.
  ///   - followsLink: whether a link at the path stands for the folder that it leads to.
  /// - Throws: `ApusError` (file).
  init(_ path: String, followsLink: Bool = false) throws {
    self.path = path
    let (folder, name) = try Self.find(path, for: path)
    guard followsLink, folder.entry(name)?.isLink == true else {
      (self.folder, self.name) = (folder, name)
      return
    }
    guard let resolved = realpath(path, nil) else {
      throw ApusError.file("can't write \(path), a link that leads nowhere", errno)
    }
    defer { free(resolved) }
    guard let target = String(validatingCString: resolved) else {
      throw ApusError(.file, "can't write \(path), a link to a path that is not UTF-8")
    }
    (self.folder, self.name) = try Self.find(target, for: path)
  }

  private static func find(_ target: String, for path: String) throws -> (Folder, String) {
    try FilePath.check(target)
    let (folder, name) = FilePath.split(target)
    guard !["", ".", "..", "/"].contains(name) else {
      throw ApusError(.file, "can't write \"\(path)\": a path that ends in the name of a file or folder fits")
    }
    return (try Folder(folder, "can't write \(path)"), name)
  }

  /// A name beside this one that nothing left over has: a killed process's number may come again, in containers at once.
  func temporaryName() -> String {
    let digits = String(UInt64.random(in: .min ... .max), radix: 16)
    return ".\(name).\(String(repeating: "0", count: 16 - digits.count))\(digits).partial"
  }

  /// Whether a name is one that ``temporaryName()`` gives here.
  func isTemporary(_ entry: String) -> Bool {
    guard let rest = entry.dropping(exactPrefix: ".\(name)."), rest.hasExact(suffix: ".partial") else { return false }
    let middle = rest.utf8.dropLast(".partial".utf8.count)
    let digits = UInt8(ascii: "0")...UInt8(ascii: "9")
    let letters = UInt8(ascii: "a")...UInt8(ascii: "f")
    return middle.count == 16 && middle.allSatisfy { digits.contains($0) || letters.contains($0) }
  }

  /// Where a directory's former state may be found when a process was killed while it was being replaced.
  var previousName: String { ".\(name).previous" }

  /// Checks that nothing but a regular file would be replaced.
  /// - Throws: `ApusError` (file) naming what is there.
  func checkFile() throws {
    guard let entry = folder.entry(name) else {
      if errno == ENOENT { return }
      throw ApusError.file("can't write \(path)", errno)
    }
    guard entry.isFile else {
      throw ApusError(
        .file, "\(path) is \(entry.description), and is not replaced: the path of a file, or of nothing yet, fits")
    }
    // In folders like /tmp only the owner may replace a file.
    if let parent = folder.entry, parent.mode & S_ISVTX != 0, geteuid() != 0,
      entry.owner != geteuid() && parent.owner != geteuid()
    {
      throw ApusError.file("can't replace \(path), another user's file", EPERM)
    }
  }

  /// The folder that is there, nil where nothing is.
  /// - Throws: `ApusError` (file) when something else than a folder with such files only is there.
  func folder(holding names: [String]) throws -> Folder? {
    let wanted = "a folder that is new, empty, or holds nothing but \(names.joined(separator: ", ")) fits"
    guard let entry = folder.entry(name) else {
      if errno == ENOENT { return nil }
      throw ApusError.file("can't write \(path)", errno)
    }
    guard entry.isFolder else {
      throw ApusError(.file, "\(path) is no folder but \(entry.description), and is not replaced: \(wanted)")
    }
    guard let found = folder.folder(name), let present = found.names() else {
      throw ApusError.file("can't list \(path)", errno)
    }
    // Its files could not be removed when it has been replaced.
    if case let code = folder.isWritable(name), code != 0 { throw ApusError.file("can't write \(path)", code) }
    for file in present {
      let kind = found.entry(file)
      guard names.contains(where: { ExactName($0) == ExactName(file) }), kind?.isFile == true else {
        let what = kind.map { $0.isFile ? "" : ", \($0.description)" } ?? ""
        throw ApusError(.file, "\(path) holds \(file)\(what), and is not replaced: \(wanted)")
      }
    }
    return found
  }
}
