/// One axis of a resizing: each output sample is a weighted mean of neighbouring input samples.
///
/// Shrinking averages the covered area (each input sample counts by how much of it the output sample covers);
/// enlarging interpolates linearly between sample centres, edges repeated.
struct Resampling: Sendable {
  /// Per output sample: the first input sample and the weights from there on, which add up to 1.
  private let windows: [(first: Int, weights: [Float])]

  init(from input: Int, to output: Int) {
    let scale = Double(input) / Double(output)
    windows = (0..<output).map { index in
      if output < input {
        let start = Double(index) * scale
        let end = min(start + scale, Double(input))
        let first = min(Int(start), input - 1)
        let last = min(max(Int(end.rounded(.up)) - 1, first), input - 1)
        let weights = (first...last).map { sample in
          Float((min(end, Double(sample + 1)) - max(start, Double(sample))) / (end - start))
        }
        return (first, weights)
      }
      let center = min(max((Double(index) + 0.5) * scale - 0.5, 0), Double(input - 1))
      let first = min(Int(center), max(input - 2, 0))
      let share = Float(center - Double(first))
      return (first, input == 1 ? [1] : [1 - share, share])
    }
  }

  /// Resamples every line of `count` samples that begins at a multiple of it and is spaced by `step` within
  /// blocks: the samples seen as [outer, axis, inner], the middle axis resampled.
  func apply(_ samples: [Float], outer: Int, axis: Int, inner: Int) -> [Float] {
    var result: [Float] = []
    result.reserveCapacity(outer * windows.count * inner)
    for block in 0..<outer {
      for window in windows {
        let first = (block * axis + window.first) * inner
        for lane in 0..<inner {
          var sum: Float = 0
          for (offset, weight) in window.weights.enumerated() {
            sum += samples[first + offset * inner + lane] * weight
          }
          result.append(sum)
        }
      }
    }
    return result
  }
}

extension RasterImage {
  /// The image in another size: the covered area averaged where it shrinks, interpolated linearly where it grows.
  ///
  /// Transparent images should be put on a background first (``gray(background:)``, ``rgb(background:)``).
  /// - Parameters:
  ///   - width: in pixels; scaled apart from the height.
  ///   - height: in pixels.
  /// - Throws: `ApusError` (argument) unless the size is positive and at most 64 MPixel.
  public func resized(width: Int, height: Int) throws -> RasterImage {
    let values = try resizedValues(width: width, height: height)
    return RasterImage(
      checkedWidth: width, height: height, channels: channels,
      samples: values.map { UInt8(min(max($0.rounded(), 0), 255)) })
  }

  /// As ``resized(width:height:)``, without rounding: 0 to 255.
  func resizedValues(width: Int, height: Int) throws -> [Float] {
    try RasterImage.check(width: width, height: height)
    let columns = Resampling(from: self.width, to: width)
    let rows = Resampling(from: self.height, to: height)
    let values = samples.map(Float.init)
    // First the axis that leaves less in between: at most the geometric mean of both images' sizes.
    if self.height * width <= height * self.width {
      let wide = columns.apply(values, outer: self.height, axis: self.width, inner: channels)
      return rows.apply(wide, outer: 1, axis: self.height, inner: width * channels)
    }
    let high = rows.apply(values, outer: 1, axis: self.height, inner: self.width * channels)
    return columns.apply(high, outer: height, axis: self.width, inner: channels)
  }
}
