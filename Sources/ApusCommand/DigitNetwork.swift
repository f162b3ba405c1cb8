import Apus

/// The small convolutional network that `apus train` fits to images of digits.
///
/// ```
/// Conv 3×3 → 32, batch norm, ReLU, max pool 2×2
/// Conv 3×3 → 64, batch norm, ReLU, max pool 2×2
/// flatten, dropout, Linear → 10
/// ```
/// The keys of its state dictionary are those of the same `nn.Sequential` in PyTorch.
enum DigitNetwork {
  /// - Parameters:
  ///   - side: the images' height and width, at least 4.
  ///   - dropout: the share of features that training drops before the last layer.
  static func make(side: Int, classes: Int = 10, dropout: Double) -> Sequential {
    Sequential {
      Conv2D(1, 32, kernelSize: 3, padding: 1)
      BatchNorm2D(32)
      ReLU()
      MaxPool2D(2)
      Conv2D(32, 64, kernelSize: 3, padding: 1)
      BatchNorm2D(64)
      ReLU()
      MaxPool2D(2)
      Flatten()
      Dropout(dropout)
      Linear(64 * (side / 4) * (side / 4), classes)
    }
  }
}
