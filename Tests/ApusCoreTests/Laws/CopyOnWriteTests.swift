import Testing

@testable import ApusCore

/// Law 6: a tensor is a value; changing one never alters another, a view, or a saved value.
@Suite struct CopyOnWriteTests {
  @Test("assigning to a part leaves copies alone")
  func copies() {
    var a = Tensor([1.0, 2, 3])
    let b = a
    a[0] = Tensor(10.0)
    #expect(a.toArray() == [10, 2, 3])
    #expect(b.toArray() == [1, 2, 3])
  }

  @Test("assigning to a view leaves its base alone, and the other way round")
  func views() {
    var base = Tensor([[1.0, 2, 3], [4, 5, 6]])
    var row = base[1]
    let turned = base.T
    row[0] = Tensor(40.0)
    #expect(row.toArray() == [40, 5, 6])
    #expect(base.toArray() == [1, 2, 3, 4, 5, 6])
    base[1, 2] = Tensor(60.0)
    #expect(base.toArray() == [1, 2, 3, 4, 5, 60])
    #expect(turned.toArray() == [1, 4, 2, 5, 3, 6])
    #expect(row.toArray() == [40, 5, 6])
  }

  @Test("a unique tensor is changed in place")
  func inPlace() {
    var a = Tensor([1.0, 2, 3]) + 0
    let before = a.storage.plainAddress
    a[1...] = Tensor([20.0, 30])
    #expect(a.toArray() == [1, 20, 30])
    #expect(a.storage.plainAddress == before)
  }

  @Test("a tensor assigned to a part of itself")
  func overlapping() {
    var a = Tensor([1.0, 2, 3, 4])
    a[1...] = a[..<3]
    #expect(a.toArray() == [1, 1, 2, 3])
  }

  @Test("values saved for the gradient stay what they were")
  func saved() {
    let w = Tensor([1.0, 1, 1], requiresGradient: true)
    var a = Tensor([1.0, 2, 3])
    let y = w * a
    a[0] = Tensor(100.0)
    a += 5
    y.sum().backward()
    #expect(w.gradient?.toArray() == [1, 2, 3])
  }

  @Test("saved results stay what they were")
  func savedResults() {
    let x = Tensor([0.0, 1], dtype: .float64, requiresGradient: true)
    let y = x.exp()
    var z = y.detached()
    z *= 100
    z[0] = Tensor(-1.0)
    y.sum().backward()
    #expect(x.gradient?.toArray(of: Double.self) == y.toArray(of: Double.self))
  }

  @Test("gradients flow through assignment to a part")
  func throughAssignment() {
    let w = Tensor([2.0, 3], requiresGradient: true)
    var x = Tensor.zeros([4])
    x[1..<3] = w * w
    (x * Tensor([1.0, 10, 100, 1000])).sum().backward()
    #expect(w.gradient?.toArray() == [40, 600])
  }

  @Test("compound assignment leaves copies, variables and constants alone")
  func compound() throws {
    var a = Tensor([1.0, 2])
    let copy = a
    let variable = Variable(a)
    let function = compiled { [a] (x: Tensor) in x + a }
    #expect(try function(Tensor([0.0, 0])).toArray() == [1, 2])
    a += 1
    a *= a
    #expect(a.toArray() == [4, 9])
    #expect(copy.toArray() == [1, 2])
    #expect(variable.value.toArray() == [1, 2])
    #expect(try function(Tensor([0.0, 0])).toArray() == [1, 2])
  }

  @Test("a value read from a variable survives a compiled update of it")
  func donated() throws {
    let state = Variable(Tensor([1.0, 2, 3]))
    let step = compiled { (x: Tensor) in
      state.value = state.value * 2 + x
      return state.value.sum()
    }
    let before = state.value
    for _ in 0..<3 { _ = try step(Tensor([1.0, 1, 1])) }
    #expect(before.toArray() == [1, 2, 3])
    #expect(state.value.toArray() == [15, 23, 31])
  }

  @Test("a million in-place assignments to parts take no new memory each")
  func manyAssignments() {
    var a = Tensor.zeros([64])
    let one = Tensor(1.0)
    let memory = a.storage.plainAddress
    for i in 0..<1_000_000 { a[i % 64] = one }
    #expect(a.sum().item() == 64)
    #expect(a.storage.plainAddress == memory)
  }

  @Test("assigning to elements smaller than a byte is right or refused, never a write beside them")
  func narrowAssignment() throws {
    for dtype in [DType.int4, .uint4] {
      do {
        let values = try checked { () -> [Int32] in
          var a = Tensor.arange(7).cast(to: dtype)
          a[2] = Tensor(5)
          return a.cast(to: .int32).toArray(of: Int32.self)
        }
        #expect(values == [0, 1, 5, 3, 4, 5, 6])
      } catch let error as ApusError {
        #expect(error.kind == .unsupported || error.kind == .dtype, "\(error)")
      }
    }
  }

  @Test("views of empty tensors whose other sizes are huge")
  func hugeAndEmpty() throws {
    let n = 1 << 32 - 1
    let empty = try Tensor(bytes: [UInt8]().span.bytes, type: TensorType(.uint8, [0, Dim(n), Dim(n)]))
    #expect(empty.transposed(0, 2).shape == [n, n, 0])
    #expect(empty[0..<0].shape == [0, n, n])
    #expect(empty.cast(to: .float32).elementCount == 0)
  }
}
