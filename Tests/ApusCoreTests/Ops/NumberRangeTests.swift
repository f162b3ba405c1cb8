import Testing

@testable import ApusCore

/// Numbers beyond a dtype's range: an error that names the range wherever one stands alone, never another number.
@Suite struct NumberRangeTests {
  /// A number just beyond each end of a dtype, and ones that are no number of it at all.
  private static func beyond(_ dtype: DType) -> [Double] {
    switch dtype {
    case .float16: [65520, -65520, 1e10]
    case .bfloat16: [3.4e38, -1e39]
    case .float32: [0x1.FFFFFFp127, -1e39, 1e300]
    case .float8e4m3fn: [465, -1e5]
    case .float8e5m2: [61440, -1e9]
    default:
      dtype.integerRange.map { [Double($0.upperBound) + 1, Double($0.lowerBound) * 1.01 - 1, .nan, .infinity, -1e30] }
        ?? []
    }
  }

  private static let narrow = DType.allCases.filter { !beyond($0).isEmpty && $0.bitWidth >= 8 }

  private func expectRange(_ what: String, _ dtype: DType, _ body: () -> Tensor) {
    let error = #expect(throws: ApusError.self, "\(what) of \(dtype)") { try checked(body) }
    let text = error?.message ?? "no error"
    #expect(text.contains("fit"), "\(what): \(text)")
    let end = dtype.integerRange.map { "\($0.upperBound)" } ?? "\(dtype.largest)"
    #expect(text.contains(end), "\(what) names no \(end): \(text)")
  }

  @Test("made of a number", arguments: narrow)
  func creation(_ dtype: DType) throws {
    let one = Tensor.ones([2], dtype: dtype)
    for value in Self.beyond(dtype) {
      expectRange("scalar", dtype) { Tensor(value, dtype: dtype) }
      expectRange("vector", dtype) { Tensor([0, 1, value], dtype: dtype) }
      expectRange("matrix", dtype) { Tensor([[0, 1], [value, 1]], dtype: dtype) }
      expectRange("shaped", dtype) { Tensor([0, value], shape: [2, 1], dtype: dtype) }
      expectRange("full", dtype) { Tensor.full([2], value, dtype: dtype) }
      expectRange("fullLike", dtype) { Tensor.fullLike(one, value) }
      expectRange("padded", dtype) { one.padded([(1, 0)], value: value) }
      let full = Primitive.full(.init(value: .double(value), type: TensorType(dtype, [2])))
      #expect(throws: ApusError.self) { try apply(full, []) }
      #expect(throws: ApusError.self) { try compiled { (x: Tensor) in x.padded([(1, 0)], value: value) }(one) }
      #expect(throws: ApusError.self) {
        try compiled { (x: Tensor) in [x, Tensor.full([2], value, dtype: dtype)] }(one)
      }
      if dtype.hasArithmetic {
        expectRange("subscript", dtype) {
          var x = one
          x[0] = Tensor(value, dtype: .float64)
          return x
        }
      }
      if value.isFinite {
        expectRange("linspace", dtype) { Tensor.linspace(0, value, count: 3, dtype: dtype) }
        if value.magnitude < 1e6 { expectRange("arange", dtype) { Tensor.arange(value, value + 3, dtype: dtype) } }
      }
    }
  }

  @Test("whole numbers, of every Swift type")
  func wholeNumbers() throws {
    expectRange("arange", .uint8) { Tensor.arange(250, 260, dtype: .uint8) }
    expectRange("arange", .uint8) { Tensor.arange(3, -3, step: -1, dtype: .uint8) }
    expectRange("iota", .uint8) { Tensor.iota([257], dtype: .uint8) }
    expectRange("iota", .uint8) { Tensor.iota([2, 300], axis: 1, dtype: .uint8) }
    expectRange("half", .float16) { Tensor([70000], dtype: .float16) }
    expectRange("padded", .uint8) { Tensor.ones([2], dtype: .uint8).padded([(1, 1)], value: 300) }
    expectRange("unsigned", .uint8) { Tensor([UInt64.max], dtype: .uint8) }
    expectRange("unsigned", .int64) { Tensor(UInt64.max, dtype: .int64) }
    expectRange("unsigned", .uint8) { Tensor.ones([2], dtype: .uint8).padded([(1, 1)], value: UInt64.max) }
    #expect(Tensor.iota([256], dtype: .uint8).max().item() == 255)
    #expect(Tensor.arange(250, 256, dtype: .uint8).toArray(of: Int.self) == Array(250..<256))
    #expect(Tensor([-0.9, 255.9], dtype: .uint8).toArray(of: Int.self) == [0, 255])
    #expect(Tensor([65519.0], dtype: .float16).cast(to: .float64).item() == 65504)
    #expect((Tensor.ones([2]) * UInt64.max).toArray() == [0x1p64, 0x1p64])
    #expect(Tensor([Double.infinity, .nan], dtype: .float16).cast(to: .float32).toArray()[0] == .infinity)
    // A window's border is the least number there is.
    let images = Tensor([-5, -7, -6, -9], shape: [1, 1, 2, 2], dtype: .int32)
    #expect(images.maxPool2D(kernelSize: 2, stride: 1, padding: 1).min().item() == -9)
  }

  @Test("weak numbers beside a tensor")
  func weak() throws {
    let x = Tensor([1, .infinity, -.infinity, 3e38, .nan])
    for operation in [
      { x * 1e39 }, { x + 1e39 }, { 1e39 - x }, { x / -1e39 }, { 1e39 / x }, { x % 1e39 }, { maximum(x, 1e39) },
      { minimum(-1e39, x) }, { x ** 1e39 }, { select(x .> 0, x, 1e39) }, { select(x .> 0, 1e39, x) },
      { x.floorDivide(1e39) },
      { select(x .> 0, 1e39, 0) },
    ] as [() -> Tensor] {
      expectRange("weak", .float32, operation)
    }
    #expect((x.cast(to: .float64) * 1e39).toArray(of: Double.self)[0] == 1e39)
    #expect((x * Double.infinity).toArray()[0] == .infinity)
    // Compared as they are.
    #expect((x .< 1e39).toArray(of: Bool.self) == [true, false, true, true, false])
    #expect((x .> 1e39).toArray(of: Bool.self) == [false, true, false, false, false])
    #expect((x .== 1e39).toArray(of: Bool.self) == [false, false, false, false, false])
    #expect((1e39 .<= x).toArray(of: Bool.self) == [false, true, false, false, false])
    #expect(x.clamped(min: -1e39, max: 1e39).toArray()[1...2] == [.greatestFiniteMagnitude, -.greatestFiniteMagnitude])
    #expect(Tensor([5, 255], dtype: .uint8).clamped(min: -1e300, max: 7.0).toArray() == [5, 7])
  }

  @Test("whole numbers compared with real ones", arguments: [DType.uint8, .int32, .int64])
  func comparisons(_ dtype: DType) {
    let range = dtype.integerRange ?? 0...0
    let whole: [Int64] =
      [range.lowerBound, 0, 1, 7, range.upperBound - 1, range.upperBound] + (dtype == .uint8 ? [] : [16_777_217, -1])
    let x = Tensor(whole, dtype: dtype)
    for real in [
      0.5, -0.5, 7, 6.999, 16_777_216, Double(range.upperBound), Double(range.upperBound) + 1, -0x1p63, 0x1p63, 1e300,
      -1e300, .infinity, -.infinity, .nan,
    ] {
      // Swift compares across types exactly.
      #expect((x .< real).toArray(of: Bool.self) == whole.map { Self.order($0, real) == -1 }, "< \(real)")
      #expect(
        (x .<= real).toArray(of: Bool.self) == whole.map { [-1, 0].contains(Self.order($0, real)) }, "<= \(real)")
      #expect((x .> real).toArray(of: Bool.self) == whole.map { Self.order($0, real) == 1 }, "> \(real)")
      #expect((real .<= x).toArray(of: Bool.self) == whole.map { [1, 0].contains(Self.order($0, real)) }, ">= \(real)")
      #expect((x .== real).toArray(of: Bool.self) == whole.map { Self.order($0, real) == 0 }, "== \(real)")
      #expect((x .!= real).toArray(of: Bool.self) == whole.map { Self.order($0, real) != 0 }, "!= \(real)")
    }
  }

  /// −1, 0 or 1; nil beside NaN. By whole parts, so that nothing is rounded.
  private static func order(_ whole: Int64, _ real: Double) -> Int? {
    if real.isNaN { return nil }
    guard let floor = Int64(exactly: real.rounded(.down)) else { return real > 0 ? -1 : 1 }
    if whole != floor { return whole < floor ? -1 : 1 }
    return real == real.rounded() ? 0 : -1
  }

  @Test("uniform numbers fill their range, however wide")
  func uniform() throws {
    for (dtype, end) in [
      (DType.float32, 3e38), (.float32, Double(Float.greatestFiniteMagnitude)), (.float64, 1.7e308),
      (.float64, .greatestFiniteMagnitude),
    ] {
      let x = Tensor.uniform([4000], low: -end, high: end, dtype: dtype, generator: Generator(seed: 3)).toArray(
        of: Double.self)
      #expect(x.allSatisfy { $0.isFinite && abs($0) <= end })
      #expect(abs(x.reduce(0) { $0 + $1 / end } / 4000) < 0.05)
      #expect((x.min() ?? 0) < -0.99 * end && (x.max() ?? 0) > 0.99 * end)
      #expect(x.count { abs($0) < end / 2 } > 1800 && x.count { abs($0) < end / 2 } < 2200)
    }
    #expect(Tensor.uniform([3], low: 2, high: 2).toArray() == [2, 2, 2])
    for (low, high) in [(0, 1e39), (-1e39, 0)] {
      expectRange("uniform", .float32) { Tensor.uniform([2], low: low, high: high) }
    }
    for (low, high) in [(1.0, 0), (0, .infinity), (-.infinity, 0), (.nan, 1)] {
      #expect(throws: ApusError.self) { try checked { Tensor.uniform([2], low: low, high: high) } }
    }
    expectRange("normal", .float32) { Tensor.normal([2], standardDeviation: 1e38) }
    expectRange("normal", .float32) { Tensor.normal([2], mean: 3.4e38, standardDeviation: 1e37) }
    #expect(Tensor.normal([4000], mean: 1e38, standardDeviation: 3e37).toArray().allSatisfy { $0.isFinite })
    for deviation in [-1, Double.nan, .infinity] {
      #expect(throws: ApusError.self) { try checked { Tensor.normal([2], standardDeviation: deviation) } }
    }
  }

  @Test("random whole numbers are of their dtype", arguments: DType.allCases)
  func randomIntegers(_ dtype: DType) throws {
    let held = dtype.wholeNumbers
    func draw(_ low: Int64, _ count: Int64) -> Tensor {
      Tensor.randomIntegers([200], in: Int(low)..<Int(low + count), dtype: dtype, generator: Generator(seed: 5))
    }
    if held.upperBound < .max {
      expectRange("beyond", dtype, end: held.upperBound) { draw(held.upperBound - 1, 3) }
      let last = try checked { draw(held.upperBound, 1) }
      if !dtype.isComplex, dtype.bitWidth >= 8 {
        #expect(Set(last.cast(to: .float64).toArray(of: Double.self)) == [Double(held.upperBound)])
      }
    }
    if held.lowerBound > .min { expectRange("before", dtype, end: held.lowerBound) { draw(held.lowerBound - 1, 3) } }
    if !dtype.isComplex, dtype.bitWidth >= 8 {
      let coin = Set(draw(0, 2).cast(to: .int64).toArray(of: Int.self))
      #expect(coin == [0, 1])
    }
  }

  private func expectRange(_ what: String, _ dtype: DType, end: Int64, _ body: () -> Tensor) {
    let error = #expect(throws: ApusError.self, "\(what) of \(dtype)") { try checked(body) }
    #expect(error?.message.contains("\(end)") == true, "\(what): \(error?.message ?? "no error")")
  }

  @Test("an axis that turns out empty is the same error compiled and eager")
  func emptyAxis() throws {
    let operations: [@Sendable (Tensor) -> Tensor] = [
      { $0.max(0) }, { $0.min(0) }, { $0.argMax(axis: 0) }, { $0.argMin(axis: 0) }, { $0.logSumExp(axis: 0) },
      { $0.max(0, 1) },
      { $0.maxPool(3) }, { $0.sliced(starts: [2, 0], stops: [3, 2]) },
    ]
    for operation in operations {
      let function = compiled(inputs: [["n", 2]]) { (x: [Tensor]) in [operation(x[0])] }
      _ = try function([Tensor.ones([7, 2])])
      let empty = Tensor.ones([0, 2])
      let eager = #expect(throws: ApusError.self) { try checked { operation(empty) } }
      let found = #expect(throws: ApusError.self) { try function([empty]) }
      #expect(
        found?.message == eager?.message && found?.operation == eager?.operation && found?.operands == eager?.operands,
        "\(found?.message ?? "no error"), eager \(eager?.message ?? "no error")")
    }
  }
}

extension Tensor {
  /// The largest of each window of rows.
  fileprivate func maxPool(_ rows: Int) -> Tensor { unsqueezed(0).unsqueezed(0).maxPool2D(kernelSize: (rows, 1)) }
}
