import ApusCore
import ApusFiles
import Foundation
import TestSupport
import Testing

@Suite struct AtomicReplacementTests {
  private func put(_ text: String, _ path: String) throws {
    try Data(text.utf8).write(to: URL(fileURLWithPath: path))
  }

  private func text(_ path: String) throws -> String { try String(contentsOfFile: path, encoding: .utf8) }

  /// Replaces a directory by one with such a file `a`.
  private func replace(_ path: String, _ text: String) throws {
    try AtomicReplacement.directory(path, holding: ["a"]) { try $0.file("a") { try $0.write(Array(text.utf8)) } }
  }

  @Test func aDirectoryIsReplacedWhole() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("ckpt")
    for round in 1...3 {
      try replace(path, "\(round)")
      #expect(try text("\(path)/a") == "\(round)")
    }
    struct Failure: Error {}
    #expect(throws: Failure.self) {
      try AtomicReplacement.directory(path + "/", holding: ["a"]) { inner in
        try inner.file("a") { try $0.write([1]) }
        throw Failure()
      }
    }
    #expect(try text("\(path)/a") == "3")
    #expect(try folder.names() == ["ckpt"])
  }

  /// What is not ours is neither replaced nor deleted, and the message says what it is.
  @Test func whatIsForeignStays() throws {
    let folder = try TemporaryFolder()
    let manager = FileManager.default
    func message(_ path: String) -> String {
      #expect(throws: ApusError.self) {
        try AtomicReplacement.directory(path, holding: ["a"]) { _ in Issue.record("it was begun") }
      }?.message ?? ""
    }
    let own = folder.file("thesis")
    try manager.createDirectory(atPath: own, withIntermediateDirectories: true)
    try put("years", "\(own)/chapter.txt")
    try put("a", "\(own)/a")
    #expect(message(own).contains("thesis holds chapter.txt"))
    let file = folder.file("file")
    try put("text", file)
    #expect(message(file).contains("file is no folder"))
    // A folder by the name of one of our files is not our file.
    let nested = folder.file("nested")
    try manager.createDirectory(atPath: "\(nested)/a", withIntermediateDirectories: true)
    #expect(message(nested).contains("nested holds a,"))
    let lost = folder.file("lost")
    try manager.createSymbolicLink(atPath: lost, withDestinationPath: folder.file("nowhere"))
    #expect(message(lost).contains("a link that leads nowhere"))
    #expect(try text("\(own)/chapter.txt") == "years" && text("\(own)/a") == "a" && text(file) == "text")
    #expect(try folder.names() == ["file", "lost", "nested", "thesis"])
  }

  @Test func emptyFoldersAndLinksAreTaken() throws {
    let folder = try TemporaryFolder()
    let (path, link) = (folder.file("ckpt"), folder.file("link"))
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    try replace(path, "1")
    try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: path)
    try replace(link, "2")
    #expect(try text("\(path)/a") == "2")
    #expect(try FileManager.default.destinationOfSymbolicLink(atPath: link) == path)
  }

  /// A killed process leaves its temporary folder: the next save is not stopped by it, and removes what is ours in it.
  @Test func leftoversDoNotBlock() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("ckpt")
    for (leftover, file) in [
      (".ckpt.partial", "sub/x"), (".ckpt.0123456789abcdef.partial", "a"),
      (".ckpt.0123456789abcde0.partial", ".a.1.2.partial"),
      (".ckpt.0123456789abcde1.partial", "sub/foreign"), (".ckpt.previous", "sub/x"),
    ] {
      let full = folder.file("\(leftover)/\(file)")
      try FileManager.default.createDirectory(
        atPath: (full as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
      try put("x", full)
    }
    for round in 1...2 {
      try replace(path, "\(round)")
      #expect(try text("\(path)/a") == "\(round)")
    }
    #expect(
      try folder.names() == [".ckpt.0123456789abcde1.partial", ".ckpt.partial", ".ckpt.previous", "ckpt"])
  }

  /// A name that the next save would clear may be a link, to a directory or a file: neither it nor what it leads to goes.
  @Test(arguments: [".ckpt.0123456789abcdef.partial", ".ckpt.previous", ".ckpt.lock"])
  func nothingOutsideIsCleared(name: String) throws {
    let folder = try TemporaryFolder()
    let outside = try TemporaryFolder()
    try put("other's", outside.file("a"))
    try put("other's", outside.file(".a.0.partial"))
    for target in [outside.path, outside.file("a")] {
      let link = folder.file(name)
      try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: target)
      for _ in 0..<2 {
        if name.hasSuffix(".lock") {
          #expect(throws: ApusError.self) { try replace(folder.file("ckpt"), "1") }
        } else {
          try replace(folder.file("ckpt"), "1")
        }
      }
      #expect(try FileManager.default.destinationOfSymbolicLink(atPath: link) == target)
      #expect(try text(outside.file("a")) == "other's" && outside.names() == [".a.0.partial", "a"])
      try FileManager.default.removeItem(atPath: link)
    }
    // In a leftover itself, a link by the name of one of our files is not our file.
    let leftover = folder.file(".ckpt.00000000000000ff.partial")
    try FileManager.default.createDirectory(atPath: leftover, withIntermediateDirectories: true)
    try FileManager.default.createSymbolicLink(atPath: "\(leftover)/a", withDestinationPath: outside.file("a"))
    try replace(folder.file("ckpt"), "2")
    #expect(try text(outside.file("a")) == "other's")
    #expect(try FileManager.default.destinationOfSymbolicLink(atPath: "\(leftover)/a") == outside.file("a"))
  }

  /// Names that Swift takes for equal are two directories to the system: what one leaves is not the other's.
  @Test func leftoversOfAnotherSpellingStay() throws {
    let folder = try TemporaryFolder()
    let other = folder.file(".caf\u{E9}.0123456789abcdef.partial")
    try FileManager.default.createDirectory(atPath: other, withIntermediateDirectories: true)
    try put("being written", "\(other)/a")
    try replace(folder.file("cafe\u{301}"), "1")
    #expect(try text("\(other)/a") == "being written")
    try replace(folder.file("caf\u{E9}"), "1")
    #expect(!FileManager.default.fileExists(atPath: other))
  }

  /// A slash with an accent is one character of Swift's and still a slash.
  @Test func pathsAreSplitByBytes() throws {
    let folder = try TemporaryFolder()
    try AtomicReplacement.file(folder.file("\u{301}x"), [1])
    try replace(folder.file("\u{301}y/"), "1")
    #expect(try folder.names() == ["\u{301}x", "\u{301}y"])
    for path in ["a\0b", "a\0/b"].map({ folder.file($0) }) {
      #expect(message { try AtomicReplacement.file(path, [1]) }.contains("NUL"))
      #expect(message { try replace(path, "1") }.contains("NUL"))
      #expect(message { _ = try InputFile(path) }.contains("NUL"))
      #expect(!InputFile.exists(path))
    }
    #expect(try folder.names() == ["\u{301}x", "\u{301}y"])
    for path in ["", "/", ".", folder.file("..")] {
      #expect(throws: ApusError.self) { try AtomicReplacement.file(path, [1]) }
      #expect(throws: ApusError.self) { try replace(path, "1") }
    }
  }

  // MARK: What a path may be

  /// Everything a path can name, made by the system's own calls: nothing but a file is replaced by a file, nothing but a
  /// directory by a directory, and nothing else by either.
  @Test func onlyTheSameKindIsReplaced() throws {
    let folder = try TemporaryFolder()
    let target = folder.file("target")
    try put("text", target)
    let kinds: [(name: String, make: (String) throws -> Void)] = [
      ("link", { try FileManager.default.createSymbolicLink(atPath: $0, withDestinationPath: target) }),
      ("lost link", { try FileManager.default.createSymbolicLink(atPath: $0, withDestinationPath: "nowhere") }),
      ("fifo", { #expect(mkfifo($0, 0o600) == 0) }),
      ("folder", { try FileManager.default.createDirectory(atPath: $0, withIntermediateDirectories: false) }),
      (
        "socket",
        { path in
          var address = sockaddr_un()
          address.sun_family = sa_family_t(AF_UNIX)
          withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array("\(path)\0".utf8).prefix(100)) }
          let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
          let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
              bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
          }
          #expect(result == 0)
          close(descriptor)
        }
      ),
    ]
    for (name, make) in kinds {
      let path = folder.file(name)
      try make(path)
      var (before, after) = (stat(), stat())
      #expect(lstat(path, &before) == 0)
      let says = message { try AtomicReplacement.file(path, [1]) }
      #expect(says.contains("\(path) is a") && says.contains("is not replaced"), "\(says)")
      #expect(message { try AtomicReplacement.checkFile(path) } == says)
      if name != "folder" {
        #expect(message { try replace(path, "1") } != "no error")
        // Within a directory that would be replaced, too.
        let inner = folder.file("ckpt")
        try FileManager.default.createDirectory(atPath: inner, withIntermediateDirectories: true)
        try make("\(inner)/a")
        #expect(message { try replace(inner, "1") }.contains("holds a"))
        try FileManager.default.removeItem(atPath: inner)
      }
      #expect(lstat(path, &after) == 0 && after.st_ino == before.st_ino && after.st_mode == before.st_mode)
    }
    #expect(try text(target) == "text")
    #expect(message { try AtomicReplacement.file("/dev/null", [1]) }.contains("/dev/null is a device"))
    #expect(try folder.names() == (kinds.map(\.name) + ["target"]).sorted())
  }

  // MARK: Access rights

  private func mode(_ path: String) -> mode_t {
    var status = stat()
    return lstat(path, &status) == 0 ? status.st_mode & 0o7777 : 0
  }

  @Test(arguments: [0o600, 0o640, 0o644, 0o664, 0o666, 0o400, 0o444, 0o755, 0o700, 0o622] as [mode_t])
  func aReplacedFileKeepsItsRights(rights: mode_t) throws {
    let folder = try TemporaryFolder()
    let path = folder.file("x")
    try put("old", path)
    #expect(chmod(path, rights) == 0)
    for _ in 0..<2 { try AtomicReplacement.file(path, [1, 2]) }
    #expect(mode(path) == rights && FileManager.default.contents(atPath: path) == Data([1, 2]))
    // A directory, with the owner's rights that working in it needs, and each of the files in it.
    let (directory, inner) = (folder.file("ckpt"), rights | 0o700)
    try replace(directory, "1")
    #expect(chmod(directory, inner) == 0 && chmod("\(directory)/a", rights) == 0)
    for _ in 0..<2 { try replace(directory, "2") }
    #expect(mode(directory) == inner && mode("\(directory)/a") == rights)
    #expect(try folder.names() == ["ckpt", "x"])
  }

  /// What is new has the rights that anything new has here.
  @Test func newFilesFollowTheMask() throws {
    let folder = try TemporaryFolder()
    let plain = folder.file("plain")
    #expect(FileManager.default.createFile(atPath: plain, contents: nil))
    let made = folder.file("made")
    #expect(mkdir(made, 0o777) == 0)
    let descriptor = open(folder.file("opened"), O_WRONLY | O_CREAT, 0o666)
    close(descriptor)
    try AtomicReplacement.file(folder.file("x"), [1])
    try replace(folder.file("ckpt"), "1")
    #expect(mode(folder.file("x")) == mode(folder.file("opened")))
    #expect(mode(folder.file("ckpt")) == mode(made) && mode(folder.file("ckpt/a")) == mode(folder.file("opened")))
  }

  @Test(.enabled(if: geteuid() == 0, "only root may give files away")) func aReplacedFileKeepsItsOwner() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("x")
    try AtomicReplacement.file(path, [1])
    #expect(chown(path, 1234, 4321) == 0 && chmod(path, 0o640) == 0)
    try AtomicReplacement.file(path, [2])
    var status = stat()
    #expect(stat(path, &status) == 0 && status.st_uid == 1234 && status.st_gid == 4321 && mode(path) == 0o640)
  }

  /// Before hours of training one wants to know.
  @Test func whatCanNotBeWrittenIsFoundBefore() throws {
    let folder = try TemporaryFolder()
    try AtomicReplacement.checkFile(folder.file("x"))
    try put("old", folder.file("y"))
    try AtomicReplacement.checkFile(folder.file("y"))
    #expect(try folder.names() == ["y"] && text(folder.file("y")) == "old")
    #expect(throws: ApusError.self) { try AtomicReplacement.checkFile(folder.file("none/x")) }
    #expect(throws: ApusError.self) { try AtomicReplacement.checkFile(folder.file("y/x")) }
    #expect(throws: ApusError.self) { try AtomicReplacement.checkFile("/proc/self/x") }
  }
}

@Suite struct FolderLockTests {
  @Test func oneAtATime() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("ckpt")
    do {
      let lock = try FolderLock(path)
      let says = message { _ = try FolderLock("\(path)/") }
      #expect(says.contains("\(path)/ is in use by process \(getpid()) on ") && says.contains(" UTC: wait"), "\(says)")
      #expect(message { try AtomicReplacement.directory(path, holding: ["a"]) { _ in } }.contains("in use by process"))
      try AtomicReplacement.directory(path, holding: ["a"], under: lock) { try $0.file("a") { try $0.write([1]) } }
      // Another folder beside it is free.
      _ = try FolderLock(folder.file("other"))
      #expect(try folder.names() == [".ckpt.lock", "ckpt"])
    }
    _ = try FolderLock(path)
    #expect(try folder.names() == ["ckpt"])
  }

  /// A killed process leaves its file, which locks nothing.
  @Test func aKilledProcessLeavesNone() async throws {
    let folder = try TemporaryFolder()
    let path = folder.file("ckpt")
    await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String] in
      let lock = try FolderLock(path)
      kill(getpid(), SIGKILL)
      withExtendedLifetime(lock) {}
    }
    #expect(try folder.names() == [".ckpt.lock"])
    do {
      let lock = try FolderLock(path)
      let words = try String(contentsOfFile: folder.file(".ckpt.lock"), encoding: .utf8)
      #expect(words.hasPrefix("Apus: process \(getpid()) on "), "\(words)")
      withExtendedLifetime(lock) {}
    }
    #expect(try folder.names().isEmpty)
  }

  /// Whatever else has the name stays as it is.
  @Test func aForeignFileIsNotTaken() throws {
    let folder = try TemporaryFolder()
    let (path, file) = (folder.file("ckpt"), folder.file(".ckpt.lock"))
    try Data("my notes".utf8).write(to: URL(fileURLWithPath: file))
    #expect(message { _ = try FolderLock(path) }.contains("is not the lock file"))
    #expect(try String(contentsOfFile: file, encoding: .utf8) == "my notes")
    // A second name of another file, though empty.
    try FileManager.default.removeItem(atPath: file)
    try Data().write(to: URL(fileURLWithPath: folder.file("precious")))
    #expect(link(folder.file("precious"), file) == 0)
    #expect(message { _ = try FolderLock(path) }.contains("is not the lock file"))
    try FileManager.default.removeItem(atPath: file)
    #expect(mkfifo(file, 0o600) == 0)
    #expect(message { _ = try FolderLock(path) }.contains("is not the lock file"))
    #expect(try folder.names() == [".ckpt.lock", "precious"])
  }

  /// Takes and lets go at once from many threads: never two have it.
  @Test func neverTwo() async throws {
    let folder = try TemporaryFolder()
    let path = folder.path
    let most = try await withThrowingTaskGroup(of: Int.self) { group in
      for _ in 0..<4 {
        group.addTask {
          var taken = 0
          for _ in 0..<300 {
            guard let lock = try? FolderLock(within: path) else { continue }
            // Whoever makes this file is alone.
            let descriptor = open("\(path)/alone", O_WRONLY | O_CREAT | O_EXCL, 0o600)
            #expect(descriptor >= 0)
            close(descriptor)
            unlink("\(path)/alone")
            taken += 1
            withExtendedLifetime(lock) {}
          }
          return taken
        }
      }
      return try await group.reduce(0, +)
    }
    #expect(most > 0)
    #expect(try folder.names().isEmpty)
  }
}

@Suite struct DigestTests {
  /// `xxhash.xxh64(bytes(i * 37 + 11 & 255 for i in range(n))).hexdigest()` of Python's xxhash 3.
  @Test(arguments: [
    (0, "ef46db3751d8e999"), (1, "f592c0c7639c4cb6"), (3, "22c08528601d4f27"), (4, "fb1e5cf2f1ae4d95"),
    (8, "57cb2b7521f3e21a"), (31, "e4a0e629e519a4ae"), (32, "cc6b8aaada790b2d"), (33, "35ec49850475a832"),
    (63, "bf9f0ba3cf95b28a"), (64, "155ccce4bf32befc"), (100, "4826e367566ea023"), (1000, "128da10cfbdc59d9"),
  ]) func digests(count: Int, expected: String) throws {
    let folder = try TemporaryFolder()
    let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 * 37 + 11) }
    for part in [1, 7, 32, 1000] {
      try AtomicReplacement.directory(folder.file("d"), holding: ["a"]) { draft in
        let digest = try draft.file("a") { file in
          for start in stride(from: 0, to: count, by: part) { try file.write(Array(bytes[start...].prefix(part))) }
        }
        #expect(digest == "xxh64:\(expected)")
      }
      #expect(try InputFile(folder.file("d/a")).digest() == "xxh64:\(expected)")
    }
  }
}
