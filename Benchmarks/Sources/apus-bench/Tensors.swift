import Apus

/// Large tensors: element-wise work, rows, a sum, a product, an optimizer's update.
extension Workload {
  private static let elements = 1 << 24

  private static func chain(_ x: Tensor) -> Tensor {
    (2 * x + 1).gelu(approximation: .tanh) * x.sigmoid() - x * x
  }

  /// 25,060,000 parameters in 150 tensors, each with a gradient.
  private static func parametersWithGradients() -> [Parameter] {
    let shapes: [Shape] = (0..<50).flatMap { _ in [[512, 976], [976], [512]] as [Shape] }
    return shapes.map { shape in
      let parameter = Parameter(Tensor.normal(shape, standardDeviation: 0.02))
      parameter.gradient = Tensor.normal(shape, standardDeviation: 1e-3)
      return parameter
    }
  }

  static let tensors = [
    Workload("elementwise_chain/eager") {
      let x = Tensor.normal([elements])
      return { keep(chain(x)) }
    },
    Workload("elementwise_chain/compiled") {
      let x = Tensor.normal([elements])
      let fused = compiled(name: "chain") { (x: Tensor) in chain(x) }
      return { keep(try fused(x)) }
    },
    Workload("softmax") {
      let x = Tensor.normal([4096, 1024])
      return { keep(x.softmax(axis: -1)) }
    },
    Workload("layernorm") {
      let (x, scale, shift) = (Tensor.normal([4096, 1024]), Tensor.normal([1024]), Tensor.normal([1024]))
      return { keep(x.layerNorm(scale: scale, shift: shift, epsilon: 1e-5)) }
    },
    Workload("sum_16M") {
      let x = Tensor.normal([elements])
      return { keep(x.sum()) }
    },
    Workload("mm_1024") {
      let (a, b) = (Tensor.normal([1024, 1024]), Tensor.normal([1024, 1024]))
      return { keep(a.matmul(b)) }
    },
    Workload("adamw_update/eager") {
      let optimizer = AdamW(parametersWithGradients(), learningRate: 1e-3, weightDecay: 0.01)
      return { optimizer.step() }
    },
    Workload("adamw_update/compiled") {
      let parameters = parametersWithGradients()
      let gradients = parameters.compactMap(\.gradient)
      let optimizer = AdamW(parameters, learningRate: 1e-3, weightDecay: 0.01)
      let update = compiled(name: "update") { (gradients: [Tensor]) in
        for (parameter, gradient) in zip(parameters, gradients) { parameter.gradient = gradient }
        optimizer.step()
      }
      return { try update(gradients) }
    },
  ]
}
