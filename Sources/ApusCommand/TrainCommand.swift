import Apus
import ApusFiles
import ArgumentParser

#if canImport(Glibc)
  import Glibc
#endif

/// `apus train`: the main job.
struct Train: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Trains a small convolutional network on images of handwritten digits.",
    discussion: """
      digits  the built-in UCI optical digits: 1,438 images of 8×8 to train with, 359 held out (every fifth)
      mnist   MNIST's four IDX files, or any data set in their format, in the folder given with --data

      Writes to --output: model.safetensors, checkpoint/ (after every epoch; --resume goes on from it), curves.png,
      confusion.png, predictions.png, and digit.png, the first image held out, for 'apus predict'. While it runs, .lock in
      there says so, and another training that would write there ends with an error.

      --resume goes on with the number of epochs and the learning rate that the run was begun with.
      """)

  @Argument(help: "digits or mnist") var data: DataName
  @Option(name: .customLong("data"), help: "folder of the IDX files (mnist)") var directory: String?
  @Option(name: .shortAndLong, help: "folder for the model and the pictures") var output = "out"
  @Option(help: "times through the data (default: \(DataName.defaults { $0.epochs }))") var epochs: Int?
  @Option(help: "images a step (default: \(DataName.defaults { $0.batchSize }))") var batchSize: Int?
  @Option(
    help: "Adam's learning rate, which falls to 0 along a cosine (default: \(DataName.defaults { $0.learningRate }))")
  var learningRate: Double?
  @Option(help: "decides initial weights, order of the data and dropout") var seed: UInt64 = 0
  @Option(help: "also save a checkpoint every so many steps") var checkpointEvery: Int?
  @Option(help: "fail (exit code 2) below this held-out accuracy, 0…1") var minimumAccuracy: Double?
  @Flag(help: "run every operation at once instead of compiling the step") var eager = false
  @Flag(help: "go on from --output's checkpoint") var resume = false
  @Flag(help: "with --resume: allow other --epochs or another --learning-rate than the run was begun with")
  var newSchedule = false
  @Flag(help: "draw no pictures") var noPictures = false
  @Flag(help: "print the result as one line of JSON; progress goes to standard error") var json = false

  func validate() throws {
    try data.check(directory)
    // Steps are counted over all epochs: both have a bound far from overflow.
    if let epochs, !(1...1_000_000).contains(epochs) { throw ValidationError("--epochs \(epochs): 1 to 1000000 fit") }
    if let batchSize, !(1...1_000_000).contains(batchSize) {
      throw ValidationError("--batch-size \(batchSize): 1 to 1000000 fit")
    }
    if let minimumAccuracy, !(0...1).contains(minimumAccuracy) {
      throw ValidationError("--minimum-accuracy \(minimumAccuracy): 0 to 1 fit")
    }
    if newSchedule && !resume { throw ValidationError("--new-schedule: only --resume has an old one") }
    if output.isEmpty { throw ValidationError("--output needs a folder's name") }
    if let learningRate, !(learningRate > 0 && learningRate.isFinite) {
      throw ValidationError("--learning-rate \(learningRate): a number above 0 fits")
    }
    if let checkpointEvery, checkpointEvery < 1 {
      throw ValidationError("--checkpoint-every \(checkpointEvery): 1 or more fit")
    }
  }

  func run() async throws {
    let digits = try data.load(directory)
    let (train, test, side) = (digits.train, digits.test, digits.side)
    try makeFolder(output)
    let lock = try FolderLock(within: output)
    defer { withExtendedLifetime(lock) {} }
    // What can't be written is not noticed after hours.
    for name in [Self.modelName] + (noPictures ? [] : Self.pictureNames) {
      try AtomicReplacement.checkFile("\(output)/\(name)")
    }
    let checkpoint = "\(output)/checkpoint"
    let run = try settings(checkpoint)
    manualSeed(seed)
    let model = try DigitModel(side: side, classNames: digits.classNames)
    try say(model.network.summary(input: [1, 1, side, side]).description)
    try say("\(train.count) images to train with, \(test.count) held out\n")
    let trainer = Trainer(
      model.network, optimizer: Adam(learningRate: run.learningRate),
      loss: .sparseCategoricalCrossEntropy, metrics: [.accuracy], mode: eager ? .eager : .compiled)
    if resume { try trainer.resume(from: checkpoint) }
    let heldOut = try test.batched(64)
    let clock = ContinuousClock()
    let start = clock.now
    let batches = try train.shuffled(seed: seed).batched(batchSize ?? data.recipe.batchSize)
    let history = try await trainer.fit(
      batches, epochs: run.epochs, validation: heldOut,
      callbacks: [
        .learningRate(.cosine(steps: Swift.max(run.epochs * batches.count, 1)), isNew: newSchedule),
        .progress(to: json ? .standardError : .standardOutput), .checkpoint(checkpoint, everySteps: checkpointEvery),
      ])
    let seconds = start.duration(to: clock.now) / .seconds(1)

    let path = "\(output)/\(Self.modelName)"
    try model.save(to: path)
    // What is reported and drawn comes from the file, as a user of the model would load it.
    let loaded = try DigitModel(path: path)
    let report = try HeldOutReport(loaded, test)
    var pictures: [String] = []
    let digit = "\(output)/\(Self.pictureNames[3])"
    if !noPictures {
      pictures = try drawPictures(history, report, loaded)
      try report.firstImage(loaded).write(to: digit)
      pictures.append(digit)
    }
    if json {
      try Console.json([
        ("model", .string(path)), ("epochs", .integer(history.epochs.count)), ("seconds", .number(seconds)),
        ("test", .object([("accuracy", .number(report.accuracy)), ("images", .integer(report.actual.count))])),
        ("pictures", .array(pictures.map(JSON.string))),
      ])
    } else {
      try Console.show("\nheld-out accuracy \(report.summary), trained in \((seconds * 10).rounded() / 10) s")
      try Console.show("model      \(path)")
      for picture in pictures {
        let note = picture == digit ? "  (a held-out \(loaded.classNames[report.actual[0]]))" : ""
        try Console.show("picture    \(picture)\(note)")
      }
      // The program as it was called, so that the line can be pasted.
      try Console.show("\ntry: \(ProgramArguments.program) predict \(path) \(noPictures ? "IMAGE.png" : digit)")
    }
    if let minimumAccuracy, report.accuracy < minimumAccuracy {
      Console.error("apus: the held-out accuracy \(report.accuracy) is below --minimum-accuracy \(minimumAccuracy)")
      throw ExitCode(2)
    }
  }

  private static let modelName = "model.safetensors"
  private static let pictureNames = ["curves.png", "confusion.png", "predictions.png", "digit.png"]

  /// The run's length and first rate: a resumed one's own, unless others are asked for twice.
  private func settings(_ checkpoint: String) throws -> RunSettings {
    let begun = resume ? try Trainer.runSettings(of: checkpoint) : nil
    let wanted = RunSettings(
      epochs: epochs ?? begun?.epochs ?? data.recipe.epochs,
      learningRate: learningRate ?? begun?.learningRate ?? data.recipe.learningRate)
    if let begun, begun != wanted, !newSchedule {
      throw ApusError(
        .argument,
        "the run in \(checkpoint) was begun with --epochs \(begun.epochs) --learning-rate \(begun.learningRate), which its "
          + "schedule depends on: leave those out, or add --new-schedule to go on with others")
    }
    return wanted
  }

  private func say(_ text: String) throws {
    if json { Console.error(text) } else { try Console.show(text) }
  }

  private func drawPictures(_ history: History, _ report: HeldOutReport, _ model: DigitModel) throws -> [String] {
    let pictures: [(String, any Picture)] = [
      (
        Self.pictureNames[0],
        LearningCurves(
          title: "apus train \(data.rawValue)", trainLoss: history["loss"], validationLoss: history["val_loss"],
          trainAccuracy: history["accuracy"], validationAccuracy: history["val_accuracy"])
      ),
      (
        Self.pictureNames[1],
        try ConfusionMatrix(predicted: report.predicted, actual: report.actual, classes: model.classNames)
      ),
      (Self.pictureNames[2], try report.sheet(model)),
    ]
    var written: [String] = []
    for (name, picture) in pictures {
      do {
        try picture.write(to: "\(output)/\(name)")
        written.append("\(output)/\(name)")
      } catch let error as ApusError where error.kind == .unsupported {
        // The model is what was asked for; a missing drawing library must not fail the run.
        Console.error("apus: \(name) was not drawn: \(error)")
      }
    }
    return written
  }
}

extension DataName: ExpressibleByArgument {}

/// Makes a folder and those above it.
func makeFolder(_ path: String) throws {
  var made = path.utf8.first == UInt8(ascii: "/") ? "/" : ""
  for part in FilePath.parts(path) {
    made += made.isEmpty || made == "/" ? part : "/" + part
    if mkdir(made, 0o777) == 0 { continue }
    let code = errno
    // A folder that is there answers differently in places that may not be written.
    var status = stat()
    let exists = stat(made, &status) == 0
    guard exists, status.st_mode & S_IFMT == S_IFDIR else {
      throw ApusError(
        .file, "the folder \(path) can't be made: \(exists ? "\(made) is a file" : String(cString: strerror(code)))")
    }
  }
}
