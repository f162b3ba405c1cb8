/// One axis of a resizing: each output sample is a weighted mean of neighbouring input samples.
///
/// Shrinking averages the covered area (each input sample counts by how much of it the output sample covers);
/// enlarging interpolates linearly between sample centres, edges repeated.
struct Resampling: Sendable {
  /// Input samples from `first` on, whose weights add up to 1: only those at the ends differ from the ones between, so a
  /// long axis takes no table.
  private struct Window {
    var first: Int
    var count: Int
    var head: Double
    var middle: Double
    var tail: Double
  }
  /// Per output sample.
  private let windows: [Window]

  init(from input: Int, to output: Int) {
    let scale = Double(input) / Double(output)
    windows = (0..<output).map { index in
      if output < input {
        let start = Double(index) * scale
        let end = min(start + scale, Double(input))
        let first = min(Int(start), input - 1)
        let last = min(max(Int(end.rounded(.up)) - 1, first), input - 1)
        func weight(_ sample: Int) -> Double {
          (min(end, Double(sample + 1)) - max(start, Double(sample))) / (end - start)
        }
        return Window(
          first: first, count: last - first + 1, head: weight(first), middle: 1 / (end - start), tail: weight(last))
      }
      let center = min(max((Double(index) + 0.5) * scale - 0.5, 0), Double(input - 1))
      let first = min(Int(center), max(input - 2, 0))
      let share = center - Double(first)
      return input == 1
        ? Window(first: 0, count: 1, head: 1, middle: 0, tail: 0)
        : Window(first: first, count: 2, head: 1 - share, middle: 0, tail: share)
    }
  }

  /// Resamples the samples seen as [outer, axis, inner], the middle axis.
  /// - Parameter value: of a sample.
  func apply<Sample>(
    _ samples: [Sample], outer: Int, axis: Int, inner: Int, _ value: (Sample) -> Double
  ) -> [Float] {
    var result: [Float] = []
    result.reserveCapacity(outer * windows.count * inner)
    for block in 0..<outer {
      for window in windows {
        let first = (block * axis + window.first) * inner
        let last = first + (window.count - 1) * inner
        for lane in 0..<inner {
          var sum = value(samples[first + lane]) * window.head
          if window.count > 1 {
            for place in stride(from: first + inner + lane, to: last, by: inner) {
              sum += value(samples[place]) * window.middle
            }
            sum += value(samples[last + lane]) * window.tail
          }
          result.append(Float(sum))
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
      checkedWidth: width, height: height, channels: channels, bitDepth: bitDepth,
      samples: values.map { UInt16(min(max($0.rounded(), 0), Float(maximum))) })
  }

  /// As ``resized(width:height:)``, without rounding: 0 to ``maximum``.
  func resizedValues(width: Int, height: Int) throws -> [Float] {
    try RasterImage.check(width: width, height: height)
    let columns = Resampling(from: self.width, to: width)
    let rows = Resampling(from: self.height, to: height)
    // First the axis that leaves less in between: at most the geometric mean of both images' sizes.
    if self.height * width <= height * self.width {
      let wide = columns.apply(samples, outer: self.height, axis: self.width, inner: channels) { Double($0) }
      return rows.apply(wide, outer: 1, axis: self.height, inner: width * channels) { Double($0) }
    }
    let high = rows.apply(samples, outer: 1, axis: self.height, inner: self.width * channels) { Double($0) }
    return columns.apply(high, outer: height, axis: self.width, inner: channels) { Double($0) }
  }
}
