// The functional and the tape form of the same thing.
import Apus

let x = Tensor(2.0)
print(gradient(at: x) { $0 ** 3 })  // 12.0

let tape = GradientTape()
let (y, dx) = tape.watch(x) { $0 ** 3 }
print(y, dx)  // 8.0 12.0

// Derivatives are written in public operations, so they can be differentiated again.
print(gradient(at: x) { gradient(at: $0) { $0 ** 3 } })  // 12.0
