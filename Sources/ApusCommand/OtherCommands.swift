import Apus
import ArgumentParser

/// `apus evaluate`
struct Evaluate: AsyncParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Measures a trained model on held-out images.")

  @Argument(help: "model.safetensors of 'apus train'") var model: String
  @Argument(help: "digits or mnist") var data: DataName
  @Option(name: .customLong("data"), help: "folder of the IDX files (mnist)") var directory: String?
  @Flag(help: "print the result as one line of JSON") var json = false

  func run() async throws {
    let loaded = try DigitModel(path: model)
    let test = try data.load(directory).test
    let side = try test.element(at: 0).inputs.shape[1]
    guard side == loaded.side else {
      throw ApusError(
        .shape, "\(model) takes images of \(loaded.side)×\(loaded.side), and \(data.rawValue)'s are \(side)×\(side)")
    }
    let report = try HeldOutReport(loaded, test)
    if json {
      Console.json([
        ("accuracy", .number(report.accuracy)), ("correct", .integer(report.correct)),
        ("images", .integer(report.actual.count)),
      ])
    } else {
      print("accuracy \((report.accuracy * 10000).rounded() / 100) % (\(report.correct) of \(report.actual.count))")
    }
  }
}

/// `apus predict`
struct Predict: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Names the digit in each PNG image.",
    discussion: """
      Images of any size are scaled to the model's; dark digits on a light ground are inverted. One line an image:
      file, digit, probability. An unreadable image is reported on standard error, the others are still done, and the exit code is 1.
      """)

  @Argument(help: "model.safetensors of 'apus train'") var model: String
  @Argument(help: "PNG files") var images: [String]
  @Flag(help: "print one line of JSON an image, with every class's probability") var json = false

  func run() async throws {
    let loaded = try DigitModel(path: model)
    let fitting = ImageReader.Fitting(width: loaded.side, height: loaded.side, mode: .contain)
    var failed = false
    for path in images {
      do {
        let image = try ImageReader.read(path, fitting: fitting)
        let probabilities = try loaded.probabilities(image.reshape([1, 1, loaded.side, loaded.side])).toArray()
        show(path, probabilities, loaded.classNames)
      } catch {
        failed = true
        Console.error("apus: \(error)")
      }
    }
    if failed { throw ExitCode(1) }
  }

  private func show(_ path: String, _ probabilities: [Float], _ names: [String]) {
    let best = probabilities.indices.max { probabilities[$0] < probabilities[$1] } ?? 0
    if json {
      Console.json([
        ("image", .string(path)), ("class", .string(names[best])),
        ("probability", .number(Double(probabilities[best]))),
        ("probabilities", .object(zip(names, probabilities).map { ($0, .number(Double($1))) })),
      ])
    } else {
      print("\(path)  \(names[best])  \((probabilities[best] * 1000).rounded() / 10) %")
    }
  }
}

/// `apus summary`
struct Summary: AsyncParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Shows a model's layers, output shapes and parameters.")

  @Argument(help: "model.safetensors of 'apus train', or any safetensors file") var model: String

  func run() async throws {
    let file = try SafetensorsFile(model)
    if file.metadata["architecture"] == DigitModel.architecture {
      let loaded = try DigitModel(path: model)
      print(try loaded.network.summary(input: [1, 1, loaded.side, loaded.side]))
      return
    }
    for name in file.names { print("\(name)  \(file.type(of: name)?.description ?? "")") }
  }
}

/// `apus devices`
struct Devices: AsyncParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Lists the devices that models can run on.")

  @Flag(help: "print one line of JSON") var json = false

  func run() async throws {
    let engine = Engines.embedded
    if json {
      Console.json([
        ("engine", .string(engine.name)), ("devices", .array(engine.devices.map { .string($0.description) })),
        ("description", .string(engine.summary)),
      ])
    } else {
      for device in engine.devices { print("\(device)  \(engine.summary)") }
    }
  }
}
