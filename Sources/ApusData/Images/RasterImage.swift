import ApusCore
import ApusFiles
import CPNG

/// An image of 8-bit or 16-bit samples, as PNG files hold it: pixels row by row, their channels side by side.
///
/// ```swift
/// let photo = try RasterImage.read("photo.png")
/// try photo.gray().resized(width: 28, height: 28).write(to: "small.png")
/// ```
/// What is made of an image has its depth.
public struct RasterImage: Sendable, Hashable {
  /// In pixels.
  public let width: Int
  /// In pixels.
  public let height: Int
  /// 1 gray, 2 gray and opacity, 3 RGB, 4 RGB and opacity.
  public let channels: Int
  /// 8 or 16 bits a sample.
  public let bitDepth: Int
  /// `height` × `width` × `channels` samples, 0 to ``maximum``.
  public let samples: [UInt16]

  /// An image of given 8-bit samples.
  /// - Parameters:
  ///   - width: in pixels.
  ///   - height: in pixels.
  ///   - channels: 1 gray, 2 gray and opacity, 3 RGB, 4 RGB and opacity.
  ///   - samples: row by row, the channels side by side, 0 to 255.
  /// - Throws: `ApusError` (argument) unless 1 to 4 channels and `height` × `width` × `channels` samples are given, or
  ///   for a size that is not positive or above 64 MPixel.
  public init(width: Int, height: Int, channels: Int, samples: [UInt8]) throws {
    try self.init(width: width, height: height, channels: channels, bitDepth: 8, samples: samples.map(UInt16.init))
  }

  /// An image of given samples of 8 or 16 bits.
  /// - Parameters:
  ///   - width: in pixels.
  ///   - height: in pixels.
  ///   - channels: 1 gray, 2 gray and opacity, 3 RGB, 4 RGB and opacity.
  ///   - bitDepth: 8 or 16.
  ///   - samples: row by row, the channels side by side, 0 to 255 or 0 to 65535.
  /// - Throws: `ApusError` (argument) as ``init(width:height:channels:samples:)`` does, for another depth, and for a
  ///   sample above its maximum.
  public init(width: Int, height: Int, channels: Int, bitDepth: Int, samples: [UInt16]) throws {
    try RasterImage.check(width: width, height: height)
    guard (1...4).contains(channels), samples.count == width * height * channels else {
      throw ApusError(
        .argument,
        "an image of \(width) × \(height) pixels and \(channels) channels from \(samples.count) samples: there must be "
          + "1 to 4 channels and as many samples as the product says")
    }
    guard bitDepth == 8 || bitDepth == 16 else {
      throw ApusError(.argument, "an image of \(bitDepth)-bit samples: 8 and 16 bits fit")
    }
    if bitDepth == 8, let odd = samples.first(where: { $0 > 255 }) {
      throw ApusError(.argument, "a sample of \(odd) in an image of 8 bits: 0 to 255 fit")
    }
    self.init(checkedWidth: width, height: height, channels: channels, bitDepth: bitDepth, samples: samples)
  }

  init(checkedWidth width: Int, height: Int, channels: Int, bitDepth: Int, samples: [UInt16]) {
    self.width = width
    self.height = height
    self.channels = channels
    self.bitDepth = bitDepth
    self.samples = samples
  }

  static func check(width: Int, height: Int) throws {
    guard width > 0, height > 0, width <= Int(APUS_PNG_MAXIMUM_PIXELS) / height else {
      throw ApusError(
        .argument,
        "an image of \(width) × \(height) pixels: both must be positive, and at most \(APUS_PNG_MAXIMUM_PIXELS >> 20) "
          + "MPixel fit")
    }
  }

  /// The largest sample there can be: 255 or 65535.
  public var maximum: Int { bitDepth == 8 ? 255 : 65535 }

  /// Whether the last channel is opacity.
  public var hasAlpha: Bool { channels % 2 == 0 }
}

// MARK: PNG

extension RasterImage {
  /// Decodes a PNG file's bytes: palettes become RGB, 1-, 2- and 4-bit samples 8-bit ones; 16-bit samples stay.
  /// - Throws: `ApusError` (file) when the data is damaged, cut off, has more than 64 MPixel, or would grow beyond what a
  ///   file of its size may (16 MiB and 2,000 times the file).
  public init(png: [UInt8]) throws {
    var image = apus_png_image()
    var message = [CChar](repeating: 0, count: Int(APUS_PNG_MESSAGE_CAPACITY))
    // The size first: the samples are then decoded to where they stay.
    var isDone = apus_png_decode(png, png.count, &image, nil, &message)
    let count = Int(image.width) * Int(image.height) * Int(image.channels)
    // The samples, and what is made of them on the way to a tensor: arrays that the standard library can't refuse.
    if isDone { try HostMemory.require(count, ofBytes: 3 * MemoryLayout<UInt16>.stride, for: "the image's samples") }
    let samples = [UInt16](unsafeUninitializedCapacity: count) { target, filled in
      isDone = isDone && apus_png_decode(png, png.count, &image, target.baseAddress, &message)
      filled = isDone ? count : 0
    }
    guard isDone else { throw ApusError(.file, "not a readable PNG image: " + text(message)) }
    self.init(
      checkedWidth: Int(image.width), height: Int(image.height), channels: Int(image.channels),
      bitDepth: Int(image.bit_depth), samples: samples)
  }

  /// The image as the bytes of a PNG file, of the image's depth.
  /// - Throws: `ApusError` (argument) when libpng refuses, for lack of memory.
  public func png() throws -> [UInt8] {
    var image = apus_png_image(
      width: UInt32(width), height: UInt32(height), channels: UInt32(channels), bit_depth: UInt32(bitDepth))
    var bytes: UnsafeMutablePointer<UInt8>?
    var count = 0
    var message = [CChar](repeating: 0, count: Int(APUS_PNG_MESSAGE_CAPACITY))
    guard apus_png_encode(&image, samples, &bytes, &count, &message) else {
      throw ApusError(.argument, "the image cannot be written as PNG: " + text(message))
    }
    defer { apus_png_free(bytes) }
    return Array(UnsafeBufferPointer(start: bytes, count: count))
  }

  /// Reads a PNG file.
  /// - Throws: `ApusError` (file) that names the file and what is wrong with it.
  public static func read(_ path: String) throws -> RasterImage {
    let bytes = try InputFile.bytes(of: path, limit: Int(APUS_PNG_MAXIMUM_BYTES))
    do {
      return try RasterImage(png: bytes)
    } catch let error as ApusError {
      throw ApusError(.file, "\(path): \(error.message)")
    }
  }

  /// Writes a PNG file, first under a temporary name.
  /// - Throws: `ApusError` (file) that names the file.
  public func write(to path: String) throws { try AtomicReplacement.file(path, png()) }
}

/// The text in a C buffer up to its terminating zero.
private func text(_ buffer: [CChar]) -> String {
  String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
