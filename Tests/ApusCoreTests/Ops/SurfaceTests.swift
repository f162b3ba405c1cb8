import Testing

@testable import ApusCore

/// Public operations on small operands, against values from their formulas.
@Suite struct SurfaceTests {
  private func expect(_ x: Tensor, _ values: [Double], _ shape: Shape, _ location: SourceLocation = #_sourceLocation) {
    #expect(x.shape == shape, sourceLocation: location)
    expectClose(x.toArray(of: Double.self), values, 1e-6, "", location)
  }

  @Test("functions of one operand")
  func elementwise() {
    let x = Tensor([-1.5, 0.0, 0.5], dtype: .float64)
    expect(x.abs(), [1.5, 0, 0.5], [3])
    expect(x.sign(), [-1, 0, 1], [3])
    expect(x.round(), [-2, 0, 0], [3])
    expect(floor(x), [-2, 0, 0], [3])
    expect(exp(x), [0.22313016, 1, 1.64872127], [3])
    expect(x.sigmoid(), [0.18242552, 0.5, 0.62245933], [3])
    expect(x.gelu(), [-0.10021080, 0, 0.34573123], [3])
    expect(x.gelu(approximation: .tanh), [-0.10042836, 0, 0.34571400], [3])
    expect(x.silu(), [-0.27363828, 0, 0.31122967], [3])
    expect(x.softplus(), [0.20141328, 0.69314718, 0.97407698], [3])
    expect(x.leakyRelu(), [-0.015, 0, 0.5], [3])
    expect(x.elu(), [-0.77686984, 0, 0.5], [3])
    expect(Tensor([-1000.0, 1000.0]).softplus(), [0, 1000], [2])
    #expect(Tensor([4, 9]).sqrt().dtype == .float32)
    #expect(Tensor([4, 9]).floor().dtype == .int64)
    expect(Tensor([-2, 0, 7]).clamped(min: 0, max: 5), [0, 0, 5], [3])
  }

  @Test("powers")
  func powers() {
    let x = Tensor([-2.0, 3.0], dtype: .float64)
    expect(x ** 2, [4, 9], [2])
    expect(x ** 3, [-8, 27], [2])
    expect(2 ** x, [0.25, 8], [2])
    expect(x.power(Tensor([3, 2])), [-8, 9], [2])
    #expect((Tensor([2, 3]) ** 2).dtype == .int64)
    #expect((Tensor([2, 3]) ** 0.5).dtype == .float32)
    // To the right, and before multiplication.
    expect(2 * Tensor(3.0) ** 2 ** Tensor(1.0), [18], [])
  }

  @Test("reductions")
  func reductions() {
    let x = Tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 9.0]], dtype: .float64)
    expect(x.sum(), [24], [])
    expect(x.sum(0), [5, 7, 12], [3])
    expect(x.sum(-1, keepDims: true), [6, 18], [2, 1])
    expect(x.mean(1), [2, 6], [2])
    expect(x.product(0), [4, 10, 27], [3])
    expect(x.max(1), [3, 9], [2])
    expect(x.min(), [1], [])
    expect(x.variance(1), [1, 7], [2])
    expect(x.variance(1, correction: 0), [2.0 / 3, 14.0 / 3], [2])
    expect(x.standardDeviation(0), [2.1213203, 2.1213203, 4.2426407], [3])
    expect(x.argMax(axis: 1), [2, 2], [2])
    expect(x.argMin(), [0], [])
    expect(x.argMax(axis: 0, keepDims: true), [1, 1, 1], [1, 3])
    expect(x.logSumExp(axis: 1), [3.40760596, 9.02474489], [2])
    #expect(Tensor([true, true]).sum().item(as: Int.self) == 2)
    #expect(Tensor([100, 200], dtype: .uint8).sum().item(as: Int.self) == 300)
    #expect(Tensor([1, 2]).mean().item() == 1.5)
    #expect(Tensor.zeros([0]).sum().item() == 0)
    #expect(Tensor.zeros([0]).product().item() == 1)
    #expect(Tensor.zeros([0]).mean().item().isNaN)
    #expect(Tensor.zeros([0]).any().item(as: Bool.self) == false)
    #expect(Tensor.zeros([0]).all().item(as: Bool.self) == true)
    #expect(Tensor([[0, 1], [1, 1]]).all(1).toArray(of: Bool.self) == [false, true])
    let infinite = Tensor([-Double.infinity, -Double.infinity])
    #expect(infinite.logSumExp(axis: 0).item() == -.infinity)
    #expect(Tensor([Double.infinity, 0]).logSumExp(axis: 0).item() == .infinity)
  }

  @Test("movement")
  func movement() {
    let x = Tensor.arange(6, dtype: .float64).reshape(2, 3)
    expect(x.T, [0, 3, 1, 4, 2, 5], [3, 2])
    expect(x.reshape([3, -1]), [0, 1, 2, 3, 4, 5], [3, 2])
    expect(x.unsqueezed(-1).squeezed().transposed(0, -1), [0, 3, 1, 4, 2, 5], [3, 2])
    expect(x.reversed(1), [2, 1, 0, 5, 4, 3], [2, 3])
    expect(x.padded([(1, 0), (0, 1)], value: 9), [9, 9, 9, 9, 0, 1, 2, 9, 3, 4, 5, 9], [3, 4])
    expect(x.slice(axis: -1, 1..<3), [1, 2, 4, 5], [2, 2])
    expect(x.sliced(starts: [0, 0], stops: [2, 3], steps: [1, 2]), [0, 2, 3, 5], [2, 2])
    expect(concatenate([x, Tensor([[7, 8, 9]])], axis: 0), [0, 1, 2, 3, 4, 5, 7, 8, 9], [3, 3])
    expect(stack([Tensor([1.0, 2.0]), Tensor([3, 4])], axis: -1), [1, 3, 2, 4], [2, 2])
    let parts = x.split(sizes: [1, 2], axis: 1)
    expect(parts[0], [0, 3], [2, 1])
    expect(parts[1], [1, 2, 4, 5], [2, 2])
    expect(x.split(into: 3, axis: 1)[2], [2, 5], [2, 1])
    expect(x.flattened(), [0, 1, 2, 3, 4, 5], [6])
    expect(Tensor.zeros([2, 3, 4]).flattened(from: 1), Array(repeating: 0, count: 24), [2, 12])
    expect(Tensor(3.0).flattened(), [3], [1])
  }

  @Test("indexing by tensors")
  func indexing() {
    let x = Tensor([[10.0, 11.0], [20.0, 21.0], [30.0, 31.0]], dtype: .float64)
    expect(x.gathered(Tensor([2, 0])), [30, 31, 10, 11], [2, 2])
    expect(x.gathered(Tensor([[1], [0]]), axis: -1), [11, 10, 21, 20, 31, 30], [3, 2, 1])
    expect(x.gatheredAlong(Tensor([[1], [0], [1]]), axis: 1), [11, 20, 31], [3, 1])
    expect(
      x.scatterAdded(Tensor([[1.0, 1.0], [2.0, 2.0]]), at: Tensor([0, 0])), [13, 14, 20, 21, 30, 31], [3, 2])
    expect(
      x.scatterAddedAlong(Tensor([[5.0], [6.0], [7.0]]), at: Tensor([[0], [1], [0]]), axis: 1),
      [15, 11, 20, 27, 37, 31], [3, 2])
    expect(Tensor([2, 0]).oneHot(3), [0, 0, 1, 1, 0, 0], [2, 3])
  }

  @Test("matrix products by NumPy's rules")
  func matmul() {
    let a = Tensor([[1.0, 2.0], [3.0, 4.0]])
    expect(a.matmul(Tensor([1.0, 1.0])), [3, 7], [2])
    expect(Tensor([1.0, 1.0]).matmul(a), [4, 6], [2])
    expect(Tensor([1.0, 2.0]).dot(Tensor([3.0, 4.0])), [11], [])
    #expect(Tensor.ones([5, 2, 3]).matmul(Tensor.ones([3, 4])).shape == [5, 2, 4])
    #expect(Tensor.ones([5, 1, 2, 3]).matmul(Tensor.ones([6, 3, 4])).shape == [5, 6, 2, 4])
    #expect(Tensor.ones([3]).matmul(Tensor.ones([5, 3, 4])).shape == [5, 4])
    #expect(Tensor.ones([5, 2, 3]).matmul(Tensor.ones([3])).shape == [5, 2])
    expect(Tensor([[1, 2]]).matmul(Tensor([[3], [4]])), [11], [1, 1])
    #expect(Tensor.ones([2, 0]).matmul(Tensor.ones([0, 3])).toArray() == Array(repeating: 0, count: 6))
  }

  @Test("windows over images")
  func images() {
    let x = Tensor.arange(16, dtype: .float64).reshape(1, 1, 4, 4)
    let w = Tensor.ones([1, 1, 3, 3], dtype: .float64)
    expect(x.convolution2D(w), [45, 54, 81, 90], [1, 1, 2, 2])
    expect(
      x.convolution2D(w, bias: Tensor([1.0], dtype: .float64), stride: (2, 2), padding: 1), [11, 25, 52, 91],
      [1, 1, 2, 2])
    #expect(x.convolution2D(w, padding: .same).shape == [1, 1, 4, 4])
    #expect(x.convolution2D(w, stride: (3, 3), padding: .same).shape == [1, 1, 2, 2])
    expect(x.maxPool2D(kernelSize: 2), [5, 7, 13, 15], [1, 1, 2, 2])
    // Windows of three with gaps, as much padding as a window reaches: by hand, elements 2 apart.
    let wide = x.maxPool2D(kernelSize: (3, 3), stride: (1, 1), padding: .same, dilation: (2, 2))
    expect(wide, [10, 11, 10, 11, 14, 15, 14, 15, 10, 11, 10, 11, 14, 15, 14, 15], [1, 1, 4, 4])
    expect(x.averagePool2D(kernelSize: 2), [2.5, 4.5, 10.5, 12.5], [1, 1, 2, 2])
    let corner = Tensor.ones([1, 1, 2, 2]).averagePool2D(
      kernelSize: 2, stride: 2, padding: 1, countIncludePadding: false)
    expect(corner, [1, 1, 1, 1], [1, 1, 2, 2])
    expect(
      Tensor.ones([1, 1, 2, 2]).averagePool2D(kernelSize: 2, stride: 2, padding: 1), [0.25, 0.25, 0.25, 0.25],
      [1, 1, 2, 2])
  }

  @Test("normalisation")
  func normalization() {
    let x = Tensor([[1.0, 10.0], [3.0, 30.0]], dtype: .float64)
    let (ones, zeros) = (Tensor.ones([2], dtype: .float64), Tensor.zeros([2], dtype: .float64))
    let (y, mean, variance) = x.batchNorm(scale: ones, shift: zeros, epsilon: 0)
    expect(mean, [2, 20], [2])
    expect(variance, [1, 100], [2])
    expect(y, [-1, -1, 1, 1], [2, 2])
    let inferred = x.batchNormInference(mean: mean, variance: variance, scale: ones * 2, shift: ones, epsilon: 0)
    expect(inferred, [-1, -1, 3, 3], [2, 2])
    expect(x.layerNorm(scale: ones, shift: zeros, epsilon: 0), [-1, 1, -1, 1], [2, 2])
    expect(x.softmax(axis: 1).sum(1), [1, 1], [2])
    expect(Tensor([1000.0, 1000.0]).logSoftmax(), [-0.69314718, -0.69314718], [2])
  }

  @Test("bad arguments are errors that say what would fit")
  func errors() throws {
    let x = Tensor.ones([2, 3])
    let faults: [(String, () -> Tensor)] = [
      ("axis 2 is not in -2..<2", { x.sum(2) }), ("given twice", { x.sum(0, -2) }),
      ("a scalar has no axis 0", { Tensor(1.0).sum(axes: [0]) }), ("6 elements do not divide", { x.reshape([4, -1]) }),
      ("6", { x.reshape([4, 2]) }), ("does not name each", { x.permuted(0, 0) }), ("has size 2", { x.squeezed(0) }),
      ("does not broadcast to", { x.broadcast(to: [3, 2]) }), ("not within", { x.slice(axis: 0, 1..<4) }),
      ("does not divide into 2", { x.split(into: 2, axis: 1)[0] }),
      ("do not add up", { x.split(sizes: [1, 1], axis: 1)[0] }),
      ("axis 3 is not", { x.gathered(Tensor([0]), axis: 3) }),
      ("indices are int64 or int32", { x.gathered(Tensor([0.0])) }),
      ("must have equal sizes: 3 and 2", { x.matmul(x) }), ("no elements", { Tensor.zeros([0]).max() }),
      ("takes 2 input channels", { Tensor.ones([1, 3, 4, 4]).convolution2D(Tensor.ones([1, 2, 3, 3])) }),
      ("does not fit", { Tensor.ones([1, 1, 2, 2]).convolution2D(Tensor.ones([1, 1, 3, 3])) }),
      ("groups", { Tensor.ones([1, 2, 4, 4]).convolution2D(Tensor.ones([3, 1, 3, 3]), groups: 2) }),
      ("without an element", { Tensor.ones([1, 1, 4, 4]).maxPool2D(kernelSize: 2, padding: 2) }),
      ("rank 4", { x.maxPool2D(kernelSize: 2) }), ("must have shape [3]", { x.batchNorm(scale: x, shift: x).y }),
      ("at most 8", { (0..<9).reduce(Tensor(1.0)) { t, _ in t.unsqueezed(0) } }),
      ("at least one tensor", { concatenate([]) }),
      ("sizes of axis 1 must be equal", { concatenate([x, Tensor.ones([2, 2])]) }),
      ("bool", { Dispatch.one(.logicalNot, x) }),
      // Attributes whose sums would overflow.
      ("memory can't hold", { Tensor.ones([2]).padded([(Int.max, Int.max)]) }),
      ("memory can't hold", { Tensor.ones([2]).sliced(starts: [0], stops: [2], steps: [Int.max]) }),
      (
        "at most 2147483647",
        { Tensor.ones([1, 1, 4, 4]).convolution2D(Tensor.ones([1, 1, 3, 3]), dilation: (Int.max, 1)) }
      ),
      ("at most 2147483647", { Tensor.ones([1, 1, 4, 4]).maxPool2D(kernelSize: Int.max, padding: .same) }),
      ("must not be negative", { Tensor.ones([1, 1, 4, 4]).averagePool2D(kernelSize: 2, padding: -1) }),
      ("must be at least 1", { Tensor.ones([1, 1, 4, 4]).maxPool2D(kernelSize: 2, stride: 0) }),
      ("do not add up", { x.split(sizes: [Int.max, Int.max], axis: 1)[0] }),
      ("not within", { x.slice(axis: 0, -1..<1) }),
      ("more than 2^63", { Tensor.randomIntegers([2], in: Int.min..<Int.max) }),
    ]
    for (part, fault) in faults {
      let error = #expect(throws: ApusError.self, "\(part)") { try checked(fault) }
      let text = error?.description ?? ""
      #expect(text.contains(part), "\(text)")
      #expect(error?.operation != nil, "\(text)")
    }
  }

  @Test("an index of one example does not reach into the next")
  func batchedIndices() throws {
    let take = vectorized { (x: Tensor, i: Tensor) in x.gathered(i) }
    let x = Tensor([[1.0, 2.0], [3.0, 4.0]])
    #expect(try take(x, Tensor([[1], [0]])).toArray() == [2, 3])
    #expect(throws: ApusError.self) { try checked { try take(x, Tensor([[2], [0]])) } }
  }

  @Test("a request for 2^62 elements is refused")
  func enormous() throws {
    for make in [{ Tensor.zeros([1 << 31, 1 << 31]) }, { Tensor.uniform([1 << 31, 1 << 31]) }] {
      let error = #expect(throws: ApusError.self) { try checked(make) }
      #expect(error?.kind == .memory)
    }
    let overflow = #expect(throws: ApusError.self) { try checked { Tensor(1.0).broadcast(to: [1 << 31, 1 << 31]) } }
    #expect(overflow?.kind == .memory)
    // A view of four tebibytes takes no memory; a sum of two would.
    let view = Tensor(1.0).broadcast(to: [1 << 20, 1 << 20])
    let error = #expect(throws: ApusError.self) { try checked { view + view } }
    #expect(error?.kind == .memory)
  }
}
