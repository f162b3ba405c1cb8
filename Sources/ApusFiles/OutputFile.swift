import ApusCore

#if canImport(Glibc)
  import Glibc
#endif

/// A file being written.
package final class OutputFile {
  private let path: String
  private var descriptor: Int32

  /// Creates a file at `temporary`, where nothing must be, that will become the one at `path`: errors name that.
  init(creating temporary: String, for path: String) throws {
    self.path = path
    descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw ApusError.file("can't write \(path)", errno) }
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  /// Appends bytes.
  /// - Throws: `ApusError` (file) when they can't be written.
  package func write(_ bytes: RawSpan) throws {
    var done = 0
    while done < bytes.byteCount {
      let count = bytes.extracting(droppingFirst: done).withUnsafeBytes {
        Glibc.write(descriptor, $0.baseAddress, $0.count)
      }
      if count < 0 {
        if errno == EINTR { continue }
        throw ApusError.file("can't write \(path)", errno)
      }
      done += count
    }
  }

  /// Appends bytes.
  /// - Throws: `ApusError` (file) when they can't be written.
  package func write(_ bytes: [UInt8]) throws { try write(bytes.span.bytes) }

  /// Closes the file once its bytes are on the disk.
  func finish() throws {
    guard fsync(descriptor) == 0 else { throw ApusError.file("can't write \(path)", errno) }
    let result = close(descriptor)
    descriptor = -1
    guard result == 0 else { throw ApusError.file("can't write \(path)", errno) }
  }
}
