import Apus

/// Convolutions of images, stride 1, padded to keep the size, without bias.
extension Workload {
  private struct Size: Sendable {
    let name: String
    let batch: Int, channels: Int, side: Int, outputs: Int, kernel: Int, groups: Int
  }

  private static let sizes = [
    Size(name: "c3x3_64_56", batch: 32, channels: 64, side: 56, outputs: 64, kernel: 3, groups: 1),
    Size(name: "c3x3_256_14", batch: 8, channels: 256, side: 14, outputs: 256, kernel: 3, groups: 1),
    Size(name: "c1x1_256_512_28", batch: 8, channels: 256, side: 28, outputs: 512, kernel: 1, groups: 1),
    Size(name: "dw3x3_96_56", batch: 8, channels: 96, side: 56, outputs: 96, kernel: 3, groups: 96),
  ]

  static let convolutions = sizes.flatMap { [forward($0), forwardAndBackward($0)] }

  private static func operands(_ size: Size) -> (Tensor, Tensor, (Tensor, Tensor) -> Tensor) {
    let x = Tensor.normal([size.batch, size.channels, size.side, size.side])
    let weight = Tensor.normal([size.outputs, size.channels / size.groups, size.kernel, size.kernel])
    return (x, weight, { $0.convolution2D($1, padding: .same, groups: size.groups) })
  }

  private static func forward(_ size: Size) -> Workload {
    Workload("\(size.name)_fwd") {
      let (x, weight, convolve) = operands(size)
      return { keep(convolve(x, weight)) }
    }
  }

  private static func forwardAndBackward(_ size: Size) -> Workload {
    Workload("\(size.name)_fwdbwd") {
      let (x, weight, convolve) = operands(size)
      let cotangent = Tensor.onesLike(convolve(x, weight))
      return {
        let (x, weight) = (x.requiringGradient(), weight.requiringGradient())
        convolve(x, weight).backward(gradient: cotangent)
        keep(x.gradient)
        keep(weight.gradient)
      }
    }
  }
}
