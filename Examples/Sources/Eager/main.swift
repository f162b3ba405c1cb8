// Research style: eager, the gradient at once.
import Apus

let x = Tensor(2.0, requiresGradient: true)
let y = x ** 3
y.backward()
if let gradient = x.gradient { print(gradient) }  // 12.0
