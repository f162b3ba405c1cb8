import Apus
import ArgumentParser

/// The data sets `apus` knows by name.
enum DataName: String, CaseIterable, Sendable {
  case digits, mnist

  typealias Recipe = (epochs: Int, batchSize: Int, learningRate: Double)

  /// What a training does unless told otherwise.
  var recipe: Recipe {
    switch self {
    case .digits: (40, 32, 1e-3)
    case .mnist: (20, 32, 2e-3)
    }
  }

  /// For help texts: "40 digits, 20 mnist".
  static func defaults(_ part: (Recipe) -> some Any) -> String {
    allCases.map { "\(part($0.recipe)) \($0.rawValue)" }.joined(separator: ", ")
  }

  /// - Throws: `ValidationError` for a folder that would not be read.
  func check(_ directory: String?) throws {
    if self == .digits, let directory {
      throw ValidationError("--data \(directory): digits are built in; the option is for mnist")
    }
  }

  /// - Throws: `ApusError` when there is no such data, or its images are none that a digit network takes.
  func load(_ directory: String?) throws -> DigitData {
    let split = try split(directory)
    return try DigitData(split, name: directory.map { "\(rawValue) in \($0)" } ?? rawValue)
  }

  private func split(_ directory: String?) throws -> Datasets.Split {
    switch self {
    case .digits: return try Datasets.digits()
    case .mnist:
      guard let directory else {
        throw ApusError(.argument, "mnist needs --data DIR, the folder with train-images-idx3-ubyte and its companions")
      }
      return try Datasets.mnist(directory: directory)
    }
  }
}

/// Images to train with and held-out ones, square and all of one size.
struct DigitData: Sendable {
  let train: Dataset
  let test: Dataset
  let classNames: [String]
  let side: Int

  /// - Throws: `ApusError` naming the part that is empty or holds images of another shape.
  init(_ split: Datasets.Split, name: String) throws {
    func side(_ part: Dataset, _ title: String) throws -> Int {
      guard part.count > 0 else { throw ApusError(.file, "\(name): there are no images \(title)") }
      let shape = try part.element(at: 0).inputs.shape
      let (height, width) = (shape[1], shape[2])
      guard height == width, DigitModel.sides.contains(height) else {
        throw ApusError(
          .file,
          "\(name): the images \(title) are \(height)×\(width); square ones of \(DigitModel.sides.lowerBound) to "
            + "\(DigitModel.sides.upperBound) pixels a side fit")
      }
      return height
    }
    let sides = try (side(split.train, "to train with"), side(split.test, "held out"))
    guard sides.0 == sides.1 else {
      throw ApusError(
        .file, "\(name): the images to train with are \(sides.0)×\(sides.0), those held out \(sides.1)×\(sides.1)")
    }
    self.side = sides.0
    (train, test, classNames) = (split.train, split.test, split.classNames)
  }
}

/// A trained digit network and what is needed to use it: kept as safetensors with metadata.
struct DigitModel: Sendable {
  let network: DigitNetwork
  let side: Int
  let classNames: [String]

  static let architecture = "apus.digit-network.1"
  /// Of images that can be learned from, and that model files may have.
  static let sides = 4...512
  private static let classCounts = 2...1000

  /// A fresh network, whose weights the default generator decides.
  /// - Throws: `ApusError` (argument) for a side or a number of classes that no network is made for.
  init(side: Int, classNames: [String]) throws {
    guard Self.sides.contains(side), Self.classCounts.contains(classNames.count) else {
      throw ApusError(
        .argument,
        "a digit network for images of \(side)×\(side) and \(classNames.count) classes: sides of 4 to 512 and 2 to 1000 "
          + "classes fit")
    }
    self.side = side
    self.classNames = classNames
    network = DigitNetwork(side: side, classes: classNames.count)
  }

  /// - Throws: `ApusError` (file) when the file is missing, damaged, or another kind of model.
  init(path: String) throws { try self.init(SafetensorsFile(path), path) }

  /// - Throws: as ``init(path:)``.
  init(_ file: SafetensorsFile, _ path: String) throws {
    guard file.metadata["architecture"] == Self.architecture else {
      let found = file.metadata["architecture"].map { "its architecture is \($0)" } ?? "it names no architecture"
      throw ApusError(.file, "\(path) was not made by 'apus train': \(found), where \(Self.architecture) fits")
    }
    guard let side = file.metadata["side"].flatMap(Int.init), Self.sides.contains(side),
      let names = file.metadata["classes"]?.split(separator: ",").map(String.init),
      Self.classCounts.contains(names.count)
    else { throw ApusError(.file, "\(path): its metadata 'side' and 'classes' are missing or senseless") }
    // A few bytes may claim any side: before so much is allocated, the weights must be seen to be in the file.
    for (name, shape) in DigitNetwork.linearShapes(side: side, classes: names.count) {
      let type = file.type(of: name)
      guard type == TensorType(.float32, shape) else {
        throw ApusError(
          .file,
          "\(path): side \(side) and \(names.count) classes need \(name) of \(TensorType(.float32, shape)), the file has "
            + (type?.description ?? "none"))
      }
    }
    try self.init(side: side, classNames: names)
    do {
      try network.loadStateDictionary(file.stateDictionary())
    } catch var error as ApusError where error.kind == .argument {
      error.message = "\(path): \(error.message)"
      throw error
    }
    network.eval()
  }

  func save(to path: String) throws {
    try network.save(
      to: path,
      metadata: [
        "format": "pt", "architecture": Self.architecture, "side": "\(side)",
        "classes": classNames.joined(separator: ","),
      ])
  }

  /// How an image of any size becomes one for the model: as the images were that it learned from.
  var fitting: ImageReader.Fitting {
    switch side {
    case 28: .mnist
    case 8: .opticalDigits
    default: .init(width: side, height: side, mode: .contain)
    }
  }

  /// Probabilities, float32[N, classes], of images float32[N, 1, side, side].
  func probabilities(_ images: Tensor) throws -> Tensor {
    try checked { withoutGradients { network(images).softmax(axis: 1) } }
  }
}
