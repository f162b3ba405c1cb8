import ApusCore
import CDLPack

/// Tensors to and from other libraries in the same process, without a copy: DLPack.
///
/// ```swift
/// let x = try DLPack.tensor(consuming: pointerFromCapsule)      // NumPy's or PyTorch's memory
/// let managed = try DLPack.managed(x * 2)                       // for a capsule named "dltensor_versioned"
/// ```
/// Host memory only, of every dtype that DLPack and Apus share (all but four-bit integers). A tensor is a value: what
/// Apus lends is read-only, or a copy.
/// https://dmlc.github.io/dlpack/latest/c_api.html, https://dmlc.github.io/dlpack/latest/python_spec.html
public enum DLPack {
  /// What a capsule named `dltensor_versioned` holds.
  public typealias Managed = UnsafeMutablePointer<apus_dl_versioned>
  /// What a capsule named `dltensor` holds: the form before version 1.0, which can't say that it is read-only.
  public typealias UnversionedManaged = UnsafeMutablePointer<apus_dl_managed>

  // MARK: From another library

  /// A tensor over another library's elements.
  ///
  /// It consumes `managed`, which the caller must not use again: the deleter runs once, on whatever thread lets the last
  /// tensor over the elements go, and also before this throws. In Python, name the capsule `used_dltensor_versioned`
  /// first.
  /// - Parameters:
  ///   - managed: what the capsule holds.
  ///   - mayOverwrite: whether its owner has no use for the contents, so that results may take their place. Not of what is
  ///     read-only.
  /// - Throws: `ApusError` (unsupported) for another major version, another device than the CPU, more than one lane, a
  ///   rank or a dtype that Apus does not have; (argument) for sizes, strides and memory that don't fit, negative strides
  ///   among them.
  public static func tensor(consuming managed: Managed, mayOverwrite: Bool = false) throws -> Tensor {
    let owner = Owner { managed.pointee.deleter?(managed) }
    let version = managed.pointee.version
    // Of another version nothing but the deleter may be looked at.
    guard version.major == UInt32(APUS_DL_MAJOR_VERSION) else {
      throw refusal(.unsupported, "version \(version.major).\(version.minor); version \(APUS_DL_MAJOR_VERSION) is read")
    }
    let isReadOnly = managed.pointee.flags & UInt64(APUS_DL_READ_ONLY) != 0
    return try borrow(managed.pointee.tensor, mayOverwrite: mayOverwrite && !isReadOnly, owner)
  }

  /// The same from the form before version 1.0.
  /// - Parameters:
  ///   - managed: what the capsule, to be named `used_dltensor`, holds.
  ///   - mayOverwrite: whether its owner has no use for the contents.
  /// - Throws: as for the versioned form.
  public static func tensor(consuming managed: UnversionedManaged, mayOverwrite: Bool = false) throws -> Tensor {
    try borrow(managed.pointee.tensor, mayOverwrite: mayOverwrite, Owner { managed.pointee.deleter?(managed) })
  }

  /// Lets the other library's structure go when nothing refers to it: of a C interface, so any thread may.
  private final class Owner: @unchecked Sendable {
    private let release: () -> Void
    init(_ release: @escaping () -> Void) { self.release = release }
    deinit { release() }
  }

  private static func borrow(_ tensor: apus_dl_tensor, mayOverwrite: Bool, _ owner: Owner) throws -> Tensor {
    guard tensor.device.device_type == APUS_DL_CPU else {
      throw refusal(
        .unsupported,
        "a tensor on device type \(tensor.device.device_type); only the CPU's (\(APUS_DL_CPU)) can be read: copy it there first"
      )
    }
    let type = TensorType(try dtype(tensor.dtype), try shape(tensor))
    let strides = tensor.strides.map { strides in (0..<type.rank).map { Int(strides[$0]) } }
    guard let offset = Int(exactly: tensor.byte_offset) else {
      throw refusal(.argument, "a byte offset of \(tensor.byte_offset)")
    }
    let memory: UnsafeRawBufferPointer
    if let data = tensor.data {
      // The structure does not say how much there is: what its strides reach. That must be memory at all.
      let count = try Storage.reach(of: type, strides: strides)
      let end = UInt(bitPattern: data).addingReportingOverflow(UInt(offset.saturatingPlus(count)))
      guard !end.overflow, end.partialValue <= UInt(Int.max) else {
        throw refusal(.argument, "\(type) with strides \(strides ?? []) reaches beyond what can be addressed")
      }
      memory = UnsafeRawBufferPointer(start: data + offset, count: count)
    } else {
      guard type.shape.contains(0) else { throw refusal(.argument, "\(type) without memory") }
      memory = UnsafeRawBufferPointer(start: nil, count: 0)
    }
    return try Tensor(borrowing: memory, type: type, strides: strides, mayOverwrite: mayOverwrite) {
      // Held until here.
      withExtendedLifetime(owner) {}
    }
  }

  private static func shape(_ tensor: apus_dl_tensor) throws -> Shape {
    let rank = Int(tensor.ndim)
    guard 0...Shape.maximumRank ~= rank else {
      throw refusal(.unsupported, "\(rank) dimensions; up to \(Shape.maximumRank) are supported")
    }
    guard rank > 0 else { return [] }
    guard let sizes = tensor.shape else { throw refusal(.argument, "\(rank) dimensions without a shape") }
    let shape = (0..<rank).map { Int(sizes[$0]) }
    guard shape.allSatisfy({ $0 >= 0 }) else { throw refusal(.argument, "the shape \(shape) has a negative size") }
    return Shape(shape)
  }

  // MARK: To another library

  /// A tensor's elements for another library, in place or as its own copy.
  ///
  /// The caller owns what is returned and calls its deleter once, or puts it into a capsule named `dltensor_versioned`
  /// whose destructor does so unless it was consumed. The elements live until then. What is not copied is marked as
  /// read-only: whoever writes there all the same changes a value that others may hold.
  /// - Parameters:
  ///   - tensor: what is lent; an engine's buffer is brought to the host first.
  ///   - copy: whether the elements are copied, for a consumer that writes.
  /// - Returns: the structure, with the CPU as device, strides and no byte offset.
  /// - Throws: `ApusError` (dtype) for four-bit integers, (argument) for a tensor without values, what its engine's buffer
  ///   throws, (memory).
  public static func managed(_ tensor: Tensor, copy: Bool = false) throws -> Managed {
    let loan = try Lent(tensor, copy: copy)
    let managed = Managed.allocate(capacity: 1)
    managed.initialize(
      to: apus_dl_versioned(
        version: apus_dl_version(major: UInt32(APUS_DL_MAJOR_VERSION), minor: UInt32(APUS_DL_MINOR_VERSION)),
        context: Unmanaged.passRetained(loan).toOpaque(),
        deleter: { managed in
          if let context = managed.pointee.context { Unmanaged<Lent>.fromOpaque(context).release() }
          managed.deinitialize(count: 1)
          managed.deallocate()
        }, flags: UInt64(copy ? APUS_DL_IS_COPIED : APUS_DL_READ_ONLY), tensor: loan.tensor))
    return managed
  }

  /// The same in the form before version 1.0, for a capsule named `dltensor`. It has no mark for what is read-only: copy
  /// for a consumer that may write.
  /// - Parameters:
  ///   - tensor: what is lent.
  ///   - copy: whether the elements are copied.
  /// - Returns: the structure; the caller calls its deleter once.
  /// - Throws: as for the versioned form.
  public static func unversionedManaged(_ tensor: Tensor, copy: Bool = false) throws -> UnversionedManaged {
    let loan = try Lent(tensor, copy: copy)
    let managed = UnversionedManaged.allocate(capacity: 1)
    managed.initialize(
      to: apus_dl_managed(
        tensor: loan.tensor, context: Unmanaged.passRetained(loan).toOpaque(),
        deleter: { managed in
          if let context = managed.pointee.context { Unmanaged<Lent>.fromOpaque(context).release() }
          managed.deinitialize(count: 1)
          managed.deallocate()
        }))
    return managed
  }

  /// What the structure's pointers lead to, until its deleter runs.
  private final class Lent {
    let tensor: apus_dl_tensor
    private let storage: Storage
    private let sizes: UnsafeMutablePointer<Int64>

    init(_ tensor: Tensor, copy: Bool) throws {
      let code = try DLPack.code(tensor.dtype)
      let storage = copy ? try HostCopy.contiguous(tensor.storage) : tensor.storage
      let address = try storage.plain()
      let rank = storage.shape.rank
      // The shape, then the strides; never without any, so that there are addresses.
      sizes = .allocate(capacity: Swift.max(2 * rank, 1))
      sizes.initialize(repeating: 0, count: Swift.max(2 * rank, 1))
      let strides = storage.opaque == nil ? storage.strides : Storage.contiguousStrides(storage.shape)
      for i in 0..<rank {
        sizes[i] = Int64(storage.shape[i])
        sizes[rank + i] = Int64(strides[i])
      }
      self.storage = storage
      self.tensor = apus_dl_tensor(
        data: storage.shape.contains(0) ? nil : address,
        device: apus_dl_device(device_type: Int32(APUS_DL_CPU), device_id: 0), ndim: Int32(rank), dtype: code,
        shape: sizes, strides: sizes + rank, byte_offset: 0)
    }

    deinit { sizes.deallocate() }
  }

  // MARK: Dtypes

  private static let codes: [(dtype: DType, code: Int32)] = [
    (.bool, Int32(APUS_DL_BOOL)), (.uint8, Int32(APUS_DL_UINT)), (.int8, Int32(APUS_DL_INT)),
    (.int16, Int32(APUS_DL_INT)), (.uint16, Int32(APUS_DL_UINT)), (.int32, Int32(APUS_DL_INT)),
    (.uint32, Int32(APUS_DL_UINT)), (.int64, Int32(APUS_DL_INT)), (.uint64, Int32(APUS_DL_UINT)),
    (.float16, Int32(APUS_DL_FLOAT)), (.bfloat16, Int32(APUS_DL_BFLOAT)), (.float32, Int32(APUS_DL_FLOAT)),
    (.float64, Int32(APUS_DL_FLOAT)), (.complex64, Int32(APUS_DL_COMPLEX)), (.complex128, Int32(APUS_DL_COMPLEX)),
    (.float8e4m3fn, Int32(APUS_DL_FLOAT8_E4M3FN)), (.float8e5m2, Int32(APUS_DL_FLOAT8_E5M2)),
  ]

  private static func dtype(_ code: apus_dl_dtype) throws -> DType {
    guard code.lanes == 1 else {
      throw refusal(
        .unsupported, "elements of \(code.lanes) lanes; elements of one lane fit: make the lanes a dimension")
    }
    guard let known = codes.first(where: { $0.code == Int32(code.code) && $0.dtype.bitWidth == Int(code.bits) }) else {
      throw refusal(
        .unsupported,
        "elements of type code \(code.code) and \(code.bits) bits; Apus has "
          + codes.map { "\($0.dtype)" }.joined(separator: ", "))
    }
    return known.dtype
  }

  private static func code(_ dtype: DType) throws -> apus_dl_dtype {
    guard let known = codes.first(where: { $0.dtype == dtype }) else {
      throw refusal(.dtype, "\(dtype) is not lent: cast it to int8 or uint8")
    }
    return apus_dl_dtype(code: UInt8(known.code), bits: UInt8(dtype.bitWidth), lanes: 1)
  }

  private static func refusal(_ kind: ApusError.Kind, _ message: String) -> ApusError {
    ApusError(kind, message, operation: "DLPack")
  }
}
