import Apus

/// Small operations, where what counts is the cost of having an operation at all.
extension Workload {
  static let dispatch = [
    Workload("eager_add") {
      let step = Tensor.full([4], 1e-3)
      return {
        var total = Tensor.ones([4])
        for _ in 0..<10_000 { total = total + step }
        keep(total)
      }
    },
    Workload("eager_add_tracked_fwdbwd") {
      let step = Tensor.full([4], 1e-3)
      return {
        let start = Tensor.ones([4]).requiringGradient()
        var total = start
        for _ in 0..<1_000 { total = total + step }
        total.sum().backward()
        keep(start.gradient)
      }
    },
    Workload("scalar_autograd") {
      {
        for _ in 0..<2_000 {
          let x = Tensor(2.0, requiresGradient: true)
          let y = x ** 3
          y.backward()
          keep(x.gradient)
        }
      }
    },
    Workload("eager_mm64") {
      let (a, b) = (Tensor.normal([64, 64]), Tensor.normal([64, 64]))
      return { keep(a.matmul(b)) }
    },
  ]
}

/// Keeps the optimiser from seeing that a result is not used.
@inline(never)
func keep(_ tensor: Tensor?) {}
