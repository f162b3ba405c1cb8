import ApusCore
import CKernels

extension Scalar {
  /// The value as one element of a dtype the kernels know, in the low bytes; nil for others. Integers saturate.
  func bits(as dtype: DType) -> UInt64? {
    let whole = intValue
    switch dtype {
    case .bool: return boolValue ? 1 : 0
    case .uint8: return UInt64(UInt8(clamping: whole))
    case .uint16: return UInt64(UInt16(clamping: whole))
    case .uint32: return UInt64(UInt32(clamping: whole))
    case .uint64: return UInt64(clamping: whole)
    case .int8: return UInt64(truncatingIfNeeded: Int8(clamping: whole))
    case .int16: return UInt64(truncatingIfNeeded: Int16(clamping: whole))
    case .int32: return UInt64(truncatingIfNeeded: Int32(clamping: whole))
    case .int64: return UInt64(bitPattern: whole)
    case .float64: return doubleValue.bitPattern
    case .float32: return UInt64(Float(doubleValue).bitPattern)
    case .float16, .bfloat16:
      guard let code = dtype.kernelCode else { return nil }
      var result: UInt64 = 0
      return withUnsafePointer(to: doubleValue) { ck_cast(CK_FLOAT64, code, 1, $0, &result) } == 0 ? result : nil
    case .complex64, .complex128, .int4, .uint4, .float8e4m3fn, .float8e5m2: return nil
    }
  }
}

extension PlanBuilder {
  /// One element in a constant, seen everywhere.
  func defineUniform(_ value: Int, bits: UInt64) throws {
    guard let bytes = dtype(value).elementBytes else {
      throw ApusError(.unsupported, "can't fill \(dtype(value))")
    }
    let buffer = try makeConstant(bytes: bytes) { memory in
      withUnsafeBytes(of: bits) {
        memory.copyMemory(from: $0.baseAddress ?? UnsafeRawPointer(memory), byteCount: bytes)
      }
    }
    alias(value, Form(buffer: buffer, offset: 0, strides: Strides(repeating: 0), shape: shape(value)))
  }

  /// 0, 1, 2 … along one axis.
  func lowerIota(_ iota: Primitive.Iota, _ output: Int) throws -> Bool {
    let shape = shape(output)
    guard let code = dtype(output).kernelCode, dtype(output).hasArithmetic, dtype(output) != .bool,
      let bytes = dtype(output).elementBytes, let one = Scalar.int(1).bits(as: dtype(output))
    else { return false }
    let length = shape[iota.axis]
    let buffer = try makeConstant(bytes: length * bytes) { memory in
      withUnsafePointer(to: 0 as UInt64) { zero in
        withUnsafePointer(to: one) { _ = ck_iota(code, Int64(length), zero, $0, memory) }
      }
    }
    var strides = Strides(repeating: 0)
    strides[iota.axis] = 1
    alias(output, Form(buffer: buffer, offset: 0, strides: strides, shape: shape))
    return true
  }
}
