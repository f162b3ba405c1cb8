/// The windows that the primitives' attributes describe.
extension ReferenceWindow {
  fileprivate init(_ kernel: (Int, Int), _ strides: Pair, _ padding: Padding2D, _ dilation: Pair) {
    self.init(
      kernel: kernel, strides: (Int(strides.height), Int(strides.width)),
      dilation: (Int(dilation.height), Int(dilation.width)), padding: (Int(padding.top), Int(padding.left)))
  }
  fileprivate init(_ kernel: Pair, _ strides: Pair, _ padding: Padding2D, _ dilation: Pair) {
    self.init((Int(kernel.height), Int(kernel.width)), strides, padding, dilation)
  }
}

extension Convolution {
  func window(_ weight: Shape) -> ReferenceWindow {
    ReferenceWindow((weight[2], weight[3]), strides, padding, dilation)
  }
}
extension ConvolutionInputGradient {
  func window(_ weight: Shape) -> ReferenceWindow {
    ReferenceWindow((weight[2], weight[3]), strides, padding, dilation)
  }
}
extension ConvolutionWeightGradient {
  func window(_ weight: Shape) -> ReferenceWindow {
    ReferenceWindow((weight[2], weight[3]), strides, padding, dilation)
  }
}
extension MaxPool {
  var window: ReferenceWindow { ReferenceWindow(kernel, strides, padding, dilation) }
}
extension MaxPoolGradient {
  var window: ReferenceWindow { ReferenceWindow(kernel, strides, padding, dilation) }
}
extension MaxPoolGather {
  var window: ReferenceWindow { ReferenceWindow(kernel, strides, padding, dilation) }
}
extension AveragePool {
  var window: ReferenceWindow { ReferenceWindow(kernel, strides, padding, Pair(1, 1)) }
  func divisor(_ image: Shape) -> ReferencePooling.Divisor {
    ReferencePooling.Divisor(countsPadding: countsPadding, image: image, padding: padding)
  }
}
