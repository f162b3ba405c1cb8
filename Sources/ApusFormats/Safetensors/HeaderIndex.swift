import ApusCore

/// What the header of a safetensors file says. A tensor takes some 40 bytes here beside its text in the header, which is
/// kept: a hundred megabytes may name two million.
struct HeaderIndex: Sendable {
  private typealias Text = HeaderScanner.Text

  private struct Record {
    var name: Text
    /// Where the list of sizes begins in the header.
    var shape: UInt32
    var dtype: DType
    /// Within the tensors' bytes.
    var offset: Int
    var byteCount: Int
  }

  /// Free text.
  let metadata: NamedValues<String>
  /// Bytes of all tensors.
  let dataLength: Int
  private let scanner: HeaderScanner
  private let records: [Record]
  /// Positions in ``records`` plus 1, each at its name's hash or behind it; 0 where there is none.
  private var slots: [UInt32] = []

  /// - Throws: `ApusError` (file) for whatever is not allowed by the format.
  init(parsing header: [UInt8]) throws {
    var scanner = HeaderScanner(header)
    guard scanner.bytes.first == UInt8(ascii: "{") else {
      throw ApusError(.file, "the header does not begin with '{'")
    }
    var metadata: NamedValues<String>?
    var records: [Record] = []
    try scanner.object { scanner, name in
      if scanner.equals(name, "__metadata__") {
        guard metadata == nil else { throw ApusError(.file, "two entries have the name \"__metadata__\"") }
        metadata = try Self.metadata(&scanner)
      } else {
        records.append(try Self.record(name, &scanner))
      }
    }
    guard scanner.isAtEnd else { throw scanner.error("something after the header's end") }
    self.metadata = metadata ?? [:]
    self.scanner = scanner
    self.records = records
    dataLength = try Self.length(of: records, scanner)
    try enter()
  }

  private static func metadata(_ scanner: inout HeaderScanner) throws -> NamedValues<String> {
    var metadata: NamedValues<String> = [:]
    try scanner.object { scanner, key in
      let value = try scanner.string()
      let name = scanner.string(key)
      guard metadata[name] == nil else {
        throw ApusError(.file, "two entries of the metadata have the name \(scanner.shown(key))")
      }
      metadata[name] = scanner.string(value)
      guard metadata.count <= SafetensorsHeader.maximumMetadata else {
        throw ApusError(.file, "more than \(SafetensorsHeader.maximumMetadata) entries of metadata")
      }
    }
    return metadata
  }

  private static func record(_ name: Text, _ scanner: inout HeaderScanner) throws -> Record {
    var dtypeName: Text?
    var shape: (place: Int, sizes: [Int])?
    var offsets: [Int]?
    try scanner.object { scanner, key in
      if scanner.equals(key, "dtype"), dtypeName == nil {
        dtypeName = try scanner.string()
      } else if scanner.equals(key, "shape"), shape == nil {
        shape = (scanner.position, try scanner.integers(limit: 64))
      } else if scanner.equals(key, "data_offsets"), offsets == nil {
        offsets = try scanner.integers(limit: 2)
      } else {
        throw ApusError(
          .file, "\(scanner.shown(name)) has an unknown or repeated field \(scanner.shown(key))")
      }
    }
    func shownName() -> String { scanner.shown(name) }
    guard let dtypeName, let shape, let offsets, offsets.count == 2 else {
      throw ApusError(.file, "\(shownName()) needs a dtype, a shape and two data_offsets")
    }
    guard let dtype = DType.safetensorsTable.first(where: { scanner.equals(dtypeName, $0.1) })?.0 else {
      throw ApusError(
        .unsupported,
        "\(shownName()) has the dtype \(scanner.shown(dtypeName)); known are "
          + DType.safetensorsTable.map { "\($0.1)" }.joined(separator: ", "))
    }
    let sizes = shape.sizes
    guard sizes.count <= Shape.maximumRank else {
      throw ApusError(
        .unsupported, "\(shownName()) has \(sizes.count) dimensions; up to \(Shape.maximumRank) are supported")
    }
    var elements = 1
    for size in sizes where !sizes.contains(0) {
      let (product, overflow) = elements.multipliedReportingOverflow(by: size)
      guard !overflow else { throw ApusError(.file, "\(shownName()) has more elements than can be counted: \(sizes)") }
      elements = product
    }
    if sizes.contains(0) { elements = 0 }
    guard let byteCount = dtype.byteCount(elements), offsets[0] <= offsets[1], offsets[1] - offsets[0] == byteCount
    else {
      throw ApusError(
        .file,
        "\(shownName()), \(scanner.string(dtypeName)) of shape \(sizes), does not fill the bytes \(offsets[0]) to "
          + "\(offsets[1])")
    }
    return Record(
      name: name, shape: UInt32(truncatingIfNeeded: shape.place), dtype: dtype, offset: offsets[0],
      byteCount: byteCount)
  }

  /// The tensors' bytes follow each other: their number.
  private static func length(of records: [Record], _ scanner: HeaderScanner) throws -> Int {
    var end = 0
    let order = records.indices.sorted {
      (records[$0].offset, records[$0].byteCount) < (records[$1].offset, records[$1].byteCount)
    }
    for record in order.lazy.map({ records[$0] }) {
      guard record.offset == end else {
        throw ApusError(
          .file,
          "the bytes of \(scanner.shown(record.name)) begin at \(record.offset), those before it end at \(end): "
            + "tensors must follow each other without \(record.offset < end ? "overlap" : "gaps")")
      }
      end += record.byteCount
    }
    return end
  }
}

// MARK: Finding

extension HeaderIndex {
  /// How many tensors there are.
  var count: Int { records.count }

  /// A tensor's place among the tensors' bytes.
  func bytes(at index: Int) -> Range<Int> {
    records[index].offset..<records[index].offset + records[index].byteCount
  }

  func name(at index: Int) -> String { scanner.string(records[index].name) }

  func type(at index: Int) -> TensorType {
    var list = HeaderScanner(scanner.bytes, at: Int(records[index].shape))
    // It was read before.
    let sizes = (try? list.integers(limit: Shape.maximumRank)) ?? []
    return TensorType(records[index].dtype, Shape(sizes))
  }

  /// The tensor of that name, byte for byte: not that of one that only looks the same.
  func index(of name: String) -> Int? {
    let name = Array(name.utf8)
    return slots.isEmpty ? nil : occupant(name[...])
  }

  private mutating func enter() throws {
    guard !records.isEmpty else { return }
    var size = 4
    while size < records.count * 2 { size *= 2 }
    slots = Array(repeating: 0, count: size)
    for (index, record) in records.enumerated() {
      let name = scanner.bytes[record.name.range]
      guard occupant(name) == nil else {
        throw ApusError(.file, "two entries have the name \(scanner.shown(record.name))")
      }
      slots[slot(name)] = UInt32(truncatingIfNeeded: index + 1)
    }
  }

  private func occupant(_ name: ArraySlice<UInt8>) -> Int? {
    let found = slots[slot(name)]
    return found == 0 ? nil : Int(found) - 1
  }

  /// Where the name is, or would be entered. The hash has the process's own seed: no file can know names that collide.
  private func slot(_ name: ArraySlice<UInt8>) -> Int {
    var hasher = Hasher()
    for byte in name { hasher.combine(byte) }
    var slot = hasher.finalize() & (slots.count - 1)
    while slots[slot] != 0, !scanner.bytes[records[Int(slots[slot]) - 1].name.range].elementsEqual(name) {
      slot = (slot + 1) & (slots.count - 1)
    }
    return slot
  }
}
