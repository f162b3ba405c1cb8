import Apus

/// The small convolutional network that `apus train` fits to images of digits.
///
/// ```
/// Conv 3×3 → 32, batch norm, ReLU          (side ≥ 16: then max pool 2×2)
/// Conv 3×3 → 64, batch norm, ReLU, max pool 2×2, dropout ¼
/// flatten, Linear → 128, ReLU, dropout ½, Linear → classes
/// ```
/// Keys of its state dictionary are those of the same `nn.Sequential`s in PyTorch.
final class DigitNetwork: Module {
  let features: Sequential
  let classifier: Sequential

  /// - Parameters:
  ///   - side: the images' height and width.
  ///   - classes: how many digits there are to tell apart.
  init(side: Int, classes: Int = 10) {
    let pools = Self.poolsTwice(side)
    features = Sequential {
      Conv2D(1, 32, kernelSize: 3, padding: 1)
      BatchNorm2D(32)
      ReLU()
      if pools { MaxPool2D(2) }
      Conv2D(32, 64, kernelSize: 3, padding: 1)
      BatchNorm2D(64)
      ReLU()
      MaxPool2D(2)
      Dropout(0.25)
    }
    classifier = Sequential {
      Flatten()
      Linear(Self.featureCount(side), 128)
      ReLU()
      Dropout(0.5)
      Linear(128, classes)
    }
  }

  private static func poolsTwice(_ side: Int) -> Bool { side >= 16 }

  private static func featureCount(_ side: Int) -> Int {
    let rest = poolsTwice(side) ? side / 2 / 2 : side / 2
    return 64 * rest * rest
  }

  /// The weights whose sizes depend on side and classes, by their names.
  static func linearShapes(side: Int, classes: Int) -> [(name: String, shape: Shape)] {
    [("classifier.1.weight", [128, featureCount(side)]), ("classifier.4.weight", [classes, 128])]
  }

  func forward(_ x: Tensor) -> Tensor { classifier(features(x)) }
}
