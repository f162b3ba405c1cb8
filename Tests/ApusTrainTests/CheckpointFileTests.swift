import ApusCore
import ApusFiles
import ApusNN
import Foundation
import Synchronization
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
      let growth = try peakMemoryGrowth { _ = try? CheckpointState(InputFile(path)) }
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
      epoch: 40_000, position: 0, examples: 0, seconds: 0, runStart: 0, totalSteps: 40_000, sums: [0],
      generators: GeneratorStates([:]), history: history)
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    try encoder.encode(state).write(to: URL(filePath: folder.file("state.json")))
    #expect(try CheckpointState(InputFile(folder.file("state.json"))).history.epochs.count == 40_000)
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

  /// Parts of two checkpoints of one model, each whole by itself: which of them is exchanged doesn't matter.
  @Test(arguments: ["model.safetensors", "optimizer.safetensors", "state.json"])
  func partsOfSeveralAreNoCheckpoint(part: String) async throws {
    let folder = try TemporaryFolder()
    let (path, other) = (try await checkpoint(folder), folder.file("other"))
    try await Points.trainer().fit(Points.train(), epochs: 2, callbacks: [.checkpoint(other)])
    try FileManager.default.removeItem(atPath: "\(path)/\(part)")
    try FileManager.default.copyItem(atPath: "\(other)/\(part)", toPath: "\(path)/\(part)")
    let text = message { try Points.trainer().resume(from: path) }
    #expect(text.contains("the folder holds parts of several checkpoints"), "\(text)")
    try Points.trainer().resume(from: other)
    // A link in a checkpoint is not followed, wherever it leads.
    try FileManager.default.removeItem(atPath: "\(other)/\(part)")
    try FileManager.default.createSymbolicLink(atPath: "\(other)/\(part)", withDestinationPath: "\(path)/\(part)")
    #expect(message { try Points.trainer().resume(from: other) }.contains("\(part) is a symbolic link"))
  }

  /// Sets every number of a trainer to one value.
  private func fill(_ trainer: Trainer, with value: Double) {
    for parameter in trainer.model.parameters { parameter.value = Tensor.full(parameter.value.shape, value) }
    trainer.optimizer.learningRate = value
    trainer.state.withLock { $0.totalSteps = Int(value) }
  }

  /// A reader beside a saver gets one whole checkpoint each time, whether the saver is a task or a process.
  @Test func aReaderBesideASaver() async throws {
    let folder = try TemporaryFolder()
    let path = folder.file("ckpt")
    let saver = Points.trainer()
    fill(saver, with: 1)
    try saver.saveCheckpoint(path)
    let isDone = Mutex(false)
    // A thread of its own, so that both go on at once.
    let saving = Thread { [self] in
      var number = 1
      while !isDone.withLock({ $0 }) {
        number = number % 1000 + 1
        fill(saver, with: Double(number))
        #expect(throws: Never.self) { try saver.saveCheckpoint(path) }
      }
    }
    saving.start()
    defer {
      isDone.withLock { $0 = true }
      while !saving.isFinished { usleep(1000) }
    }
    let reader = Points.trainer(seed: 99)
    var seen: Set<Double> = []
    for _ in 0..<10_000 where seen.count < 100 {
      try reader.resume(from: path)
      let number = reader.optimizer.learningRate
      let weights = Set(reader.model.parameters.flatMap { $0.value.toArray(of: Double.self) })
      #expect(weights == [number] && reader.state.withLock { $0.totalSteps } == Int(number))
      seen.insert(number)
    }
    #expect(seen.count > 1)
  }

  /// The second training in a folder is told who has it, before its first step.
  @Test func aFolderHasOneTraining() async throws {
    let folder = try TemporaryFolder()
    let path = folder.file("ckpt")
    let second = Points.trainer()
    let lockFile = folder.file(".ckpt.lock")
    let says = Mutex("")
    let attempt = Callback.onEpochEnd { moment in
      #expect(InputFile.exists(lockFile))
      says.withLock { $0 = message { try second.saveCheckpoint(path) } }
      // The training's own trainer may.
      try moment.trainer.saveCheckpoint(path)
    }
    try await Points.trainer().fit(
      Points.train(), epochs: 2, callbacks: [.checkpoint(path), .checkpoint(path, bestOf: "loss"), attempt])
    #expect(says.withLock { $0 }.contains("ckpt is in use by process \(getpid()) on "))
    #expect(try folder.names() == ["ckpt"])
    try second.saveCheckpoint(path)
    // A training that fails lets go of it too.
    struct Failure: Error {}
    _ = await message {
      try await second.fit(
        Points.train(), epochs: 1, callbacks: [.checkpoint(path), .onEpochEnd { _ in throw Failure() }])
    }
    try await Points.trainer().fit(Points.train(), epochs: 1, callbacks: [.checkpoint(path)])
    #expect(try folder.names() == ["ckpt"])
  }

  @Test(arguments: ["none/ckpt", "file/ckpt", "file", "/proc/ckpt"]) func whatCanNotBeWritten(name: String) async throws
  {
    let folder = try TemporaryFolder()
    try Data().write(to: URL(fileURLWithPath: folder.file("file")))
    let trainer = Points.trainer()
    let path = name.hasPrefix("/") ? name : folder.file(name)
    let text = await message { try await trainer.fit(Points.train(), epochs: 1, callbacks: [.checkpoint(path)]) }
    #expect(text.contains(path) && text != "no error", "\(text)")
    #expect(trainer.optimizer.stepCount == 0)
  }

  // MARK: Schedules

  /// Whatever makes the rate another than it was is refused unless it is said to be new.
  @Test func aResumedRunKeepsItsSchedule() async throws {
    let folder = try TemporaryFolder()
    let path = folder.file("ckpt")
    func schedule(_ epochs: Int) -> Callback { .learningRate(.cosine(steps: 4 * epochs)) }
    for (made, unit) in [(schedule(3), "step"), (.learningRate(.linear(steps: 5), per: .epoch), "epoch")] {
      let stop = Callback.onEpochEnd { if $0.epoch == 1 { $0.stop() } }
      try await Points.trainer().fit(Points.train(), epochs: 3, callbacks: [made, .checkpoint(path), stop])
      #expect(try Trainer.runSettings(of: path) == RunSettings(epochs: 3, learningRate: 0.03))
      let others: [(Callback, Double)] = [
        (schedule(4), 0.03), (.learningRate(.step(every: 3)), 0.03), (.learningRate(.constant), 0.03), (made, 0.02),
      ]
      for (other, rate) in others {
        let optimizer = AdamW(learningRate: rate)
        let trainer = Trainer(Points.model(), optimizer: optimizer, loss: .crossEntropy, metrics: [.accuracy])
        try trainer.resume(from: path)
        let text = await message { try await trainer.fit(Points.train(), epochs: 4, callbacks: [other]) }
        #expect(text.contains("the resumed run had another schedule"), "\(unit): \(text)")
        try await trainer.fit(Points.train(), epochs: 4, callbacks: [.learningRate(.constant, isNew: true)])
        #expect(optimizer.learningRate == rate)
      }
      let trainer = Points.trainer()
      try trainer.resume(from: path)
      try await trainer.fit(Points.train(), epochs: 3, callbacks: [made])
      #expect(trainer.history.epochs.count == 3)
    }
  }

  // MARK: Names

  /// A model with two layers whose names differ in how an accent is written.
  private final class Accents: Layer {
    let first = Generator(seed: 1)
    let second = Generator(seed: 2)
    let weights = [Parameter(Tensor([[1.0, 2], [3, 4], [5, 6]])), Parameter(Tensor([0.5, 0.25]))]

    func members() -> [ModuleMember] {
      [
        ModuleMember("caf\u{E9}", .parameter(weights[0])), ModuleMember("cafe\u{301}", .parameter(weights[1])),
        ModuleMember("g\u{E9}", .generator(first)), ModuleMember("ge\u{301}", .generator(second)),
      ]
    }
    func forward(_ x: Tensor) -> Tensor { x.matmul(weights[0].tensor) + weights[1].tensor }
  }

  @Test func namesThatDifferInNormalisationOnly() async throws {
    let folder = try TemporaryFolder()
    let path = folder.file("ckpt")
    func trainer(_ model: Accents) -> Trainer {
      Trainer(model, optimizer: AdamW(learningRate: 0.1), loss: .crossEntropy)
    }
    let (a, b) = (Accents(), Accents())
    _ = Tensor.uniform([5], generator: a.first)
    _ = Tensor.uniform([500], generator: a.second)
    try await trainer(a).fit(Points.train(), epochs: 2, callbacks: [.checkpoint(path)])
    try trainer(b).resume(from: path)
    for (one, other) in zip(a.weights, b.weights) { #expect(one.value.toArray() == other.value.toArray()) }
    for (one, other) in [(a.first, b.first), (a.second, b.second)] {
      #expect(one.state.value.toArray(of: Int64.self) == other.state.value.toArray(of: Int64.self))
    }
    #expect(a.stateDictionary().count == 2)
  }

  @Test func epochsThatCannotBeCounted() async throws {
    let trainer = Points.trainer()
    try await trainer.fit(Points.train(), epochs: 1)
    #expect(await message { try await trainer.fit(Points.train(), epochs: .max) }.contains("in all at most"))
    #expect(await message { try await trainer.fit(Points.train(), epochs: 1) } == "no error")
  }
}
