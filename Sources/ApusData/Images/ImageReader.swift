import ApusCore
import CRows

/// Images as tensors.
///
/// ```swift
/// let photo = try ImageReader.read("photo.png")                       // uint8[3, 480, 640]
/// let depth = try ImageReader.read("depth16.png")                     // uint16[480, 640]
/// let digit = try ImageReader.read("seven.png", fitting: .mnist)         // float32[1, 28, 28]
/// let scores = try trainer.predict(digit.unsqueezed(0))                  // a batch of one
/// ```
/// PNG only. Channels come first, as the layers take them; other libraries read [height, width, channels].
public enum ImageReader {
  /// Reads a PNG file as it is.
  /// - Parameter path: of the file.
  /// - Returns: [height, width] for gray images, [channels, height, width] otherwise (2 gray and opacity, 3 RGB, 4 RGB
  ///   and opacity): uint8 from 0 to 255, or uint16 from 0 to 65535 for files of 16 bits a sample (as torchvision's
  ///   `decode_image` has it).
  /// - Throws: `ApusError` (file) that names the file and what is wrong with it.
  public static func read(_ path: String) throws -> Tensor { try planes(of: RasterImage.read(path)) }

  /// Reads a PNG file of any size for a model that takes one size.
  /// - Parameters:
  ///   - path: of the file.
  ///   - fitting: what the model takes: `.mnist`, `.opticalDigits` or one of one's own.
  /// - Returns: float32[channels, height, width], 0 to 1, of 16-bit files with all their levels.
  /// - Throws: `ApusError`: (file) names the file and what is wrong with it, (argument) an impossible size.
  public static func read(_ path: String, fitting: Fitting) throws -> Tensor {
    try tensor(RasterImage.read(path), fitting: fitting)
  }

  /// What becomes of an image that does not have a model's size, channels and polarity.
  ///
  /// ```swift
  /// let fitting = ImageReader.Fitting(width: 224, height: 224, channels: 3, inversion: .never, mode: .contain)
  /// let x = try ImageReader.read("photo.png", fitting: fitting)            // float32[3, 224, 224]
  /// ```
  public struct Fitting: Sendable {
    /// Whether an image is turned into its negative.
    public enum Inversion: Sendable {
      case never, always
      /// When its border is light: digits photographed or drawn dark on white become bright on black, as MNIST's are.
      case automatic
    }

    /// What happens when the shapes differ.
    public enum Mode: Sendable {
      /// Width and height are scaled apart.
      case stretch
      /// The largest scale at which the image fits, centred; the rest is 0.
      case contain
    }

    /// Of the result, in pixels.
    public var width: Int
    /// Of the result, in pixels.
    public var height: Int
    /// 1 or 3.
    public var channels: Int
    /// Which images are turned into their negatives.
    public var inversion: Inversion
    /// How other shapes are made to fit.
    public var mode: Mode
    /// Cuts a gray image to what is bright (after the inversion) before it is scaled.
    public var cropsToContent: Bool
    /// Pixels left empty at every side of the result.
    public var margin: Int

    /// What a model takes.
    /// - Parameters:
    ///   - width: of the result, in pixels.
    ///   - height: of the result, in pixels.
    ///   - channels: 1 or 3.
    ///   - inversion: which images are turned into their negatives.
    ///   - mode: how other shapes are made to fit.
    ///   - cropsToContent: cuts a gray image to what is bright before it is scaled.
    ///   - margin: pixels left empty at every side.
    public init(
      width: Int, height: Int, channels: Int = 1, inversion: Inversion = .automatic, mode: Mode = .stretch,
      cropsToContent: Bool = false, margin: Int = 0
    ) {
      self.width = width
      self.height = height
      self.channels = channels
      self.inversion = inversion
      self.mode = mode
      self.cropsToContent = cropsToContent
      self.margin = margin
    }
  }

  /// An image as it is: [height, width] if gray, otherwise [channels, height, width]; uint8, or uint16 for 16 bits a
  /// sample.
  public static func tensor(_ image: RasterImage) -> Tensor {
    do {
      return try planes(of: image)
    } catch {
      return Tensor.failure(error as? ApusError ?? ApusError(.memory, "\(error)"), as: type(of: image))
    }
  }

  private static func type(of image: RasterImage) -> TensorType {
    let size = [image.height, image.width]
    return TensorType(
      image.bitDepth == 8 ? .uint8 : .uint16, Shape(image.channels == 1 ? size : [image.channels] + size))
  }

  private static func planes(of image: RasterImage) throws -> Tensor {
    let result = try Storage(type(of: image))
    apus_split_channels(
      result.plainAddress, image.samples, image.width * image.height, image.channels, image.bitDepth == 16)
    return Tensor(storage: result)
  }

  /// An image as float32[channels, height, width], 0 to 1. One that has the right size is neither cropped nor moved.
  /// - Throws: `ApusError` (argument) for an impossible size, margin or number of channels.
  public static func tensor(_ image: RasterImage, fitting: Fitting) throws -> Tensor {
    try fitting.check()
    var plain = fitting.channels == 1 ? image.gray() : image.rgb()
    let inverts =
      switch fitting.inversion {
      case .never: false
      case .always: true
      case .automatic: plain.hasLightBackground
      }
    if inverts { plain = plain.inverted() }
    let values: [Float]
    if plain.width == fitting.width, plain.height == fitting.height {
      values = plain.samples.map(Float.init)
    } else {
      if fitting.cropsToContent, fitting.channels == 1 { plain = plain.croppedToBright() }
      let (columns, rows) = fitting.room(for: plain)
      values = centered(
        try plain.resizedValues(width: columns, height: rows), columns: columns, rows: rows, in: fitting)
    }
    let maximum = Float(plain.maximum)
    return Tensor(
      planes(of: values, channels: fitting.channels).map { $0 / maximum },
      shape: Shape([fitting.channels, fitting.height, fitting.width]))
  }

  /// Interleaved samples sorted by channel.
  private static func planes<T>(of samples: [T], channels: Int) -> [T] {
    if channels == 1 { return samples }
    return (0..<channels).flatMap { channel in
      stride(from: channel, to: samples.count, by: channels).map { samples[$0] }
    }
  }

  /// Interleaved samples in the middle of an image of zeros.
  private static func centered(_ values: [Float], columns: Int, rows: Int, in fitting: Fitting) -> [Float] {
    if columns == fitting.width, rows == fitting.height { return values }
    let (left, top) = ((fitting.width - columns) / 2, (fitting.height - rows) / 2)
    let line = columns * fitting.channels
    var result = [Float](repeating: 0, count: fitting.width * fitting.height * fitting.channels)
    for row in 0..<rows {
      let target = ((top + row) * fitting.width + left) * fitting.channels
      result.replaceSubrange(target..<target + line, with: values[row * line..<(row + 1) * line])
    }
    return result
  }
}

extension ImageReader.Fitting {
  /// As the images of ``Datasets/digits()`` are: 8×8, the digit as large as it can be, centred.
  public static var opticalDigits: Self { .init(width: 8, height: 8, mode: .contain, cropsToContent: true) }

  /// As MNIST's images are: 28×28, the digit within the inner 20×20, centred (MNIST centres the mass, this the box).
  public static var mnist: Self { .init(width: 28, height: 28, mode: .contain, cropsToContent: true, margin: 4) }

  fileprivate func check() throws {
    try RasterImage.check(width: width, height: height)
    guard channels == 1 || channels == 3 else {
      throw ApusError(.argument, "images with \(channels) channels cannot be made: 1 and 3 can")
    }
    guard margin >= 0, margin <= (min(width, height) - 1) / 2 else {
      throw ApusError(.argument, "a margin of \(margin) pixels leaves nothing of \(width) × \(height)")
    }
  }

  /// Width and height that an image gets inside the margins.
  fileprivate func room(for image: RasterImage) -> (columns: Int, rows: Int) {
    let (columns, rows) = (width - 2 * margin, height - 2 * margin)
    guard mode == .contain else { return (columns, rows) }
    let scale = min(Double(columns) / Double(image.width), Double(rows) / Double(image.height))
    func scaled(_ size: Int, _ limit: Int) -> Int { min(max(Int((Double(size) * scale).rounded()), 1), limit) }
    return (scaled(image.width, columns), scaled(image.height, rows))
  }
}
