import ApusCore

#if canImport(Glibc)
  import Glibc
#endif

/// A regular file opened for reading, its size known before anything is read.
package final class InputFile: Sendable {
  /// Where it is.
  package let path: String
  /// In bytes, when it was opened.
  package let size: Int
  private let descriptor: Int32

  /// - Throws: `ApusError` (file) when it can't be opened or is no regular file.
  package convenience init(_ path: String) throws {
    try FilePath.check(path)
    try self.init(open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), path)
  }

  /// Takes over what `open` gave, an error too.
  init(_ opened: Int32, _ path: String) throws {
    self.path = path
    descriptor = opened
    guard descriptor >= 0 else { throw ApusError.file("can't open \(path)", errno) }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      let isFolder = status.st_mode & S_IFMT == S_IFDIR
      close(descriptor)
      throw ApusError(.file, "\(path) is \(isFolder ? "a directory" : "not a regular file")")
    }
    size = Int(status.st_size)
  }

  deinit { close(descriptor) }

  /// What the system knows the open file by, for the time of `body`.
  func withDescriptor<R>(_ body: (Int32) throws -> R) rethrows -> R {
    try withExtendedLifetime(self) { try body(descriptor) }
  }

  /// The bytes from `offset` on.
  /// - Parameters:
  ///   - count: how many.
  ///   - offset: of the first, from the file's beginning.
  /// - Throws: `ApusError` (file) when the file has fewer, or can't be read, (memory) when the machine has less.
  package func read(_ count: Int, at offset: Int) throws -> [UInt8] {
    guard offset >= 0, count >= 0, offset <= size, count <= size - offset else {
      throw ApusError(.file, "\(path): truncated: \(count) bytes at \(offset) of a file of \(size)")
    }
    // A file with holes may be larger than the disk.
    try HostMemory.require(count, for: path)
    var failure: Int32 = 0
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
      while filled < count {
        let got = pread(descriptor, buffer.baseAddress.map { $0 + filled }, count - filled, off_t(offset + filled))
        if got < 0 && errno == EINTR { continue }
        if got < 0 { failure = errno }
        if got <= 0 { return }
        filled += got
      }
    }
    if failure != 0 { throw ApusError.file("can't read \(path)", failure) }
    guard bytes.count == count else { throw ApusError(.file, "\(path): the file was shortened while it was read") }
    return bytes
  }
}

extension InputFile {
  /// All bytes of a regular file, through one descriptor: what is measured is what is read.
  /// - Throws: `ApusError` (file) when it can't be read or has more than `limit` bytes.
  package static func bytes(of path: String, limit: Int) throws -> [UInt8] {
    try InputFile(path).bytes(limit: limit)
  }

  /// All bytes.
  /// - Throws: `ApusError` (file) when they can't be read or are more than `limit`.
  package func bytes(limit: Int) throws -> [UInt8] {
    guard size <= limit else { throw ApusError(.file, "\(path) has \(size) bytes; at most \(limit) are read") }
    return try read(size, at: 0)
  }

  /// Whether there is something at a path.
  package static func exists(_ path: String) -> Bool {
    (try? FilePath.check(path)) != nil && access(path, F_OK) == 0
  }
}

extension ApusError {
  /// An error of the system about a file, `can't open x: No such file or directory`.
  package static func file(_ message: String, _ code: Int32) -> ApusError {
    ApusError(.file, "\(message): \(String(cString: strerror(code)))")
  }
}
