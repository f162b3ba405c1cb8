import ApusCore

/// Rough nanoseconds of one thread's work: enough to tell what is worth a team.
enum Cost {
  static func of(_ primitive: Primitive, _ inputs: [TensorType], _ outputs: [TensorType]) -> Double {
    let output = outputs.first.map { Double($0.shape.elementCount) } ?? 0
    let input = inputs.first.map { Double($0.shape.elementCount) } ?? 0
    if let kernel = ElementwiseKernel(primitive) { return output * kernel.cost }
    switch primitive {
    case .full, .iota, .dimension, .reshape, .permute, .broadcast, .slice, .reverse: return 0
    case .matmul: return product(output, Double(inputs[0].shape.last ?? 1), inputs[0].dtype)
    case .convolution: return product(output, Double(Sizes.product(inputs[1].shape.dropFirst())), inputs[0].dtype)
    case .convolutionInputGradient:
      return product(input, Double(Sizes.product(inputs[1].shape.dropFirst())), inputs[0].dtype)
    case .convolutionWeightGradient:
      return product(
        Double(inputs[1].shape.elementCount), Double(Sizes.product(outputs[0].shape.dropFirst())), inputs[0].dtype)
    case .maxPool(let d): return output * Double(d.kernel.height * d.kernel.width) * 0.1
    case .averagePool(let d): return output * Double(d.kernel.height * d.kernel.width) * 0.1
    case .softmax, .logSoftmax, .randomUniform: return output * 1.5
    case .randomNormal: return output * 4
    default: return Swift.max(input, output) * 0.4
    }
  }

  /// Multiply-adds, at 40 a nanosecond for float32.
  private static func product(_ results: Double, _ depth: Double, _ dtype: DType) -> Double {
    results * depth * (dtype == .float32 ? 0.025 : dtype == .float64 ? 0.05 : 20)
  }
}
