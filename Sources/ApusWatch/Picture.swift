import ApusCore
import ApusFiles

/// Something that can be drawn and written as a PNG file.
///
/// ```swift
/// struct Cross: Picture {
///   let size = (width: 40.0, height: 40.0)
///   func draw(on canvas: Canvas) {
///     canvas.line(from: (0, 0), to: (40, 40), color: .ink)
///     canvas.line(from: (0, 40), to: (40, 0), color: .ink)
///   }
/// }
/// try Cross().write(to: "cross.png")
/// ```
public protocol Picture: Sendable {
  /// Width and height in units of 1/96 inch.
  var size: (width: Double, height: Double) { get }

  /// Draws the picture on a canvas of that size.
  func draw(on canvas: Canvas)
}

extension Picture {
  /// The picture as the bytes of a PNG file.
  /// - Parameter scale: pixels per unit.
  /// - Throws: `ApusError`: (unsupported) when libcairo is missing or fails, (argument) when the picture is too large.
  public func png(scale: Double = 2) throws -> [UInt8] {
    let canvas = try Canvas(width: size.width, height: size.height, scale: scale)
    draw(on: canvas)
    return try canvas.png()
  }

  /// Writes the picture as a PNG file, first under a temporary name, so that a reader never meets half a picture.
  /// - Parameters:
  ///   - path: of the file; one that is there is replaced.
  ///   - scale: pixels per unit.
  /// - Throws: as ``png(scale:)``, and `ApusError` (file) that names the file when it cannot be written.
  public func write(to path: String, scale: Double = 2) throws {
    try AtomicReplacement.file(path, png(scale: scale))
  }
}
