extension RasterImage {
  /// The image in one channel, transparent parts over a plain background.
  ///
  /// Luma after ITU-R BT.601: 0.299 R + 0.587 G + 0.114 B, as the gray mode of most image libraries has it.
  /// - Parameter background: the gray level behind transparent pixels, 0 to 255 whatever the depth; white, as paper.
  public func gray(background: UInt8 = 255) -> RasterImage {
    if channels == 1 { return self }
    var result: [UInt16] = []
    result.reserveCapacity(width * height)
    for first in stride(from: 0, to: samples.count, by: channels) {
      // Weights in 1/65536; they add up to it exactly.
      let luma =
        channels < 3
        ? Int(samples[first])
        : (Int(samples[first]) * 19595 + Int(samples[first + 1]) * 38470 + Int(samples[first + 2]) * 7471 + 32768) >> 16
      result.append(over(background, luma, at: first))
    }
    return replacing(channels: 1, result)
  }

  /// Three channels: gray repeated, transparent parts over a plain background.
  /// - Parameter background: the level of all three channels behind transparent pixels, 0 to 255 whatever the depth;
  ///   white, as paper.
  public func rgb(background: UInt8 = 255) -> RasterImage {
    if channels == 3 { return self }
    var result: [UInt16] = []
    result.reserveCapacity(width * height * 3)
    for first in stride(from: 0, to: samples.count, by: channels) {
      for color in 0..<3 {
        result.append(over(background, Int(samples[channels < 3 ? first : first + color]), at: first))
      }
    }
    return replacing(channels: 3, result)
  }

  /// A level as the opacity of the pixel that begins at sample `first` lets it be seen.
  private func over(_ background: UInt8, _ level: Int, at first: Int) -> UInt16 {
    guard hasAlpha else { return UInt16(level) }
    let opacity = Int(samples[first + channels - 1])
    let behind = Int(background) * (maximum / 255)
    return UInt16((level * opacity + behind * (maximum - opacity) + maximum / 2) / maximum)
  }

  private func replacing(channels: Int, _ samples: [UInt16]) -> RasterImage {
    RasterImage(checkedWidth: width, height: height, channels: channels, bitDepth: bitDepth, samples: samples)
  }

  /// The negative: colours mirrored at mid-gray, opacity kept.
  public func inverted() -> RasterImage {
    let result = samples.enumerated().map { index, sample in
      hasAlpha && index % channels == channels - 1 ? sample : UInt16(maximum) - sample
    }
    return replacing(channels: channels, result)
  }

  /// Whether the image's border is lighter than mid-gray on average: dark ink on light paper.
  public var hasLightBackground: Bool {
    let plain = gray()
    var sum = 0
    var count = 0
    for y in 0..<height {
      // The first and last rows count whole, the others only at their ends.
      let step = y == 0 || y == height - 1 || width == 1 ? 1 : width - 1
      for x in stride(from: 0, to: width, by: step) {
        sum += Int(plain.samples[y * width + x])
        count += 1
      }
    }
    return sum * 2 > maximum * count
  }

  /// The part from column `x` and row `y` on; cut to the image, of which at least one pixel stays.
  /// - Parameters:
  ///   - x: the first column, from 0.
  ///   - y: the first row, from 0.
  ///   - width: in pixels.
  ///   - height: in pixels.
  public func cropped(x: Int, y: Int, width: Int, height: Int) -> RasterImage {
    let left = min(max(x, 0), self.width - 1)
    let top = min(max(y, 0), self.height - 1)
    let columns = min(max(width, 1), self.width - left)
    let rows = min(max(height, 1), self.height - top)
    var result: [UInt16] = []
    result.reserveCapacity(columns * rows * channels)
    for row in top..<top + rows {
      let first = (row * self.width + left) * channels
      result += samples[first..<first + columns * channels]
    }
    return RasterImage(
      checkedWidth: columns, height: rows, channels: channels, bitDepth: bitDepth, samples: result)
  }

  /// The image in one channel, cut to the box around everything at least `threshold` bright; not cut when nothing is.
  /// - Parameter threshold: the gray level, 0 to 255 whatever the depth.
  public func croppedToBright(threshold: UInt8 = 64) -> RasterImage {
    let plain = gray()
    let threshold = Int(threshold) * (maximum / 255)
    var (left, top, right, bottom) = (width, height, -1, -1)
    for y in 0..<height {
      for x in 0..<width where Int(plain.samples[y * width + x]) >= threshold {
        left = min(left, x)
        right = max(right, x)
        top = min(top, y)
        bottom = max(bottom, y)
      }
    }
    if right < 0 { return plain }
    return plain.cropped(x: left, y: top, width: right - left + 1, height: bottom - top + 1)
  }
}
