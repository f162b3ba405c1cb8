import ApusCore
import ApusFiles
import CDigits

/// Data sets that are built in or read from their published files.
///
/// Images are float32[N, 1, height, width] from 0 (paper) to 1 (ink), labels int64[N].
/// ```swift
/// let digits = try Datasets.digits()
/// let train = try digits.train.shuffled(seed: 0).batched(32)
/// let mnist = try Datasets.mnist(directory: "data/mnist")
/// ```
public enum Datasets {
  /// A data set's two parts.
  public struct Split: Sendable {
    /// To train on.
    public let train: Dataset
    /// Held out.
    public let test: Dataset
    /// The classes' names, in the labels' order.
    public let classNames: [String]
  }

  /// The UCI optical recognition of handwritten digits (E. Alpaydin, C. Kaynak, 1998, https://doi.org/10.24432/C50P49,
  /// CC BY 4.0): 1,797 real 8×8 images, built in.
  ///
  /// The split is fixed: of every five images in the source's order the last is held out (index % 5 == 4). That makes
  /// 1,438 images to train on and 359 to test with.
  /// - Returns: examples of float32[1, 8, 8] and an int64 label each.
  /// - Throws: what ``Dataset/init(_:)`` throws.
  public static func digits() throws -> Split {
    let count = Int(APUS_DIGITS_COUNT)
    let size = Int(APUS_DIGITS_HEIGHT * APUS_DIGITS_WIDTH)
    var pixels = [UInt8](repeating: 0, count: count * size)
    var labels = [UInt8](repeating: 0, count: count)
    apus_digits_copy(&pixels, &labels)

    func part(_ isIncluded: (Int) -> Bool) throws -> Dataset {
      let indices = (0..<count).filter(isIncluded)
      let images = indices.flatMap { index in
        pixels[index * size..<(index + 1) * size].map { Float($0) / Float(APUS_DIGITS_MAXIMUM) }
      }
      let shape = Shape([indices.count, 1, Int(APUS_DIGITS_HEIGHT), Int(APUS_DIGITS_WIDTH)])
      return try Dataset(Tensor(images, shape: shape), Tensor(indices.map { Int64(labels[$0]) }))
    }
    return try Split(train: part { $0 % 5 != 4 }, test: part { $0 % 5 == 4 }, classNames: digitNames)
  }

  /// The MNIST files in a folder: 60,000 images to train on and 10,000 to test with as published, other numbers if the
  /// files hold others.
  ///
  /// ```swift
  /// let mnist = try Datasets.mnist(directory: "data/mnist")
  /// let train = try mnist.train.shuffled(seed: 0).batched(128)      // float32[128, 1, 28, 28], int64[128]
  /// ```
  /// Each of the four files may be compressed (`.gz`) or not, and its name may have a dot where the published one
  /// has a dash (`train-images.idx3-ubyte`). Data sets in the same format, as Fashion-MNIST, are read too.
  /// - Parameter directory: the folder with `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`,
  ///   `t10k-images-idx3-ubyte` and `t10k-labels-idx1-ubyte`.
  /// - Returns: examples of float32[1, 28, 28] and an int64 label each.
  /// - Throws: `ApusError` (file) that names the file that is missing, damaged, or does not fit the others.
  public static func mnist(directory: String) throws -> Split {
    func part(_ prefix: String) throws -> Dataset {
      let imagesPath = try find("\(prefix)-images", "idx3-ubyte", in: directory)
      let labelsPath = try find("\(prefix)-labels", "idx1-ubyte", in: directory)
      let images = try IDX.read(imagesPath)
      let labels = try IDX.read(labelsPath)
      guard images.dtype == .uint8, images.rank == 3 else {
        throw ApusError(.file, "\(imagesPath) holds \(images.type), where images are uint8[N, height, width]")
      }
      guard labels.dtype == .uint8, labels.rank == 1, labels.shape[0] == images.shape[0] else {
        throw ApusError(
          .file,
          "\(labelsPath) holds \(labels.type), where the labels of the images beside it are uint8[\(images.shape[0])]")
      }
      let classes = labels.toArray(of: UInt8.self)
      if let odd = classes.first(where: { $0 > 9 }) {
        throw ApusError(.file, "\(labelsPath) holds the label \(odd), where 0 to 9 are expected")
      }
      // Pixels stay bytes until they are part of a batch: a quarter of the memory.
      return try Dataset(images[.all, .newAxis], Tensor(classes.map(Int64.init)))
        .mapVectorized { Batch($0.inputs.cast(to: .float32) / 255, $0[1]) }
    }
    return try Split(train: part("train"), test: part("t10k"), classNames: digitNames)
  }

  private static let digitNames = (0...9).map(String.init)

  private static func find(_ stem: String, _ kind: String, in directory: String) throws -> String {
    let names = ["-", "."].flatMap { ["\(stem)\($0)\(kind)", "\(stem)\($0)\(kind).gz"] }
    let folder = directory.hasSuffix("/") ? directory : directory + "/"
    guard let name = names.first(where: { InputFile.exists(folder + $0) }) else {
      throw ApusError(.file, "\(directory) has none of \(names.joined(separator: ", "))")
    }
    return folder + name
  }
}
