import ApusCore
import ApusNN
import Foundation
import TestSupport
import Testing

@testable import ApusData
@testable import ApusTrain

/// What a checkpoint's files and their surroundings may do to a training.
@Suite struct CheckpointFileTests {
  /// A checkpoint of one epoch.
  private func checkpoint(_ folder: borrowing TemporaryFolder) async throws -> String {
    let path = folder.file("ckpt")
    try await Points.trainer().fit(Points.train(), epochs: 1, callbacks: [.checkpoint(path)])
    return path
  }

  /// A folder with other things in it is refused before the first step, and nothing in it is touched.
  @Test func aFolderWithOtherFilesIsNotReplaced() async throws {
    let folder = try TemporaryFolder()
    let path = folder.file("thesis")
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    try Data("years".utf8).write(to: URL(fileURLWithPath: "\(path)/chapter.txt"))
    let trainer = Points.trainer()
    let text = await message { try await trainer.fit(Points.train(), epochs: 1, callbacks: [.checkpoint(path)]) }
    #expect(text.contains("thesis holds chapter.txt"), "\(text)")
    #expect(trainer.optimizer.stepCount == 0)
    #expect(message { try trainer.saveCheckpoint(path) }.contains("thesis holds chapter.txt"))
    #expect(try FileManager.default.contentsOfDirectory(atPath: path) == ["chapter.txt"])
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["thesis"])
  }

  @Test(arguments: [
    ("\"epoch\" : 1", "\"epoch\" : 9223372036854775807", "epoch is 9223372036854775807"),
    ("\"totalSteps\" : 4", "\"totalSteps\" : 9007199254740993", "totalSteps is 9007199254740993"),
    ("\"steps\" : 4", "\"steps\" : -1", "history.epochs[0].steps is -1"),
    ("\"examples\" : 54", "\"examples\" : 1e300", "is damaged"),
    ("\"position\" : 0", "\"position\" : 9223372036854775807", "position is 9223372036854775807"),
    ("\"position\" : 0", "\"position\" : 1", "no error"),
    ("\"runStart\" : 0", "\"runStart\" : 3", "contradict"),
    ("\"runStart\" : 0", "\"ranStart\" : 3", "runStart is missing"),
    ("\"format\" : 1", "\"format\" : 2", "has the format 2"),
    ("\"seconds\" : 0,", "\"seconds\" : -1,", "seconds is -1"),
    ("\"seconds\" : 0,", "\"seconds\" : \"inf\",", "seconds is inf"),
    ("\"seconds\" : 0,", "\"seconds\" : \"nan\",", "seconds is nan"),
  ]) func senselessNumbersAreNamed(old: String, new: String, says: String) async throws {
    let folder = try TemporaryFolder()
    let path = try await checkpoint(folder)
    let state = "\(path)/state.json"
    let good = try String(contentsOfFile: state, encoding: .utf8)
    #expect(good.contains(old), "\(good)")
    try good.replacingOccurrences(of: old, with: new).write(toFile: state, atomically: true, encoding: .utf8)
    let trainer = Points.trainer()
    let text = message { try trainer.resume(from: path) }
    #expect(text.contains(says), "\(text)")
    if says != "no error" { #expect(text.contains(state)) }
  }

  /// A list of millions of numbers, anywhere in a state, takes a small multiple of its bytes: the decoder is not asked.
  @Test(arguments: ["sums", "history", "unknown"]) func statesStaySmall(place: String) async throws {
    await #expect(processExitsWith: .success) { [place = place as String] in
      let folder = try TemporaryFolder()
      let path = folder.file("state.json")
      let size = try {
        let list = (0..<3_000_000).map { _ in place == "history" ? "[]" : "0" }.joined(separator: ",")
        let whole = Data("{\"format\":1,\"\(place)\":[\(list)]}".utf8)
        try whole.write(to: URL(filePath: path))
        return whole.count
      }()
      let growth = try peakMemoryGrowth { _ = try? CheckpointState(path: path) }
      precondition(growth <= 16 << 20 + 8 * size, "\(growth) bytes for a state of \(size)")
    }
  }

  /// A history as it is saved is read, however long.
  @Test func aLongHistoryIsRead() throws {
    let folder = try TemporaryFolder()
    var history = History()
    for number in 0..<40_000 {
      history.epochs.append(.init(number: number, values: ["loss": 1, "a": 0], seconds: 0, steps: 1, examples: 1))
    }
    let state = CheckpointState(
      epoch: 40_000, position: 0, examples: 0, seconds: 0, runStart: 0, totalSteps: 40_000, sums: [0], generators: [:],
      history: history)
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    try encoder.encode(state).write(to: URL(filePath: folder.file("state.json")))
    #expect(try CheckpointState(path: folder.file("state.json")).history.epochs.count == 40_000)
  }

  /// Thousands of damaged states: an error of the file, or a training that goes on; nothing else.
  @Test func damagedStatesNeverCrash() async throws {
    let folder = try TemporaryFolder()
    let path = try await checkpoint(folder)
    let state = "\(path)/state.json"
    let good = [UInt8](try Data(contentsOf: URL(fileURLWithPath: state)))
    let trainer = Points.trainer()
    var random = SeededRandom(seed: 2026)
    func below(_ limit: Int) -> Int { Int(random.next() % UInt64(limit)) }
    let odd = [
      "-1", "9223372036854775807", "9223372036854775808", "1e999", "null", "[[[", "\"nan\"", "1e15", "0.5", "}",
    ]
    var (refused, taken) = (0, 0)
    for round in 0..<2500 * soakFactor {
      var damaged = good
      let place = below(good.count)
      switch round % 5 {
      case 0: damaged[place] ^= UInt8(1 << below(8))
      case 1: damaged.removeLast(good.count - place)
      case 2:
        // Another number where one stands.
        let digits = good.indices.filter { (0x30...0x39).contains(good[$0]) }
        let first = digits[below(digits.count)]
        damaged.replaceSubrange(first...first, with: Array(odd[below(odd.count)].utf8))
      case 3:
        let start = below(good.count)
        let piece = good[start..<min(start + 1 + below(60), good.count)]
        damaged.replaceSubrange(place..<min(place + (below(2) == 0 ? 0 : piece.count), good.count), with: piece)
      default: damaged[place] = UInt8(below(256))
      }
      try Data(damaged).write(to: URL(fileURLWithPath: state))
      do {
        try trainer.resume(from: path)
        taken += 1
        if taken % 20 == 0 { _ = await message { try await trainer.fit(Points.train(), epochs: 2) } }
      } catch is ApusError {
        refused += 1
      }
    }
    #expect(refused > 1000 && taken > 50, "\(refused) refused, \(taken) taken")
  }

  /// The rest of an epoch in other batches, or of other data, is not that run.
  @Test func otherDataIsRefused() async throws {
    let folder = try TemporaryFolder()
    let path = try await checkpoint(folder)
    let data = try Dataset(Points.inputs, Points.labels)
    for (other, says) in [
      (
        try data.shuffled(seed: 7).batched(15),
        "batches of 16, this one has 54 examples, shuffled with seed 7, batches of 15"
      ),
      (try data.take(53).shuffled(seed: 7).batched(16), "this one has 54 examples, 53 from 0 on, shuffled"),
      (try data.shuffled(seed: 8).batched(16), "shuffled with seeds [7]"),
    ] {
      let trainer = Points.trainer()
      try trainer.resume(from: path)
      let text = await message { try await trainer.fit(other, epochs: 2) }
      #expect(text.hasPrefix("the checkpoint was made with other data") && text.contains(says), "\(text)")
    }
    // A checkpoint from before there was a record of it is held to the seeds.
    let state = "\(path)/state.json"
    var lines = try String(contentsOfFile: state, encoding: .utf8).split(separator: "\n")
    lines.removeAll { $0.contains("\"pipeline\"") }
    try lines.joined(separator: "\n").write(toFile: state, atomically: true, encoding: .utf8)
    let trainer = Points.trainer()
    try trainer.resume(from: path)
    try await trainer.fit(Points.train(), epochs: 2)
  }

  @Test func epochsThatCannotBeCounted() async throws {
    let trainer = Points.trainer()
    try await trainer.fit(Points.train(), epochs: 1)
    #expect(await message { try await trainer.fit(Points.train(), epochs: .max) }.contains("in all at most"))
    #expect(await message { try await trainer.fit(Points.train(), epochs: 1) } == "no error")
  }
}
