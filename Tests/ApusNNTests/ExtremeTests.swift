import ApusCore
import Foundation
import Testing

@testable import ApusNN

/// Tests/Fixtures/extremes.json, whose format is told in Scripts/fixtures/extremes.py.
struct Extremes: Decodable, Sendable {
  struct Points: Decodable, Sendable, CustomTestStringConvertible {
    let name: String
    let dtype: String
    let points: [[String]]
    var testDescription: String { "\(name) \(dtype)" }
    func column(_ i: Int) -> [Double] { points.map { number($0[i]) } }
  }
  enum Value: Decodable, Sendable {
    case one(Double), several([Double])
    init(from decoder: any Decoder) throws {
      let container = try decoder.singleValueContainer()
      if let text = try? container.decode(String.self) {
        self = .one(number(text))
      } else {
        self = .several(try container.decode([String].self).map(number))
      }
    }
    var all: [Double] {
      switch self {
      case .one(let value): [value]
      case .several(let values): values
      }
    }
  }
  struct Row: Decodable, Sendable {
    let x: [String]
    let value: Value
    let gradient: [String]
    let slack: String
  }
  struct Rows: Decodable, Sendable, CustomTestStringConvertible {
    let name: String
    let dtype: String
    let cases: [Row]
    var testDescription: String { "\(name) \(dtype)" }
  }
  let weights: [String]
  let functions: [Points]
  let losses: [Points]
  let rows: [Rows]

  static let book: Result<Extremes, any Error> = Result {
    let url = URL(fileURLWithPath: "\(GoldenRunTests.directory)/extremes.json")
    return try JSONDecoder().decode(Extremes.self, from: Data(contentsOf: url))
  }
  static var all: Extremes? { try? book.get() }
}

private func number(_ text: String) -> Double { Double(text) ?? .nan }
private func dtype(_ name: String) -> DType { name == "float32" ? .float32 : .float64 }

/// Every formula on numbers where it could cancel, overflow or multiply 0 by ∞, against mpmath: eagerly, compiled, and
/// on the reference engine.
@Suite struct ExtremeTests {
  private typealias Function = @Sendable (Tensor) -> Tensor

  private static let functions: [String: Function] = [
    "sigmoid": { $0.sigmoid() }, "tanh": { $0.tanh() }, "erf": { $0.erf() }, "silu": { $0.silu() },
    "gelu": { $0.gelu() }, "geluTanh": { $0.gelu(approximation: .tanh) }, "softplus": { $0.softplus() },
    "elu": { $0.elu() }, "expm1": { $0.expm1() }, "relu": { $0.relu() }, "leakyRelu": { $0.leakyRelu(0.25) },
    "rsqrt": { $0.rsqrt() },
    "logSumExpBesideZero": { stack([$0, Tensor.zerosLike($0)], axis: 1).logSumExp(axis: 1) },
  ]
  private static let losses: [String: @Sendable (Tensor, Tensor) -> Tensor] = [
    "binaryCrossEntropyWithLogits": { binaryCrossEntropyWithLogits($0, $1, reduction: .none) },
    "huber": { huberLoss($0, $1, reduction: .none) },
    "meanAbsoluteError": { meanAbsoluteError($0, $1, reduction: .none) },
    "meanSquaredError": { meanSquaredError($0, $1, reduction: .none) },
  ]
  private static let rows: [String: Function] = [
    "norm": { $0.norm() }, "standardDeviation": { $0.standardDeviation() }, "layerNorm": { $0.layerNorm() },
    "batchNorm": { x in
      let column = x.unsqueezed(1)
      let one = Tensor.ones([1], dtype: x.dtype)
      return column.batchNorm(scale: one, shift: one - one).y.squeezed(1)
    },
    "logSumExp": { $0.logSumExp(axis: 0) }, "crossEntropy": { crossEntropy($0, Tensor(0)) },
    "softCrossEntropy": { x in
      let target = [0.5, 0.5] + [Double](repeating: 0, count: x.shape[0] - 2)
      return crossEntropy(x, Tensor(target, dtype: x.dtype))
    },
  ]

  /// What a function of several tensors gives, on each of the ways it can run.
  private func everyWay(
    _ operands: [Tensor], _ f: @escaping @Sendable ([Tensor]) -> [Tensor], _ check: (String, [[Double]]) -> Void
  ) throws {
    func numbers(_ results: [Tensor]) -> [[Double]] { results.map { $0.detached().toArray(of: Double.self) } }
    check("eager", numbers(try checked { f(operands) }))
    check("compiled", numbers(try compiled(f)(operands)))
    check("reference", numbers(try checked { withEngine(ReferenceEngine.shared) { f(operands) } }))
  }

  /// Whether `actual` is `expected` to `ulps` of it and of `slack`.
  private func expect(
    _ actual: Double, _ expected: Double, _ ulps: Double, slack: Double = 0, _ dtype: DType,
    _ what: @autoclosure () -> String
  ) {
    let isNarrow = dtype == .float32
    let expected = isNarrow ? Double(Float(expected)) : expected
    if actual == expected || actual.isNaN && expected.isNaN { return }
    let unit = isNarrow ? 0x1p-23 : 0x1p-52
    // Tails end at numbers near the least normal one, 1e-38, which large operands multiply.
    let least = isNarrow ? 1e-30 : 1e-300
    let allowed = ulps * unit * (expected.magnitude + slack) + least
    // Beside the largest number an error of an ulp is infinite.
    let top = isNarrow ? Double(Float.greatestFiniteMagnitude) : .greatestFiniteMagnitude
    if !actual.isFinite, actual.sign == expected.sign, expected.magnitude > top * (1 - allowed / top) { return }
    if (actual - expected).magnitude <= allowed { return }
    Issue.record("\(what()) is \(actual), not \(expected)")
  }

  @Test("there are cases for every function, loss and norm")
  func complete() throws {
    let book = try Extremes.book.get()
    #expect(Set(book.functions.map(\.name)) == Set(Self.functions.keys))
    #expect(Set(book.losses.map(\.name)) == Set(Self.losses.keys))
    #expect(Set(book.rows.map(\.name)) == Set(Self.rows.keys))
  }

  @Test("functions and their first two derivatives", arguments: Extremes.all?.functions ?? [])
  func function(_ entry: Extremes.Points) throws {
    let f = try #require(Self.functions[entry.name])
    let dtype = dtype(entry.dtype)
    let x = entry.column(0)
    let expected = (1...4).map(entry.column)
    try everyWay([Tensor(x, dtype: dtype)]) { operands in
      func slope(_ x: Tensor) -> Tensor { gradient(at: x) { f($0).sum() } }
      return [f(operands[0]), slope(operands[0]), gradient(at: operands[0]) { slope($0).sum() }]
    } _: { way, actual in
      for (i, x) in x.enumerated() {
        for order in 0..<3 {
          // Where a derivative is steep, what x's own rounding may do counts too.
          let next = order < 2 ? x * expected[order + 1][i] : expected[3][i]
          var slack = entry.name == "geluTanh" || order > 0 ? next.magnitude : 0
          // p − p², of two sums.
          if order == 2, entry.name == "logSumExpBesideZero" { slack = expected[1][i] }
          expect(
            actual[order][i], expected[order][i], 8, slack: slack.isFinite ? slack : 0, dtype,
            "\(way): \(entry.name), derivative \(order) at \(x)")
        }
      }
    }
  }

  @Test("losses and their gradients", arguments: Extremes.all?.losses ?? [])
  func loss(_ entry: Extremes.Points) throws {
    let f = try #require(Self.losses[entry.name])
    let dtype = dtype(entry.dtype)
    let (x, y) = (entry.column(0), entry.column(1))
    try everyWay([Tensor(x, dtype: dtype), Tensor(y, dtype: dtype)]) { operands in
      let (dx, dy) = gradient(at: operands[0], operands[1]) { f($0, $1).sum() }
      return [f(operands[0], operands[1]), dx, dy]
    } _: { way, actual in
      for i in x.indices {
        // The gradient of a soft target is a difference of numbers below 1.
        let soft = y[i] == 0 || y[i] == 1 ? 0 : Swift.min(y[i].magnitude, 1)
        for (k, name) in ["the loss", "its gradient by x", "its gradient by y"].enumerated() {
          expect(
            actual[k][i], entry.column(2 + k)[i], 8, slack: k == 1 ? soft : 0, dtype,
            "\(way): \(name), \(entry.name)(\(x[i]), \(y[i])),")
        }
      }
    }
  }

  @Test("norms, deviations and losses of rows, and their gradients", arguments: Extremes.all?.rows ?? [])
  func row(_ entry: Extremes.Rows) throws {
    let f = try #require(Self.rows[entry.name])
    let dtype = dtype(entry.dtype)
    let weights = try Extremes.book.get().weights.map(number)
    for row in entry.cases {
      let expected = row.gradient.map(number)
      let largest = expected.reduce(number(row.slack)) { Swift.max($0, $1.magnitude) }
      // Softmax's gradient is exact element by element, a norm's to its largest.
      let slack = ["logSumExp", "crossEntropy"].contains(entry.name) ? 0 : largest
      let rank = row.value.all.count == expected.count ? 1 : 0
      let weight = Array(weights.prefix(expected.count))
      try everyWay([Tensor(row.x.map(number), dtype: dtype)]) { operands in
        let x = operands[0]
        return [
          f(x), gradient(at: x) { rank == 1 ? (f($0) * Tensor(weight, dtype: $0.dtype)).sum() : f($0) },
        ]
      } _: { way, actual in
        for (i, value) in row.value.all.enumerated() {
          expect(actual[0][i], value, 32, slack: rank == 1 ? 1e-1 : 0, dtype, "\(way): \(entry.name) of \(row.x)")
        }
        for (i, value) in expected.enumerated() {
          expect(actual[1][i], value, 64, slack: slack, dtype, "\(way): gradient \(i) of \(entry.name) at \(row.x)")
        }
      }
    }
  }

  // MARK: Symmetric pairs

  @Test("symmetric pairs", arguments: [DType.float32, .float64])
  func symmetry(_ dtype: DType) throws {
    let values = stride(from: -30.0, through: 30, by: 0.37).map { $0 }
    let x = Tensor(values, dtype: dtype)
    let (ones, zeros) = (Tensor.onesLike(x), Tensor.zerosLike(x))
    func same(_ a: Tensor, _ b: Tensor, _ what: String) {
      for (i, (a, b)) in zip(a.toArray(of: Double.self), b.toArray(of: Double.self)).enumerated() {
        expect(a, b, 4, dtype, "\(what) at \(values[i])")
      }
    }
    func binary(_ x: Tensor, _ y: Tensor) -> Tensor { binaryCrossEntropyWithLogits(x, y, reduction: .none) }
    same(binary(x, ones), binary(-x, zeros), "loss(x, 1) = loss(−x, 0)")
    same(binary(x, ones), (-x).softplus(), "loss(x, 1) = softplus(−x)")
    let pairs = stack([x, zeros], axis: 1)
    same(
      crossEntropy(pairs, Tensor.zeros([x.shape[0]], dtype: .int64), reduction: .none), binary(x, ones),
      "cross entropy of two classes")
    same(x.gelu() - (-x).gelu(), x, "gelu(x) − gelu(−x) = x")
    same(x.gelu(approximation: .tanh) - (-x).gelu(approximation: .tanh), x, "the same by tanh")
    same(x.silu() - (-x).silu(), x, "silu(x) − silu(−x) = x")
    same(pairs.logSumExp(axis: 1), x.softplus(), "logSumExp(x, 0) = softplus(x)")
    let columns = pairs.transposed(0, 1).logSoftmax(axis: 0).transposed(0, 1)
    same(pairs.logSoftmax(axis: 1).flattened(), columns.flattened(), "log softmax of rows and columns")
  }
}
