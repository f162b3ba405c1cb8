import Testing

@testable import ApusCore

/// Dtypes and shapes that operands meet in. Expected values are PyTorch's.
@Suite struct PromotionTests {
  @Test("two tensors meet in torch.promote_types")
  func strong() {
    let dtypes: [DType] = [.bool, .uint8, .int32, .int64, .float32, .float64]
    for (i, a) in dtypes.enumerated() {
      for b in dtypes[i...] {
        let (x, y) = (Tensor.ones([2], dtype: a), Tensor.ones([2], dtype: b))
        #expect((x + y).dtype == b)
        #expect((y * x).dtype == b)
      }
    }
  }

  @Test("a Swift number is weak")
  func weak() {
    #expect((Tensor.ones([2], dtype: .uint8) * 3).dtype == .uint8)
    #expect((Tensor.ones([2], dtype: .int32) + 0.5).dtype == .float32)
    #expect((2.5 - Tensor.ones([2], dtype: .float64)).dtype == .float64)
    #expect((Tensor.ones([2], dtype: .bool) + 1).dtype == .int64)
    #expect((true + Tensor.ones([2], dtype: .int32)).dtype == .int32)
    #expect((Tensor([1, 2]) + 0.5).toArray() == [1.5, 2.5])
  }

  @Test("a scalar tensor counts only by category")
  func scalarTensor() {
    let wide = Tensor(2.0, dtype: .float64)
    #expect((Tensor.ones([2]) * wide).dtype == .float32)
    #expect((wide * Tensor.ones([2], dtype: .int64)).dtype == .float64)
    #expect((wide * Tensor.ones([])).dtype == .float64)
    #expect((Tensor.ones([2], dtype: .int32) + Tensor(1)).dtype == .int32)
  }

  @Test("division is true division; the floored one keeps integers")
  func division() {
    #expect((Tensor([7, -7]) / 2).toArray() == [3.5, -3.5])
    #expect((Tensor([7]) / Tensor([2])).dtype == .float32)
    #expect((1 / Tensor([4])).toArray() == [0.25])
    let floored = Tensor([7, -7, 7, -7]).floorDivide(Tensor([2, 2, -2, -2]))
    #expect(floored.toArray(of: Int.self) == [3, -4, -4, 3])
    #expect(Tensor([7, 5]).floorDivide(Tensor([0, 2])).toArray(of: Int.self) == [0, 2])
    #expect(Tensor([7.5, -7.5, 1.0]).floorDivide(Tensor([2.0, 2.0, 0.0])).toArray() == [3, -4, .infinity])
    #expect((Tensor([7, -7, 7, -7]) % Tensor([3, 3, -3, -3])).toArray(of: Int.self) == [1, 2, -2, -1])
  }

  @Test("floored division at the ends of the range, and by infinity")
  func flooredAtTheEnds() {
    let (a, b) = ([Int32.max, .min, .min, 7, -7, 7, -7, 0], [-2, 3, 2, 2, 2, -2, -2, 5] as [Int32])
    #expect(
      Tensor(a).floorDivide(Tensor(b)).toArray(of: Int.self)
        == [-1_073_741_824, -715_827_883, -1_073_741_824, 3, -4, -4, 3, 0])
    #expect(
      Tensor([Int.max, .min]).floorDivide(Tensor([-2, 3])).toArray(of: Int.self)
        == [-4_611_686_018_427_387_904, -3_074_457_345_618_258_603])
    let real = Tensor([-5.0, 5, -5, 0, .infinity, .nan, 1]).floorDivide(
      Tensor([.infinity, .infinity, -.infinity, -.infinity, 2, .infinity, 0.0])
    ).toArray()
    #expect(real[..<4] == [-1, 0, 0, 0])
    #expect(real[4].isNaN && real[5].isNaN && real[6] == .infinity)
  }

  @Test("a whole number that the dtype can't hold wraps in sums and products, and is an error elsewhere")
  func unheldNumbers() throws {
    let x = Tensor([5, 255], dtype: .uint8)
    #expect((x + -1).toArray(of: Int.self) == [4, 254])
    #expect((x * -1).toArray(of: Int.self) == [251, 1])
    #expect((x - 300).toArray(of: Int.self) == [217, 211])
    #expect(x.clamped(min: -1, max: 300).toArray(of: Int.self) == [5, 255])
    #expect((x .< 256).toArray(of: Bool.self) == [true, true])
    let faults: [() -> Tensor] = [
      { x % 256 }, { x.floorDivide(256) }, { maximum(x, -1) }, { select(x .> 5, x, 256) }, { select(x .> 5, -1, x) },
      { Tensor(256, dtype: .uint8) }, { Tensor([0, -1], dtype: .uint8) }, { Tensor.full([2], 1 << 40, dtype: .int32) },
    ]
    for fault in faults {
      let error = #expect(throws: ApusError.self) { try checked(fault) }
      #expect(error?.description.contains("fit") == true, "\(String(describing: error))")
    }
  }

  @Test("bool adds as or, multiplies as and, has no difference")
  func bool() throws {
    let (a, b) = (Tensor([true, true, false]), Tensor([true, false, false]))
    #expect((a + b).toArray(of: Bool.self) == [true, true, false])
    #expect((a * b).toArray(of: Bool.self) == [true, false, false])
    #expect(maximum(a, b).dtype == .bool)
    #expect((a / b).dtype == .float32)
    let error = #expect(throws: ApusError.self) { try checked { a - b } }
    #expect(error?.kind == .dtype)
  }

  @Test("comparison widens; a number that does not fit is compared as it is")
  func comparison() {
    #expect((Tensor([1, 2]) .< 1.5).toArray(of: Bool.self) == [true, false])
    #expect((1.5 .< Tensor([1, 2])).toArray(of: Bool.self) == [false, true])
    #expect((Tensor([0, 255], dtype: .uint8) .== -1).toArray(of: Bool.self) == [false, false])
    #expect((Tensor([0, 255], dtype: .uint8) .> -1).toArray(of: Bool.self) == [true, true])
    #expect((Tensor([1, 2], dtype: .int32) .!= Int(Int32.max) + 1).toArray(of: Bool.self) == [true, true])
    #expect((Tensor([Double.nan]) .!= Tensor([Double.nan])).toArray(of: Bool.self) == [true])
  }

  @Test("shapes broadcast, also beside symbols and in select")
  func shapes() {
    let sum = Tensor([[1], [2]]) + Tensor([10, 20, 30])
    #expect(sum.shape == [2, 3])
    #expect(sum.toArray(of: Int.self) == [11, 21, 31, 12, 22, 32])
    let chosen = select(Tensor([true, false]), Tensor([[1.0], [2.0]]), 0)
    #expect(chosen.shape == [2, 2])
    #expect(chosen.toArray() == [1, 0, 2, 0])
    #expect(select(Tensor([1, 0]), 1.0, 2.0).toArray() == [1, 2])
  }

  @Test("errors name operation, operands and what would fit")
  func errors() throws {
    let error = #expect(throws: ApusError.self) { try checked { Tensor.ones([2, 3]) + Tensor.ones([4]) } }
    #expect(error?.operation == "add")
    #expect(error?.operands == ["float32[2, 3]", "float32[4]"])
    #expect(error?.message.contains("[2, 3] and [4] do not broadcast") == true)
    let half = #expect(throws: ApusError.self) {
      try checked { Tensor.ones([2], dtype: .float16) + Tensor.ones([2], dtype: .float16) }
    }
    #expect(half?.message.contains("cast to float32") == true)
    let power = #expect(throws: ApusError.self) { try checked { Tensor([2]) ** -1 } }
    #expect(power?.kind == .argument)
  }
}
