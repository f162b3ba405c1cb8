import ApusCore

#if canImport(Glibc)
  import Glibc
#endif

/// Files and directories that appear whole or not at all. What is replaced leaves its owner and access rights to what
/// comes; only regular files and folders are ever replaced, never a link, a FIFO or a device.
package enum AtomicReplacement {
  // MARK: Files

  /// Writes a file under a temporary name beside `path` and renames it when its bytes are on the disk. After an error,
  /// or a process killed half-way, what was at `path` before is still there.
  /// - Throws: `ApusError` (file) when it can't be written or something else than a file is there, and what `body` throws.
  package static func file(_ path: String, _ body: (OutputFile) throws -> Void) throws {
    let place = try Place(path)
    try place.checkFile()
    let temporary = place.temporaryName()
    let file = try OutputFile(temporary, in: place.folder, rightsOf: place.name, in: place.folder, for: path)
    do {
      try body(file)
      try file.finish()
      try place.checkFile()
      try check(place.folder.rename(temporary, to: place.name), "can't write \(path)")
    } catch {
      place.folder.removeFile(temporary)
      throw error
    }
    place.folder.sync()
  }

  /// Writes the bytes of a file, as ``file(_:_:)``.
  package static func file(_ path: String, _ bytes: [UInt8]) throws { try file(path) { try $0.write(bytes) } }

  /// Checks that ``file(_:_:)`` could write a path, by making the temporary file: for what is written after hours.
  /// - Throws: `ApusError` (file).
  package static func checkFile(_ path: String) throws {
    let place = try Place(path)
    try place.checkFile()
    if place.folder.entry(place.name) != nil, case let code = place.folder.isWritable(place.name),
      code == EPERM || code == EROFS
    {
      // Rights alone would not hinder a replacement.
      throw ApusError.file("can't write \(path)", code)
    }
    let temporary = place.temporaryName()
    _ = try OutputFile(temporary, in: place.folder, rightsOf: place.name, in: place.folder, for: path)
    place.folder.removeFile(temporary)
  }

  // MARK: Directories

  /// Fills a directory beside `path` and swaps it with the one at `path` when all of it is on the disk.
  ///
  /// A process killed at any moment leaves either the old or the new directory at `path`. Where the file system can't
  /// swap, there is a moment without one; the old is then found by ``current(_:containing:)``.
  /// - Parameters:
  ///   - path: where nothing is, an empty directory, or one that holds nothing but `names`; a link to one is followed.
  ///   - names: of the files that `body` makes: nothing else is ever replaced or deleted.
  ///   - lock: on the path, when the caller has it; otherwise it is taken for the time.
  ///   - body: makes the files in the folder that it is given.
  /// - Throws: `ApusError` (file), as ``checkDirectory(_:holds:)``, before anything is touched, when another holds the
  ///   path's lock, or when it can't be written, and what `body` throws. What was at `path` is still there then.
  package static func directory(
    _ path: String, holding names: [String], under lock: FolderLock? = nil, _ body: (DraftFolder) throws -> Void
  ) throws {
    let lock = try lock ?? FolderLock(path)
    try withExtendedLifetime(lock) { try replace(Place(path, followsLink: true), names, body) }
  }

  private static func replace(_ place: Place, _ names: [String], _ body: (DraftFolder) throws -> Void) throws {
    let (path, folder) = (place.path, place.folder)
    let old = try place.folder(holding: names)
    removeLeftovers(of: place, names)
    let fresh = place.temporaryName()
    // Nobody else looks in before it has its rights.
    try check(folder.makeFolder(fresh, mode: old == nil ? 0o777 : 0o700), "can't write \(path)")
    do {
      guard let draft = folder.folder(fresh) else { throw ApusError.file("can't write \(path)", errno) }
      try body(DraftFolder(draft, replacing: old ?? folder.folder(place.previousName), for: path))
      if let old { try draft.takeRights(of: old) }
      draft.sync()
      // What came meanwhile is not replaced either.
      _ = try place.folder(holding: names)
      try put(fresh, at: place, names)
    } catch {
      remove(fresh, in: folder, names)
      throw error
    }
    folder.sync()
    // After a swap this is the old directory.
    remove(fresh, in: folder, names)
    remove(place.previousName, in: folder, names)
  }

  /// Checks what ``directory(_:holding:under:_:)`` would replace.
  /// - Throws: `ApusError` (file) when something else than a directory with such files only is there.
  package static func checkDirectory(_ path: String, holds names: [String]) throws {
    _ = try Place(path, followsLink: true).folder(holding: names)
  }

  /// Opens the directory at a path, or its former state, when a process was killed while it was being replaced.
  /// - Parameters:
  ///   - path: of the directory.
  ///   - name: of a file that a whole one has.
  /// - Throws: `ApusError` (file) when there is neither.
  package static func current(_ path: String, containing name: String) throws -> Folder {
    // Between two looks a directory may come: the first that finds one counts.
    let found = try? Folder(path)
    if let found, found.entry(name) != nil { return found }
    if let place = try? Place(path, followsLink: true), let previous = place.folder.folder(place.previousName),
      previous.entry(name) != nil
    {
      return previous
    }
    return try found ?? Folder(path)
  }

  private static func put(_ fresh: String, at place: Place, _ names: [String]) throws {
    let (folder, name) = (place.folder, place.name)
    if folder.rename(fresh, to: name) == 0 { return }
    // There is a directory with files in it: the two change places.
    let code = folder.exchange(fresh, name)
    if code == 0 { return }
    guard code == EINVAL || code == ENOSYS || code == ENOTSUP else {
      throw ApusError.file("can't replace \(place.path)", code)
    }
    remove(place.previousName, in: folder, names)
    try check(folder.rename(name, to: place.previousName), "can't replace \(place.path)")
    let second = folder.rename(fresh, to: name)
    if second != 0 {
      _ = folder.rename(place.previousName, to: name)
      throw ApusError.file("can't replace \(place.path)", second)
    }
  }

  /// Deletes what killed processes left of their temporary directories; failing is no harm.
  private static func removeLeftovers(of place: Place, _ names: [String]) {
    for entry in place.folder.names() ?? [] where place.isTemporary(entry) { remove(entry, in: place.folder, names) }
  }

  /// Deletes a directory's regular files of those names, half-written ones of older versions too, and the directory
  /// unless others are in it. What is no directory, a link to one say, is left alone.
  private static func remove(_ name: String, in folder: Folder, _ names: [String]) {
    guard let found = folder.folder(name) else { return }
    for file in found.names() ?? [] where found.entry(file)?.isFile == true {
      let isPartial = file.hasExact(suffix: ".partial") && names.contains { file.hasExact(prefix: ".\($0).") }
      if isPartial || names.contains(where: { ExactName($0) == ExactName(file) }) { found.removeFile(file) }
    }
    folder.removeFolder(name)
  }

  private static func check(_ code: Int32, _ message: String) throws {
    if code != 0 { throw ApusError.file(message, code) }
  }
}

/// A folder being filled, which nobody else sees yet.
package struct DraftFolder {
  private let folder: Folder
  private let replaced: Folder?
  private let path: String

  init(_ folder: Folder, replacing replaced: Folder?, for path: String) {
    self.folder = folder
    self.replaced = replaced
    self.path = path
  }

  /// Makes a file, with the rights of the one that it replaces.
  /// - Returns: what the bytes are told by later: see ``InputFile/digest()``.
  /// - Throws: `ApusError` (file) when it can't be written, and what `body` throws.
  @discardableResult
  package func file(_ name: String, _ body: (OutputFile) throws -> Void) throws -> String {
    let file = try OutputFile(
      name, in: folder, rightsOf: name, in: replaced, for: "\(path)/\(name)", isDigested: true)
    try body(file)
    try file.finish()
    return file.digest
  }
}
