import CApus

/// A short text by which bytes are recognised: XXH64, as `xxhsum -H64` prints it. It tells files apart that got mixed up,
/// not forged ones.
struct Digest {
  private var state = apus_digest()

  init() { apus_digest_begin(&state) }

  mutating func add(_ bytes: RawSpan) { bytes.withUnsafeBytes { apus_digest_add(&state, $0.baseAddress, $0.count) } }

  var text: String {
    withUnsafePointer(to: state) {
      let digits = String(apus_digest_value($0), radix: 16)
      return "xxh64:" + String(repeating: "0", count: 16 - digits.count) + digits
    }
  }
}

extension InputFile {
  /// The digest of all bytes, which ``DraftFolder/file(_:_:)`` gave for them.
  /// - Throws: `ApusError` (file) when they can't be read.
  package func digest() throws -> String {
    var digest = Digest()
    let chunk = 1 << 20
    for start in stride(from: 0, to: size, by: chunk) {
      let bytes = try read(min(chunk, size - start), at: start)
      digest.add(bytes.span.bytes)
    }
    return digest.text
  }
}
