import ApusCore
import COneDNN

/// What the three convolution primitives share.
protocol ConvolutionAttributes {
  var strides: Pair { get }
  var padding: Padding2D { get }
  var dilation: Pair { get }
  var groups: Int { get }
}
extension Primitive.Convolution: ConvolutionAttributes {}
extension Primitive.ConvolutionInputGradient: ConvolutionAttributes {}
extension Primitive.ConvolutionWeightGradient: ConvolutionAttributes {}

extension ConvolutionAttributes {
  fileprivate func described(_ input: Shape, _ weights: Shape, bias: Bool = false) -> apus_dnn_conv {
    var result = apus_dnn_conv()
    result.batch = Int64(input[0])
    result.inputChannels = Int64(input[1])
    result.outputChannels = Int64(weights[0])
    result.groups = Int64(groups)
    result.height = Int64(input[2])
    result.width = Int64(input[3])
    result.kernelHeight = Int64(weights[2])
    result.kernelWidth = Int64(weights[3])
    result.strideHeight = Int64(strides.height)
    result.strideWidth = Int64(strides.width)
    result.dilationHeight = Int64(dilation.height)
    result.dilationWidth = Int64(dilation.width)
    result.padTop = Int64(padding.top)
    result.padLeft = Int64(padding.left)
    result.padBottom = Int64(padding.bottom)
    result.padRight = Int64(padding.right)
    result.bias = bias ? 1 : 0
    return result
  }
}

extension PlanBuilder {
  /// Whether oneDNN takes these: float32 without a size of zero, or beyond the 32 bits that its kernels count in.
  private func suits(_ values: [Int]) -> Bool {
    values.allSatisfy {
      dtype($0) == .float32 && !isEmpty($0) && shape($0).allSatisfy { $0 <= Int(Int32.max) }
    }
  }

  private func plainWeights(_ description: apus_dnn_conv) throws -> Layout? {
    guard description.groups > 1 else { return nil }
    var made: apus_dnn_layout_t?
    var description = description
    let status = apus_dnn_conv_plain_weights(&description, &made)
    return Layout(owning: try OneDNN.unwrap(made, status))
  }

  private func compile(_ kind: apus_dnn_conv_kind, _ description: apus_dnn_conv) throws -> DNNOperation? {
    do {
      return try makeOperation {
        try DNNOperation.convolution(kind, description, input: nil, weights: nil, output: nil)
      }
    } catch let error as ApusError where error.kind == .unsupported {
      return nil
    }
  }

  /// - Parameter bias: slot of a vector added to each channel.
  func lowerConvolution(
    _ attributes: Primitive.Convolution, _ inputs: [Int], bias: Int? = nil, _ output: Int
  ) throws -> Bool {
    guard suits(inputs + [output]) else { return false }
    let description = attributes.described(shape(inputs[0]), shape(inputs[1]), bias: bias != nil)
    guard let operation = try compile(APUS_DNN_CONV_TRAINING, description), let result = operation.layouts.last else {
      return false
    }
    let image = try arranged(inputs[0], operation.layouts[0])
    let weights = try arranged(inputs[1], operation.layouts[1], plainLayout: plainWeights(description))
    let target = try define(output, layout: result.isPlain ? nil : result)
    let operands = [image, weights] + (bias.map { [$0] } ?? []) + [target]
    try emit(operation, operands, writes: [operands.count - 1])
    return true
  }

  func lowerConvolutionInputGradient(
    _ attributes: Primitive.ConvolutionInputGradient, _ inputs: [Int], _ output: Int
  ) throws -> Bool {
    guard suits(inputs + [output]) else { return false }
    let description = attributes.described(shape(output), shape(inputs[1]))
    guard let operation = try compile(APUS_DNN_CONV_BACKWARD_INPUT, description) else { return false }
    let gradient = try arranged(inputs[0], operation.layouts[0])
    let weights = try arranged(inputs[1], operation.layouts[1], plainLayout: plainWeights(description))
    let result = operation.layouts[2]
    let target = try define(output, layout: result.isPlain ? nil : result)
    try emit(operation, [gradient, weights, target], writes: [2])
    return true
  }

  /// - Parameter bias: the value that is the gradient's sum over all axes but the channels, computed on the way.
  func lowerConvolutionWeightGradient(
    _ attributes: Primitive.ConvolutionWeightGradient, _ inputs: [Int], _ output: Int, bias: Int? = nil
  ) throws -> Bool {
    guard suits(inputs + [output]) else { return false }
    let description = attributes.described(shape(inputs[0]), shape(output), bias: bias != nil)
    guard let operation = try compile(APUS_DNN_CONV_BACKWARD_WEIGHTS, description) else { return false }
    let image = try arranged(inputs[0], operation.layouts[0])
    let gradient = try arranged(inputs[1], operation.layouts[1])
    let layout = operation.layouts[2]
    let biasTarget = try bias.map { [try define($0)] } ?? []
    // Weights' gradients meet plain parameters next: bring them there at once.
    if layout.isPlain {
      let target = try define(output)
      try emit(operation, [image, gradient, target] + biasTarget, writes: [2, 3])
      return true
    }
    let blocked = scratch(layout.bytes)
    try emit(operation, [image, gradient, blocked] + biasTarget, writes: [2, 3])
    let plain = try plainWeights(description) ?? Layout(Array(shape(output)))
    let reorder = try makeOperation { try DNNOperation.reorder(from: layout, to: plain) }
    try emit(reorder, [blocked, try define(output)], writes: [1])
    return true
  }
}
