import ApusCore
import CApus

#if canImport(Glibc)
  import Glibc
#endif

/// A regular file's bytes in the process's address space, read from the disk when they are first looked at.
///
/// Whoever truncates the file under a mapping ends this process by SIGBUS when it looks at what is gone, and whoever
/// writes to it changes what is read: map what nobody else changes, or a copy of its own (``InputFile/privateCopy(in:)``).
package final class MappedFile: Sendable {
  /// Where the file is, or was.
  package let path: String
  /// Bytes in the file.
  package let size: Int
  private let start: UInt

  /// Maps all of an open file, to be read only. The file may be closed, and removed.
  /// - Throws: `ApusError` (file) when it can't be mapped, (memory) when the process may not map so much.
  package init(_ file: InputFile) throws {
    path = file.path
    size = file.size
    guard size > 0 else {
      start = 0
      return
    }
    let mapped = file.withDescriptor { mmap(nil, file.size, PROT_READ, MAP_PRIVATE, $0, 0) }
    guard let mapped, mapped != MAP_FAILED else {
      let code = errno
      if code == ENOMEM { throw ApusError(.memory, "\(file.path): \(file.size) bytes can't be mapped") }
      throw ApusError.file("can't map \(file.path)", code)
    }
    start = UInt(bitPattern: mapped)
  }

  deinit { if let mapped = UnsafeMutableRawPointer(bitPattern: start) { munmap(mapped, size) } }

  /// A tensor over bytes of the file, in place where they lie as its dtype asks for, else a copy of them.
  ///
  /// The mapping lives as long as the tensor and its views. Bools are copied: a byte of a file may be neither.
  /// - Parameters:
  ///   - type: dtype and shape, of known sizes; the elements are little-endian and row-major.
  ///   - offset: of the first byte.
  /// - Throws: `ApusError` (file) when the file has fewer bytes, (memory).
  package func tensor(_ type: TensorType, at offset: Int) throws -> Tensor {
    let count = try type.byteCount()
    guard offset >= 0, offset <= size, count <= size - offset else {
      throw ApusError(.file, "\(path): truncated: \(count) bytes at \(offset) of a file of \(size)")
    }
    let bytes = UnsafeRawBufferPointer(
      start: UnsafeRawPointer(bitPattern: start).map { $0 + offset }, count: count)
    guard count > 0, type.dtype != .bool, offset % type.dtype.alignment == 0, 1.littleEndian == 1 else {
      return try withExtendedLifetime(self) { try Tensor(bytes: bytes.bytes, type: type) }
    }
    return Tensor(storage: try Storage(borrowing: bytes, type) { withExtendedLifetime(self) {} })
  }
}

extension InputFile {
  /// A copy without a name, which nobody else can open, truncate or write.
  ///
  /// It is on the disk and takes no memory but the system's cache of files; it goes when it is closed and no longer
  /// mapped. Whoever wants to know that it is what was meant asks for its ``digest()``, not for the original's.
  /// - Parameter folder: on whose file system the copy lies.
  /// - Throws: `ApusError` (file) when it can't be made.
  package func privateCopy(in folder: String) throws -> InputFile {
    let failure = "can't copy \(path) into \(folder)"
    try FilePath.check(folder)
    let descriptor = apus_open_nameless(folder)
    guard descriptor >= 0 else { throw ApusError.file(failure, errno) }
    do {
      let chunk = 1 << 20
      for start in stride(from: 0, to: size, by: chunk) {
        let bytes = try read(min(chunk, size - start), at: start)
        try OutputFile.write(bytes.span.bytes, to: descriptor, failure)
      }
    } catch {
      close(descriptor)
      throw error
    }
    return try InputFile(descriptor, path)
  }
}
