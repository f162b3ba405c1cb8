/// Elements between a storage's memory, in its dtype and layout, and the wide numbers of ``ReferenceArray``.
extension ReferenceArray {
  /// Reads any storage: strided, broadcast, empty, packed.
  init(_ storage: Storage) {
    type = storage.type
    func load<T, R>(_ as: T.Type, _ widen: (T) -> R) -> [R] {
      let first = storage.pointer(as: T.self)
      return withExtendedLifetime(storage) { storage.positions.map { widen(first[$0]) } }
    }
    switch storage.dtype {
    case .bool: elements = .integer(load(UInt8.self) { $0 == 0 ? 0 : 1 })
    case .uint8: elements = .integer(load(UInt8.self) { Int64($0) })
    case .int8: elements = .integer(load(Int8.self) { Int64($0) })
    case .int16: elements = .integer(load(Int16.self) { Int64($0) })
    case .uint16: elements = .integer(load(UInt16.self) { Int64($0) })
    case .int32: elements = .integer(load(Int32.self) { Int64($0) })
    case .uint32: elements = .integer(load(UInt32.self) { Int64($0) })
    case .int64: elements = .integer(load(Int64.self) { $0 })
    case .uint64: elements = .integer(load(UInt64.self) { Int64(bitPattern: $0) })
    case .float16: elements = .real(load(UInt16.self) { NarrowFloat.float16.decode($0) })
    case .bfloat16: elements = .real(load(UInt16.self) { NarrowFloat.bfloat16.decode($0) })
    case .float32: elements = .real(load(Float.self) { Double($0) })
    case .float64: elements = .real(load(Double.self) { $0 })
    case .complex64:
      elements = .complex(load((Float, Float).self) { Complex(real: Double($0.0), imaginary: Double($0.1)) })
    case .complex128:
      elements = .complex(load((Double, Double).self) { Complex(real: $0.0, imaginary: $0.1) })
    case .float8e4m3fn: elements = .real(load(UInt8.self) { NarrowFloat.e4m3fn.decode(UInt16($0)) })
    case .float8e5m2: elements = .real(load(UInt8.self) { NarrowFloat.e5m2.decode(UInt16($0)) })
    case .int4: elements = .integer(storage.nibbles.map { Int64(Int8(bitPattern: $0 << 4) >> 4) })
    case .uint4: elements = .integer(storage.nibbles.map { Int64($0) })
    }
  }

  /// Writes the elements to new memory, each rounded (floats) or wrapped (integers) to the type's dtype.
  /// - Throws: ``ApusError`` (memory).
  func stored() throws -> Storage {
    let storage = try Storage(type)
    precondition(count == type.shape.elementCount, "\(count) elements for \(type)")
    func save<T, R>(_ values: [R], _ narrow: (R) -> T) {
      let first = storage.pointer(as: T.self)
      withExtendedLifetime(storage) { for (i, value) in values.enumerated() { first[i] = narrow(value) } }
    }
    switch elements {
    case .real(let values):
      switch type.dtype {
      case .float16: save(values) { NarrowFloat.float16.encode($0) }
      case .bfloat16: save(values) { NarrowFloat.bfloat16.encode($0) }
      case .float32: save(values) { Float($0) }
      case .float64: save(values) { $0 }
      case .float8e4m3fn: save(values) { UInt8(truncatingIfNeeded: NarrowFloat.e4m3fn.encode($0)) }
      case .float8e5m2: save(values) { UInt8(truncatingIfNeeded: NarrowFloat.e5m2.encode($0)) }
      default: throw ApusError(.dtype, "reals can't be stored as \(type.dtype)")
      }
    case .integer(let values):
      switch type.dtype {
      case .bool: save(values) { UInt8($0 == 0 ? 0 : 1) }
      case .uint8: save(values) { UInt8(truncatingIfNeeded: $0) }
      case .int8: save(values) { Int8(truncatingIfNeeded: $0) }
      case .int16: save(values) { Int16(truncatingIfNeeded: $0) }
      case .uint16: save(values) { UInt16(truncatingIfNeeded: $0) }
      case .int32: save(values) { Int32(truncatingIfNeeded: $0) }
      case .uint32: save(values) { UInt32(truncatingIfNeeded: $0) }
      case .int64, .uint64: save(values) { $0 }
      case .int4, .uint4:
        let octets = stride(from: 0, to: values.count, by: 2).map { i -> UInt8 in
          let high = i + 1 < values.count ? values[i + 1] : 0
          return UInt8(truncatingIfNeeded: values[i] & 15 | high << 4)
        }
        save(octets) { $0 }
      default: throw ApusError(.dtype, "integers can't be stored as \(type.dtype)")
      }
    case .complex(let values):
      switch type.dtype {
      case .complex64: save(values) { (Float($0.real), Float($0.imaginary)) }
      case .complex128: save(values) { ($0.real, $0.imaginary) }
      default: throw ApusError(.dtype, "complex numbers can't be stored as \(type.dtype)")
      }
    }
    return storage
  }

  /// The values in another dtype. Float to integer truncates toward zero, saturates and sends NaN to 0; integer to
  /// integer wraps; anything to bool asks whether it is not zero; complex to real drops the imaginary part.
  func cast(to dtype: DType) -> ReferenceArray {
    let target = type.with(dtype: dtype)
    if dtype == .bool { return ReferenceArray(target, integers: truths.map { $0 ? 1 : 0 }) }
    let isUnsigned64 = type.dtype == .uint64
    func real(_ value: Int64) -> Double {
      isUnsigned64 ? Double(roundedToOdd: UInt64(bitPattern: value)) : Double(roundedToOdd: value)
    }
    func nearest(_ value: Int64) -> Double { isUnsigned64 ? Double(UInt64(bitPattern: value)) : Double(value) }
    switch elements {
    case .real(let values):
      if dtype.isComplex { return ReferenceArray(target, .complex(values.map { Complex(real: $0, imaginary: 0) })) }
      if dtype.isFloatingPoint { return ReferenceArray(target, values) }
      return ReferenceArray(target, integers: values.map { Self.saturated($0, to: dtype) })
    case .integer(let values):
      // A float64 takes the nearest value; narrower ones are rounded once more on storing, hence round to odd.
      let convert = dtype == .float64 || dtype == .complex128 ? nearest : real
      if dtype.isComplex {
        return ReferenceArray(target, .complex(values.map { Complex(real: convert($0), imaginary: 0) }))
      }
      return dtype.isFloatingPoint
        ? ReferenceArray(target, values.map(convert)) : ReferenceArray(target, .integer(values))
    case .complex(let values):
      if dtype.isComplex { return ReferenceArray(target, elements) }
      return ReferenceArray(type.with(dtype: .float64), values.map(\.real)).cast(to: dtype)
    }
  }

  private static func saturated(_ value: Double, to dtype: DType) -> Int64 {
    func clamped<T: FixedWidthInteger>(_: T.Type) -> Int64 {
      if value.isNaN { return 0 }
      if value >= Double(T.max) { return Int64(truncatingIfNeeded: T.max) }
      if value <= Double(T.min) { return Int64(truncatingIfNeeded: T.min) }
      return Int64(truncatingIfNeeded: T(value))
    }
    switch dtype {
    case .uint8: return clamped(UInt8.self)
    case .int8: return clamped(Int8.self)
    case .int16: return clamped(Int16.self)
    case .uint16: return clamped(UInt16.self)
    case .int32: return clamped(Int32.self)
    case .uint32: return clamped(UInt32.self)
    case .uint64: return clamped(UInt64.self)
    case .int4: return Swift.min(Swift.max(clamped(Int8.self), -8), 7)
    case .uint4: return Swift.min(clamped(UInt8.self), 15)
    default: return clamped(Int64.self)
    }
  }
}

extension Scalar {
  /// An attribute as an element of an integer or bool type: saturated.
  func integer(in dtype: DType) -> Int64 {
    func clamped<T: FixedWidthInteger>(_: T.Type) -> Int64 { Int64(truncatingIfNeeded: T(clamping: intValue)) }
    return switch dtype {
    case .bool: boolValue ? 1 : 0
    case .uint8: clamped(UInt8.self)
    case .int8: clamped(Int8.self)
    case .int16: clamped(Int16.self)
    case .uint16: clamped(UInt16.self)
    case .int32: clamped(Int32.self)
    case .uint32: clamped(UInt32.self)
    case .uint64: clamped(UInt64.self)
    case .int4: Swift.min(Swift.max(intValue, -8), 7)
    case .uint4: Swift.min(Swift.max(intValue, 0), 15)
    default: intValue
    }
  }
}

extension Storage {
  /// Where each element is, in row-major order, counted from ``plainAddress``.
  fileprivate var positions: StridedPositions {
    StridedPositions(shape, strides: (0..<shape.rank).map { strides[$0] })
  }

  /// Elements of a four-bit type. They have no addresses of their own, so views are counted from the base's first.
  fileprivate var nibbles: [UInt8] {
    let octets = (base ?? self).pointer(as: UInt8.self)
    return withExtendedLifetime(self) {
      positions.map { position in
        let i = offset + position
        return i & 1 == 0 ? octets[i / 2] & 15 : octets[i / 2] >> 4
      }
    }
  }
}
