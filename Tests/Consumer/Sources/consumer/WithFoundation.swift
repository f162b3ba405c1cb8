import Apus
import Foundation

// The names that Foundation and the standard library have too keep their meaning beside Apus.
let length: Dimension = UnitLength.meters
let part: Slice<[Int]> = Slice(base: [1, 2, 3], bounds: 0..<2)
let text = String(format: "%.1f", Softmax()(Tensor([0.0, 0.0])).sum().item() as Double)
let cut = Primitive.Slice(starts: [0], stops: [2], steps: [1])
let primitives: [Primitive] = [.slice(cut), .dimension(.init(axis: 0)), .softmax(.init(axis: 0))]

func namesBesideFoundation() -> String {
  "\(length.symbol) \(part.count) \(text) \(primitives.map(\.name))"
}
