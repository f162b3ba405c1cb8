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

  @Test func aDirectoryIsReplacedWhole() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("ckpt")
    for round in 1...3 {
      try AtomicReplacement.directory(path, holding: ["a"]) { try put("\(round)", "\($0)/a") }
      #expect(try text("\(path)/a") == "\(round)")
    }
    struct Failure: Error {}
    #expect(throws: Failure.self) {
      try AtomicReplacement.directory(path + "/", holding: ["a"]) { inner in
        try put("x", "\(inner)/a")
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
    try AtomicReplacement.directory(path, holding: ["a"]) { try put("1", "\($0)/a") }
    try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: path)
    try AtomicReplacement.directory(link, holding: ["a"]) { try put("2", "\($0)/a") }
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
      try AtomicReplacement.directory(path, holding: ["a"]) { try put("\(round)", "\($0)/a") }
      #expect(try text("\(path)/a") == "\(round)")
    }
    #expect(
      try folder.names() == [".ckpt.0123456789abcde1.partial", ".ckpt.partial", ".ckpt.previous", "ckpt"])
  }
}
