import ApusCore

#if canImport(Glibc)
  import Glibc
#endif

/// A file being written.
package final class OutputFile {
  private let path: String
  private var descriptor: Int32
  private var digesting: Digest?

  /// Creates a file where nothing must be.
  /// - Parameters:
  ///   - name: of the file, in `folder`.
  ///   - folder: holds it.
  ///   - replaced: the name of a file whose owner and rights it gets, if there is one; otherwise they are the user's.
  ///   - replacedFolder: holds that.
  ///   - path: what errors name.
  ///   - isDigested: whether ``digest`` will be asked for.
  init(
    _ name: String, in folder: Folder, rightsOf replaced: String, in replacedFolder: Folder?, for path: String,
    isDigested: Bool = false
  ) throws {
    self.path = path
    digesting = isDigested ? Digest() : nil
    let old = replacedFolder?.entry(replaced).flatMap { $0.isFile ? $0 : nil }
    // Closed to others until it has its rights.
    descriptor = folder.open(name, O_WRONLY | O_CREAT | O_EXCL, old == nil ? 0o666 : 0o600)
    guard descriptor >= 0 else { throw ApusError.file("can't write \(path)", errno) }
    guard let old, let replacedFolder else { return }
    let source = replacedFolder.open(replaced, O_RDONLY | O_NONBLOCK)
    defer { if source >= 0 { close(source) } }
    do {
      try Rights.give(old, accessListOf: source, to: descriptor, for: path)
    } catch {
      folder.removeFile(name)
      throw error
    }
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  /// Appends bytes.
  /// - Throws: `ApusError` (file) when they can't be written.
  package func write(_ bytes: RawSpan) throws {
    digesting?.add(bytes)
    try Self.write(bytes, to: descriptor, "can't write \(path)")
  }

  /// Writes all of some bytes, however many calls it takes.
  /// - Throws: `ApusError` (file) with this message when they can't be written.
  static func write(_ bytes: RawSpan, to descriptor: Int32, _ failure: @autoclosure () -> String) throws {
    var done = 0
    while done < bytes.byteCount {
      let count = bytes.extracting(droppingFirst: done).withUnsafeBytes {
        Glibc.write(descriptor, $0.baseAddress, $0.count)
      }
      if count < 0 {
        if errno == EINTR { continue }
        throw ApusError.file(failure(), errno)
      }
      done += count
    }
  }

  /// Appends bytes.
  /// - Throws: `ApusError` (file) when they can't be written.
  package func write(_ bytes: [UInt8]) throws { try write(bytes.span.bytes) }

  /// Of the bytes so far.
  var digest: String { digesting?.text ?? "" }

  /// Closes the file once its bytes are on the disk.
  func finish() throws {
    guard fsync(descriptor) == 0 else { throw ApusError.file("can't write \(path)", errno) }
    let result = close(descriptor)
    descriptor = -1
    guard result == 0 else { throw ApusError.file("can't write \(path)", errno) }
  }
}
