import Testing

@testable import ApusCore

/// Movement on host memory: the values of a copy, the memory of a view.
@Suite struct ViewTests {
  private let x = Tensor.arange(24, dtype: .float64).reshape(2, 3, 4)

  private func owner(_ t: Tensor) -> ObjectIdentifier { ObjectIdentifier(t.storage.base ?? t.storage) }

  /// The same primitive computed by the reference engine on a contiguous copy.
  private func copied(_ primitive: Primitive, _ x: Tensor) throws -> Tensor {
    let types = try primitive.definition.infer([x.type])
    return Tensor(try ReferenceEngine.shared.execute(primitive, [x.contiguous().storage], outputs: types)[0])
  }

  @Test("views chain, share the memory and hold the right values")
  func chains() throws {
    let steps: [(Primitive, Bool)] = [
      (.permute(.init(permutation: Permutation([2, 0, 1]))), true),
      (.slice(.init(starts: [1, 0, 0], stops: [4, 2, 3], steps: [2, 1, 2])), true),
      (.broadcast(.init(shape: [5, 2, 2, 2])), true),
      (.reshape(.init(shape: [5, 1, 2, 4])), false),
    ]
    var view = x
    for (primitive, isView) in steps {
      let result = Dispatch.one(primitive, view)
      expectClose(result, try copied(primitive, view), 0, primitive.name)
      #expect((owner(result) == owner(x)) == isView, "\(primitive.name)")
      view = result
    }
  }

  @Test("every kind of index, by its short name")
  func indices() {
    let x = Tensor((0..<24).map(Double.init), shape: [2, 3, 4])
    #expect(x[.ellipsis, -1].toArray() == [3, 7, 11, 15, 19, 23])
    #expect(x[0, .newAxis, .all].shape == [1, 3, 4])
    #expect(x[.at(-1), .range(start: -2), .every(-3)].toArray() == [19, 16, 23, 20])
    #expect(x[1..., ..<1, 1...2].toArray() == [13, 14])
    #expect(x[[.at(0), .at(0), .range(stop: 3, step: 2)]].toArray() == [0, 2])
  }

  @Test("a reshape is a view exactly where strides allow")
  func reshapes() throws {
    let transposed = x.permuted(0, 2, 1)  // [2, 4, 3], strides 12, 1, 4
    let cases: [(Tensor, Shape, Bool)] = [
      (x, [6, 4], true), (x, [24], true), (x, [1, 2, 1, 12], true), (transposed, [2, 2, 2, 3], true),
      (transposed, [8, 3], false), (transposed, [2, 12], false), (transposed, [1, 2, 4, 1, 3], true),
      (x.slice(axis: 2, 0..<2), [6, 2], true), (x.slice(axis: 1, 0..<2), [2, 8], true),
      (x.slice(axis: 1, 0..<2), [4, 4], false), (x.broadcast(to: [7, 2, 3, 4]), [7, 24], true),
      (x.broadcast(to: [7, 2, 3, 4]), [14, 12], false), (Tensor(1.0).broadcast(to: [2, 3]), [6], true),
      (x.slice(axis: 0, 1..<1), [0, 12], true),
    ]
    for (tensor, shape, isView) in cases {
      let result = tensor.reshape(shape)
      expectClose(result, try copied(.reshape(.init(shape: shape)), tensor), 0, "\(tensor.shape) to \(shape)")
      if !shape.contains(0) {
        #expect((owner(result) == owner(tensor)) == isView, "\(tensor.shape) to \(shape)")
      }
    }
  }

  @Test("an operation that changes nothing gives the operand's storage")
  func identities() {
    #expect(x.reshape(x.shape).storage === x.storage)
    #expect(x.cast(to: .float64).storage === x.storage)
    #expect(x.permuted(0, 1, 2).storage === x.storage)
  }

  @Test("arithmetic on views, and a view's base is never overwritten")
  func arithmetic() {
    let before = x.toArray()
    let view = x.T3
    let sum = (view + view) * 2 - 1
    expectClose(sum, Tensor(view.toArray(of: Double.self).map { $0 * 4 - 1 }, shape: view.shape, dtype: .float64), 0)
    var row = x[0]
    row += 100
    #expect(x.toArray() == before)
    #expect(row.toArray() == before[..<12].map { $0 + 100 })
  }

  @Test("a number beside a tensor takes one element of memory")
  func numbers() {
    let two = Tensor.filled(.double(2), x)
    #expect(two.shape == x.shape)
    #expect(two.storage.isUniform)
    #expect(two.uniformScalar == .double(2))
    #expect(x.uniformScalar == nil)
    #expect(two.toArray() == Array(repeating: 2, count: 24))
  }
}

extension Tensor {
  fileprivate var T3: Tensor { permuted(2, 1, 0) }
}
