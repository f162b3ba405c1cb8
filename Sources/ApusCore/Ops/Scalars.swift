extension Tensor {
  /// A rank-0 tensor in host memory; not an operation, so that a trace sees a constant.
  static func scalar(_ value: Scalar, dtype: DType) -> Tensor {
    do {
      return Tensor(try Storage(value, dtype: dtype))
    } catch {
      return Dispatch.fail(error, type: TensorType(dtype, []))
    }
  }

  /// `value` in the dtype and shape of `model`, without its memory: one element seen through strides of 0. Beside a
  /// symbolic tensor it is a node of the graph.
  @inline(__always)
  static func filled(_ value: Scalar, _ model: borrowing Tensor) -> Tensor {
    filled(value, model, shape: model.storage.shape)
  }

  /// The same in another shape.
  static func filled(_ value: Scalar, _ model: borrowing Tensor, shape: Shape) -> Tensor {
    let dtype = model.storage.dtype
    if !model.storage.isConcrete || !shape.isStatic {
      return Dispatch.run(.full(.init(value: value, type: TensorType(dtype, shape))), [])[0]
    }
    let one = scalar(value, dtype: dtype)
    if shape.rank == 0 || !one.storage.isConcrete { return one }
    return Tensor(
      Storage(view: one.storage, dtype: dtype, shape: shape, strides: InlineArray(repeating: 0), offset: 0))
  }

  /// The size of axis `axis` of `x`: an int64 scalar, a constant where it is known.
  static func size(of x: Tensor, axis: Int) -> Tensor {
    guard let size = x.shape.dim(axis).value else { return Dispatch.one(.dimension(.init(axis: axis)), x) }
    return scalar(.int(Int64(size)), dtype: .int64)
  }

  /// A size as an int64 scalar, where no tensor has it as an axis.
  static func size(_ dim: Dim) -> Tensor {
    guard dim.isKnown else {
      let line = Primitive.Full(value: .bool(false), type: TensorType(.bool, Shape(dims: [dim])))
      return Dispatch.one(.dimension(.init(axis: 0)), Dispatch.run(.full(line), [])[0])
    }
    return scalar(.int(Int64(dim.value ?? 0)), dtype: .int64)
  }

  /// This divided by the number of elements that `x` has along `axes`.
  func dividedByCount(of x: Tensor, axes: [Int]) -> Tensor {
    var known = 1.0
    var result = self
    for axis in axes {
      if let size = x.shape.dim(axis).value {
        known *= Double(size)
      } else {
        result = result / Tensor.size(of: x, axis: axis).cast(to: result.dtype)
      }
    }
    return known == 1 ? result : result / known
  }

  /// The one number that every element is, where that is known without computing.
  var uniformScalar: Scalar? {
    guard let symbolic = storage.symbolic else { return storage.uniformScalar }
    let graph = symbolic.trace.graph
    if let constant = graph.constants[symbolic.id] { return constant.storage.uniformScalar }
    guard case .full(let full) = graph.nodes.last(where: { $0.outputs.contains(symbolic.id) })?.primitive else {
      return nil
    }
    return full.value
  }
}

extension Storage {
  /// One element holding `value`, converted as a cast would.
  convenience init(_ value: Scalar, dtype: DType) throws {
    try self.init(TensorType(dtype, []))
    switch dtype {
    case .bool: store(value.boolValue)
    case .uint8: store(UInt8(clamping: value.intValue))
    case .int8: store(Int8(clamping: value.intValue))
    case .int16: store(Int16(clamping: value.intValue))
    case .uint16: store(UInt16(clamping: value.intValue))
    case .int32: store(Int32(clamping: value.intValue))
    case .uint32: store(UInt32(clamping: value.intValue))
    case .int64: store(value.intValue)
    case .uint64: store(UInt64(clamping: value.intValue))
    case .float32: store(Float(value.doubleValue))
    case .float64: store(value.doubleValue)
    case .float16, .bfloat16, .complex64, .complex128, .int4, .uint4, .float8e4m3fn, .float8e5m2:
      throw ApusError(.dtype, "a number can't stand for a \(dtype) tensor; make a float32 one and cast it")
    }
  }

  private func store<T: BitwiseCopyable>(_ value: T) { pointer(as: T.self).pointee = value }

  /// The value of a plain storage of an arithmetic dtype whose elements are one in memory.
  var uniformScalar: Scalar? {
    guard isPlain, isUniform, !shape.contains(0) else { return nil }
    switch dtype {
    case .bool: return .bool(pointer(as: UInt8.self).pointee != 0)
    case .uint8: return .int(Int64(pointer(as: UInt8.self).pointee))
    case .int32: return .int(Int64(pointer(as: Int32.self).pointee))
    case .int64: return .int(pointer(as: Int64.self).pointee)
    case .float32: return .double(Double(pointer(as: Float.self).pointee))
    case .float64: return .double(pointer(as: Double.self).pointee)
    default: return nil
    }
  }
}
