import Testing

@testable import ApusCore

/// Tensors from Swift values and from formulas; what NumPy gives is from NumPy 2.4.
@Suite struct CreationTests {
  @Test("empty nested arrays have the dtype of full ones")
  func emptyNested() {
    #expect(Tensor([[Int]]()).type == TensorType(.int64, [0, 0]))
    #expect(Tensor([[[Bool]]]()).type == TensorType(.bool, [0, 0, 0]))
    #expect(Tensor([[[[Double]]]]()).type == TensorType(.float32, [0, 0, 0, 0]))
    #expect(Tensor([[Double]](), dtype: .int64).type == TensorType(.int64, [0, 0]))
    #expect(Tensor([[], []] as [[Int]]).type == TensorType(.int64, [2, 0]))
  }

  @Test("linspace has NumPy's values and ends where it was told to")
  func linspace() throws {
    func line(_ start: Double, _ stop: Double, _ count: Int) -> [Double] {
      Tensor.linspace(start, stop, count: count, dtype: .float64).toArray(of: Double.self)
    }
    // (count − 1) · step is not the end for these.
    for count in [50, 99, 104, 108, 162] {
      #expect(line(0, 1, count).last == 1)
      let shifted = compiled { (x: Tensor) in x + Tensor.linspace(0, 1, count: count, dtype: .float64) }
      let traced = try shifted(Tensor(0.0, dtype: .float64))
      #expect(traced.toArray(of: Double.self).last == 1)
    }
    #expect(
      line(-1.7, 2.9, 7) == [
        -1.7, -0.9333333333333333, -0.16666666666666674, 0.5999999999999999, 1.3666666666666665, 2.133333333333333, 2.9,
      ])
    #expect(line(3, -2, 4) == [3, 1.3333333333333333, -0.3333333333333335, -2])
    #expect(line(0.1, 0.7, 6) == [0.1, 0.22, 0.33999999999999997, 0.45999999999999996, 0.58, 0.7])
    #expect(line(2, 9, 1) == [2])
    #expect(line(1, 2, 0) == [])
  }

  @Test("full holds what no signed integer does")
  func largeUnsigned() {
    #expect(Tensor.full([2], UInt64.max).toArray(of: UInt64.self) == [.max, .max])
    #expect(Tensor.full([2], UInt64.max, dtype: .float64).toArray(of: Double.self) == [0x1p64, 0x1p64])
    #expect(Tensor.full([], UInt64(7)).dtype == .uint64)
    #expect(Tensor.fullLike(Tensor.zeros([1], dtype: .uint64), UInt64.max).toArray(of: UInt64.self) == [.max])
  }
}
