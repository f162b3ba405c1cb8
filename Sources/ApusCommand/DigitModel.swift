import Apus

/// The data sets `apus` knows by name.
enum DataName: String, CaseIterable, Sendable {
  case digits, mnist

  /// What a training does unless told otherwise.
  var recipe: (epochs: Int, batchSize: Int, learningRate: Double) {
    switch self {
    case .digits: (20, 32, 1e-3)
    case .mnist: (15, 64, 1e-3)
    }
  }

  func load(_ directory: String?) throws -> Datasets.Split {
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

/// A trained digit network and what is needed to use it: kept as safetensors with metadata.
struct DigitModel: Sendable {
  let network: DigitNetwork
  let side: Int
  let classNames: [String]

  static let architecture = "apus.digit-network.1"

  /// A fresh network; `seed` decides its weights.
  init(side: Int, classNames: [String]) {
    self.side = side
    self.classNames = classNames
    network = DigitNetwork(side: side, classes: classNames.count)
  }

  /// - Throws: `ApusError` (file) when the file is missing, damaged, or another kind of model.
  init(path: String) throws {
    let file = try SafetensorsFile(path)
    guard file.metadata["architecture"] == Self.architecture else {
      let found = file.metadata["architecture"].map { "its architecture is \($0)" } ?? "it names no architecture"
      throw ApusError(.file, "\(path) was not made by 'apus train': \(found), where \(Self.architecture) fits")
    }
    guard let side = file.metadata["side"].flatMap(Int.init), (4...512).contains(side),
      let names = file.metadata["classes"]?.split(separator: ",").map(String.init), (2...1000).contains(names.count)
    else { throw ApusError(.file, "\(path): its metadata 'side' and 'classes' are missing or senseless") }
    self.init(side: side, classNames: names)
    try network.loadStateDictionary(file.stateDictionary())
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

  /// Probabilities, float32[N, classes], of images float32[N, 1, side, side].
  func probabilities(_ images: Tensor) throws -> Tensor {
    try checked { withoutGradients { network(images).softmax(axis: 1) } }
  }
}
