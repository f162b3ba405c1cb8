import Apus
import ArgumentParser

/// `apus evaluate`
struct Evaluate: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Measures a trained model on held-out images.")

  @Argument(help: "model.safetensors of 'apus train'") var model: String
  @Argument(help: "digits or mnist") var data: DataName
  @Option(name: .customLong("data"), help: "folder of the IDX files (mnist)") var directory: String?
  @Flag(help: "print the result as one line of JSON") var json = false

  func validate() throws { try data.check(directory) }

  func run() throws {
    let loaded = try DigitModel(path: model)
    let digits = try data.load(directory)
    guard digits.side == loaded.side else {
      throw ApusError(
        .shape,
        "\(model) takes images of \(loaded.side)×\(loaded.side), and \(data.rawValue)'s are \(digits.side)×\(digits.side)"
      )
    }
    let report = try HeldOutReport(loaded, digits.test)
    if json {
      try Console.json([
        ("accuracy", .number(report.accuracy)), ("correct", .integer(report.correct)),
        ("images", .integer(report.actual.count)),
      ])
    } else {
      try Console.show("accuracy \(report.summary)")
    }
  }
}

/// `apus predict`
struct Predict: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Names the digit in each PNG image.",
    discussion: """
      Images of any size are scaled to the model's; dark digits on a light ground are inverted. One line an image:
      file, digit, probability. An unreadable image is reported on standard error, the others are still done, and the exit code is 1.
      """)

  @Argument(help: "model.safetensors of 'apus train'") var model: String
  @Argument(help: "PNG files") var images: [String]
  @Flag(help: "print one line of JSON an image, with every class's probability") var json = false

  func run() throws {
    let loaded = try DigitModel(path: model)
    var failed = false
    for path in images {
      let probabilities: [Float]
      do {
        let image = try ImageReader.read(path, fitting: loaded.fitting)
        probabilities = try loaded.probabilities(image.reshape([1, 1, loaded.side, loaded.side])).toArray()
      } catch {
        failed = true
        Console.error("apus: \(error)")
        continue
      }
      try show(path, probabilities, loaded.classNames)
    }
    if failed { throw ExitCode(1) }
  }

  private func show(_ path: String, _ probabilities: [Float], _ names: [String]) throws {
    let best = probabilities.indices.max { probabilities[$0] < probabilities[$1] } ?? 0
    if json {
      try Console.json([
        ("image", .string(path)), ("class", .string(names[best])),
        ("probability", .number(Double(probabilities[best]))),
        ("probabilities", .object(zip(names, probabilities).map { ($0, .number(Double($1))) })),
      ])
    } else {
      try Console.show(
        "\(Console.plain(path))  \(Console.plain(names[best]))  \((probabilities[best] * 1000).rounded() / 10) %")
    }
  }
}

/// `apus summary`
struct Summary: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Shows a model's layers, output shapes and parameters.")

  @Argument(help: "model.safetensors of 'apus train', or any safetensors file") var model: String
  @Flag(help: "print one line of JSON: architecture, tensors, number of their elements") var json = false

  func run() throws {
    let file = try SafetensorsFile(model)
    if json { return try showJSON(file) }
    if file.metadata["architecture"] == DigitModel.architecture {
      let loaded = try DigitModel(file, model)
      try Console.show(loaded.network.summary(input: [1, 1, loaded.side, loaded.side]).description)
      return
    }
    for name in file.names { try Console.show("\(Console.plain(name))  \(file.type(of: name)?.description ?? "")") }
  }

  private func showJSON(_ file: SafetensorsFile) throws {
    let tensors = file.names.compactMap { name in file.type(of: name).map { (name: name, type: $0) } }
    try Console.json([
      ("architecture", file.metadata["architecture"].map(JSON.string) ?? .null),
      (
        "tensors",
        .array(
          tensors.map { tensor in
            .object([
              ("name", .string(tensor.name)), ("dtype", .string("\(tensor.type.dtype)")),
              ("shape", .array(tensor.type.shape.map(JSON.integer))),
            ])
          })
      ),
      // No overflow: elements take bytes, which the file was seen to have; sizes beside a 0 may be anything.
      ("elements", .integer(tensors.reduce(0) { $0 + ($1.type.shape.contains(0) ? 0 : $1.type.shape.reduce(1, *)) })),
    ])
  }
}

/// `apus devices`
struct Devices: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Lists the devices that models can run on.")

  @Flag(help: "print one line of JSON") var json = false

  func run() throws {
    let engine = Engines.embedded
    if json {
      try Console.json([
        ("engine", .string(engine.name)), ("devices", .array(engine.devices.map { .string($0.description) })),
        ("description", .string(engine.summary)),
      ])
    } else {
      for device in engine.devices { try Console.show("\(device)  \(engine.summary)") }
    }
  }
}
