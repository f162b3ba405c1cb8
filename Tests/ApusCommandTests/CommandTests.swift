import Apus
import Foundation
import TestSupport
import Testing

@testable import ApusCommand

@Suite(.serialized) struct CommandTests {
  /// A data set in MNIST's format: `train` and 4 images of that size.
  private func writeImages(_ folder: String, _ height: Int, _ width: Int, train: Int = 6, heldOut: Int = 4) throws {
    for (prefix, count) in [("train", train), ("t10k", heldOut)] {
      let pixels = Tensor((0..<count * height * width).map { Float($0 % 251) }).cast(to: .uint8)
      try IDX.write(pixels.reshape([count, height, width]), to: "\(folder)/\(prefix)-images-idx3-ubyte")
      try IDX.write(
        Tensor((0..<count).map { Int64($0 % 10) }).cast(to: .uint8), to: "\(folder)/\(prefix)-labels-idx1-ubyte")
    }
  }

  @Test(arguments: [
    (0, 0, "0×0; square ones of 4 to 512"), (1, 1, "1×1; square ones"), (2, 2, "2×2; square ones"),
    (28, 20, "28×20; square ones"), (4000, 4000, "4000×4000; square ones"),
  ]) func oddSizesAreRefused(height: Int, width: Int, says: String) throws {
    try withFolder { folder in
      try writeImages(folder, height, width, train: 1, heldOut: 1)
      let run = try apus(["train", "mnist", "--data", folder, "--output", "out"], in: folder)
      #expect(run.code == 1 && run.errors.contains(says), "\(run)")
      #expect(!FileManager.default.fileExists(atPath: "\(folder)/out"))
    }
  }

  @Test func emptyPartsAreRefused() throws {
    try withFolder { folder in
      try writeImages(folder, 8, 8, train: 0)
      let train = try apus(["train", "mnist", "--data", folder], in: folder)
      #expect(train.code == 1 && train.errors.contains("\(folder): there are no images to train with"), "\(train)")
      try writeImages(folder, 8, 8, heldOut: 0)
      let heldOut = try apus(["train", "mnist", "--data", folder], in: folder)
      #expect(heldOut.code == 1 && heldOut.errors.contains("there are no images held out"), "\(heldOut)")
    }
  }

  /// The smallest side that is trained on is one that the model's file may have.
  @Test func theSmallestSideWorks() throws {
    try withFolder { folder in
      try writeImages(folder, 4, 4)
      let run = try apus(
        ["train", "mnist", "--data", folder, "--output", "a/b", "--epochs", "1", "--no-pictures", "--json"], in: folder)
      #expect(run.code == 0 && run.output.contains("\"images\": 4"), "\(run)")
      let other = try apus(["evaluate", "a/b/model.safetensors", "digits"], in: folder)
      #expect(other.code == 1 && other.errors.contains("takes images of 4×4"), "\(other)")
      let summary = try apus(["summary", "--json", "a/b/model.safetensors"], in: folder)
      let fields = try summary.json
      #expect(fields["architecture"] as? String == "apus.digit-network.1")
      #expect((fields["tensors"] as? [Any])?.count ?? 0 >= 14)
      #expect((fields["elements"] as? Int ?? 0) > 30_000)
    }
  }

  @Test(arguments: [
    ["--batch-size", "9223372036854775807"], ["--batch-size", "0"], ["--epochs", "9223372036854775807"],
    ["--data", "/nonexistent"], ["--minimum-accuracy", "7"], ["--minimum-accuracy", "nan"], ["--output", ""],
  ]) func argumentsOutOfRange(arguments: [String]) throws {
    try withFolder { folder in
      let run = try apus(["train", "digits"] + arguments, in: folder)
      #expect(run.code == 64 && run.errors.contains(arguments[0]), "\(run)")
    }
  }

  @Test func errorsAreForPeople() throws {
    try withFolder { folder in
      try Data().write(to: URL(filePath: "\(folder)/file"))
      let run = try apus(["train", "digits", "--output", "file/out"], in: folder)
      #expect(run.code == 1 && run.errors == "apus: the folder file/out can't be made: file is a file\n", "\(run)")
      let absent = try apus(["train", "digits", "--output", "/proc/none/out"], in: folder)
      #expect(
        absent.code == 1
          && absent.errors == "apus: the folder /proc/none/out can't be made: No such file or directory\n", "\(absent)")
    }
  }

  @Test func devices() throws {
    try withFolder { folder in
      let run = try apus(["devices"], in: folder)
      #expect(
        run.output.hasPrefix("cpu  ") && run.output.contains(" kernels, ") && run.output.contains("oneDNN"), "\(run)")
      let fields = try apus(["devices", "--json"], in: folder).json
      #expect(fields["engine"] as? String == "cpu" && fields["devices"] as? [String] == ["cpu"])
      #expect(run.output == "cpu  \(fields["description"] as? String ?? "")\n")
    }
  }

  @Test func aFullDiskIsNoticed() throws {
    try withFolder { folder in
      for arguments in [["devices"], ["devices", "--json"]] {
        let run = try apus(arguments, in: folder, outputTo: "/dev/full")
        #expect(run.code == 1 && run.errors.contains("standard output: No space left on device"), "\(run)")
      }
    }
  }

  /// Runs a line of the shell, in which `apus` is the program.
  private func shell(_ line: String, in folder: String) throws -> Run {
    let program = try process([], in: folder).executableURL?.path ?? ""
    let shell = Process()
    shell.executableURL = URL(filePath: "/bin/sh")
    shell.arguments = ["-c", "apus() { '\(program)' \"$@\"; }\n( \(line) ) > .stdout 2> .stderr"]
    shell.currentDirectoryURL = URL(filePath: folder)
    try shell.run()
    shell.waitUntilExit()
    func text(_ name: String) throws -> String {
      String(decoding: try Data(contentsOf: URL(filePath: "\(folder)/\(name)")), as: UTF8.self)
    }
    return Run(code: shell.terminationStatus, output: try text(".stdout"), errors: try text(".stderr"))
  }

  /// Bytes that are no text would be repaired, and a file go elsewhere: every command refuses them in every place.
  @Test(arguments: [
    "train digits --output x\\377", "train digits --output \\300\\257", "train mnist --data d\\200",
    "evaluate m\\376 digits", "predict m.safetensors i\\303.png", "summary \\355\\240\\200", "x\\377",
  ]) func argumentsThatAreNotUTF8(line: String) throws {
    try withFolder { folder in
      let run = try shell("apus $(printf '\(line)')", in: folder)
      #expect(run.code == 64 && run.errors.contains("is not UTF-8") && run.errors.contains("\\x"), "\(run)")
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder).sorted() == [".stderr", ".stdout"])
    }
  }

  /// Whether a process can be given a `/proc` without anything in it.
  private static let canHideProc: Bool = {
    let unshare = Process()
    unshare.executableURL = URL(filePath: "/usr/bin/env")
    unshare.arguments = ["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/proc"]
    unshare.standardError = FileHandle.nullDevice
    guard (try? unshare.run()) != nil else { return false }
    unshare.waitUntilExit()
    return unshare.terminationStatus == 0
  }()

  /// The arguments come from the system, not from `/proc`.
  @Test(.enabled(if: canHideProc, "needs unshare")) func withoutProc() throws {
    try withFolder { folder in
      try DigitModel(side: 8, classNames: ["a", "b"]).save(to: "\(folder)/m.safetensors")
      try RasterImage(width: 8, height: 8, channels: 1, samples: Array(0..<64)).write(to: "\(folder)/i.png")
      func run(_ arguments: String) throws -> Run {
        let program = try process([], in: folder).executableURL?.path ?? ""
        return try shell(
          "unshare -rm sh -c \"mount -t tmpfs none /proc && SWIFT_BACKTRACE=enable=no '\(program)' \(arguments)\"",
          in: folder)
      }
      let predict = try run("predict m.safetensors i.png")
      #expect(predict.code == 0 && predict.output.hasPrefix("i.png  "), "\(predict)")
      #expect(try run("predict m.safetensors none.png").code == 1)
      #expect(try run("summary --json m.safetensors").output.contains("apus.digit-network.1"))
      #expect(try run("evaluate m.safetensors digits").code == 0)
      #expect(try run("devices").code == 0 && run("none").code == 64 && run("predict").code == 64)
      let train = try run("train digits --epochs 1")
      #expect(train.code == 1 && train.errors.contains("needs /proc"), "\(train)")
      #expect(!FileManager.default.fileExists(atPath: "\(folder)/out"))
    }
  }

  /// Every file that a training writes in the end is looked at before it begins.
  @Test(arguments: [
    ("model.safetensors", []), ("curves.png", []), ("confusion.png", []), ("predictions.png", []), ("digit.png", []),
    ("checkpoint", []), (".lock", []), ("digit.png", ["--no-pictures"]),
  ]) func outputsAreCheckedBefore(name: String, options: [String]) throws {
    try withFolder { folder in
      let path = "\(folder)/out/\(name)"
      try FileManager.default.createDirectory(atPath: "\(folder)/out", withIntermediateDirectories: true)
      #expect(mkfifo(path, 0o600) == 0)
      let run = try apus(["train", "digits", "--epochs", "1"] + options, in: folder)
      if options.isEmpty {
        #expect(run.code == 1 && run.errors.contains("out/\(name) is ") && !run.output.contains("Epoch"), "\(run)")
        #expect(try FileManager.default.contentsOfDirectory(atPath: "\(folder)/out") == [name])
      } else {
        #expect(run.code == 0, "\(run)")
      }
      var status = stat()
      #expect(lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFIFO)
    }
  }

  /// Names in files do not steer the terminal.
  @Test func namesAreEscaped() throws {
    try withFolder { folder in
      try SafetensorsFile.write(["a\u{1B}[2J\u{9B}x": Tensor([1.0])], to: "\(folder)/evil.safetensors")
      let run = try apus(["summary", "evil.safetensors"], in: folder)
      #expect(run.code == 0 && run.output.hasPrefix("a\\u{1B}[2J\\u{009B}x  float32[1]"), "\(run)")
      let json = try apus(["summary", "--json", "evil.safetensors"], in: folder)
      #expect(!json.output.utf8.contains(0x1B) && json.output.contains("a\\u001b[2J\\u009bx"))
      try SafetensorsFile.write([:], metadata: ["architecture": "\u{1B}]0;x\u{7}"], to: "\(folder)/evil.safetensors")
      let predict = try apus(["predict", "evil.safetensors", "x.png"], in: folder)
      #expect(predict.code == 1 && !predict.errors.utf8.contains(0x1B), "\(predict)")
    }
  }
}

@Suite struct DigitModelTests {
  @Test func presets() throws {
    func fitting(_ side: Int) throws -> ImageReader.Fitting {
      try DigitModel(side: side, classNames: ["a", "b"]).fitting
    }
    #expect(try fitting(28).margin == 4 && fitting(28).cropsToContent)
    #expect(try fitting(8).width == 8 && fitting(8).cropsToContent && fitting(8).margin == 0)
    #expect(try fitting(16).width == 16 && !fitting(16).cropsToContent)
    for side in [-1, 0, 1, 3, 513] { #expect(throws: ApusError.self) { try fitting(side) } }
  }

  /// A file of some bytes that claims a network of a gigabyte is refused before one is built.
  @Test func claimsAreCheckedBeforeBuilding() throws {
    try withFolder { folder in
      let path = "\(folder)/m.safetensors"
      func message(_ tensors: StateDictionary, side: Int) throws -> String {
        try SafetensorsFile.write(
          tensors, metadata: ["architecture": DigitModel.architecture, "side": "\(side)", "classes": "a,b"], to: path)
        return #expect(throws: ApusError.self) { try DigitModel(path: path) }?.message ?? ""
      }
      #expect(
        try message([:], side: 512).contains(
          "\(path): side 512 and 2 classes need classifier.1.weight of float32[128, 1048576], the file has none"))
      var state = try DigitModel(side: 8, classNames: ["a", "b"]).network.stateDictionary()
      #expect(try message(state, side: 16).contains("need classifier.1.weight of float32[128, 1024]") == false)
      #expect(try message(state, side: 512).contains("the file has float32[128, 1024]"))
      state["features.0.weight"] = Tensor.zeros([1])
      let text = try message(state, side: 8)
      #expect(text.hasPrefix(path) && text.contains("features.0.weight"), "\(text)")
    }
  }
}
