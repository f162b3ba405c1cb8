import ApusCore
import ApusFormats
import ApusNN
import Foundation
import TestSupport
import Testing

/// A file with a header, written by hand.
func bytes(header: String, data: [UInt8] = [], length: UInt64? = nil) -> Data {
  var count = (length ?? UInt64(header.utf8.count)).littleEndian
  return Data(bytes: &count, count: 8) + Data(header.utf8) + Data(data)
}

@Suite struct SafetensorsTests {
  @Test func aBoolIsTrueWhereItsByteIsNot0() throws {
    let folder = try TemporaryFolder()
    let header = #"{"mask":{"dtype":"BOOL","shape":[3],"data_offsets":[0,3]}}"#
    try bytes(header: header, data: [0, 2, 255]).write(to: URL(filePath: folder.file("a.safetensors")))
    let mask = try SafetensorsFile(folder.file("a.safetensors")).tensor("mask")
    #expect(mask.toArray(of: Bool.self) == [false, true, true])
    #expect(mask.sum().item() == 2)
  }

  @Test func everyDTypeRoundTrips() throws {
    let folder = try TemporaryFolder()
    var tensors: StateDictionary = [:]
    for dtype in DType.allCases where ![.complex128, .int4, .uint4].contains(dtype) {
      let raw = (0..<6 * dtype.bitWidth / 8).map { UInt8(truncatingIfNeeded: dtype == .bool ? $0 % 2 : $0 * 37 + 5) }
      let tensor = try Tensor(bytes: raw.span.bytes, type: TensorType(dtype, [2, 3]))
      tensors["t.\(dtype)"] = tensor
    }
    tensors["scalar"] = Tensor(2.5)
    tensors["empty"] = Tensor.zeros([0, 4])
    tensors["name with \"quotes\", \\ and \u{1} ü 🐦"] = Tensor([1, 2])
    tensors["view"] = Tensor([[1.0, 2], [3, 4]]).T
    try SafetensorsFile.write(tensors, metadata: ["made by": "a \"test\"\n"], to: folder.file("a.safetensors"))
    let file = try SafetensorsFile(folder.file("a.safetensors"))
    #expect(file.metadata == ["made by": "a \"test\"\n"])
    #expect(Set(file.names) == Set(tensors.keys))
    for (name, tensor) in tensors {
      let read = try file.tensor(name)
      #expect(read.type == tensor.type && file.type(of: name) == tensor.type)
      if name == "view" {
        #expect(read.toArray() == [1, 3, 2, 4])
      } else {
        #expect(read.storage.withBytes { Array($0) } == tensor.storage.withBytes { Array($0) }, "\(name)")
      }
    }
    #expect(try folder.names() == ["a.safetensors"])
  }

  @Test func theBytesAreTheSpecifications() throws {
    let folder = try TemporaryFolder()
    try SafetensorsFile.write(
      ["b": Tensor([UInt8(7)]), "a": Tensor([1.0, -2.0])], metadata: ["k": "v"], to: folder.file("x"))
    let header =
      #"{"__metadata__":{"k":"v"},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"U8","shape":[1],"data_offsets":[8,9]}}"#
    let padded = header + String(repeating: " ", count: (8 - header.utf8.count % 8) % 8)
    let expected = bytes(header: padded, data: [0, 0, 0x80, 0x3F, 0, 0, 0, 0xC0, 7])
    #expect(try Data(contentsOf: URL(fileURLWithPath: folder.file("x"))) == expected)
  }

  @Test func anyFieldOrderEscapeAndSpaceIsRead() throws {
    let folder = try TemporaryFolder()
    let header =
      "{ \"\\u00fc\\ud83d\\udc26\\n\" :\n\t{\"data_offsets\": [ 0 , 4 ],\"shape\":[],\"dtype\":\"I32\"} , \"z\":{\"dtype\":\"F32\",\"shape\":[3,0],\"data_offsets\":[4,4]}}   "
    try bytes(header: header, data: [1, 0, 0, 0]).write(to: URL(fileURLWithPath: folder.file("x")))
    let file = try SafetensorsFile(folder.file("x"))
    #expect(file.names == ["ü🐦\n", "z"])
    #expect(try file.tensor("ü🐦\n").item(as: Int.self) == 1)
  }

  /// "é" as one character and as two is one text to Swift and two names to everybody else.
  @Test func namesAreBytes() throws {
    let folder = try TemporaryFolder()
    let pairs = [
      ("caf\u{E9}", "cafe\u{301}"), ("\u{212B}", "\u{C5}"), ("\u{1F71}", "\u{3AC}"),
      ("\u{D55C}", "\u{1112}\u{1161}\u{11AB}"),
    ]
    var tensors: StateDictionary = [:]
    for (i, (a, b)) in pairs.enumerated() {
      #expect(a == b)
      tensors[a] = Tensor(Double(i))
      tensors[b] = Tensor(Double(i) + 0.5)
      tensors["\(a).weight"] = Tensor([1.0])
      tensors["\(b).weight"] = Tensor([2.0, 3])
    }
    #expect(tensors.count == 4 * pairs.count)
    let metadata: NamedValues = [pairs[0].0: "one", pairs[0].1: "two"]
    for _ in 0..<2 { try SafetensorsFile.write(tensors, metadata: metadata, to: folder.file("x")) }
    let file = try SafetensorsFile(folder.file("x"))
    #expect(file.names.count == tensors.count && file.metadata == metadata)
    let read = try file.stateDictionary()
    for (i, (a, b)) in pairs.enumerated() {
      #expect(read[a]?.item() == Double(i) && read[b]?.item() == Double(i) + 0.5)
      #expect(try file.tensor(b).item() == Double(i) + 0.5 && file.type(of: "\(b).weight")?.shape == [2])
      #expect(read.entries(under: "\(a).").map(\.value.elementCount) == [1])
      #expect(read.entries(under: "\(b).").map(\.key) == ["weight"])
    }
    tensors[pairs[1].0] = nil
    #expect(tensors[pairs[1].1] != nil && tensors.count == 4 * pairs.count - 1)
    // The same name twice is still refused, in tensors and metadata.
    let entry = #"{"dtype":"F32","shape":[0],"data_offsets":[0,0]}"#
    try bytes(header: "{\"caf\u{E9}\":\(entry),\"caf\\u00e9\":\(entry)}").write(to: URL(filePath: folder.file("y")))
    #expect(message { _ = try SafetensorsFile(folder.file("y")) }.contains("two entries"))
  }

  static let bad: [(header: String, says: String)] = [
    ("[]", "does not begin with '{'"),
    (" {}", "does not begin with '{'"),
    ("{", "'\"' was expected"),
    ("{}x", "something after the header's end"),
    (
      #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[0],"data_offsets":[4,4]}}"#,
      "two entries have the name \"a\""
    ),
    (#"{"__metadata__":{"k":"1","k":"2"}}"#, "two entries of the metadata"),
    (#"{"__metadata__":{"k":1}}"#, "'\"' was expected"),
    (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":[]}}"#, "unknown or repeated field \"x\""),
    (#"{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, "unknown or repeated field \"dtype\""),
    (#"{"a":{"shape":[1],"data_offsets":[0,4]}}"#, "needs a dtype, a shape and two data_offsets"),
    (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}}"#, "needs a dtype, a shape and two data_offsets"),
    (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}}"#, "more than 2 numbers"),
    (#"{"a":{"dtype":"F31","shape":[1],"data_offsets":[0,4]}}"#, "has the dtype \"F31\"; known are BOOL"),
    (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}"#, "does not fill the bytes 4 to 0"),
    (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,8]}}"#, "does not fill the bytes 0 to 8"),
    (#"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}"#, "a whole number was expected"),
    (#"{"a":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}}"#, "']' was expected"),
    (#"{"a":{"dtype":"F32","shape":[01],"data_offsets":[0,4]}}"#, "a whole number was expected"),
    (#"{"a":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,4]}}"#, "a number that is too large"),
    (
      #"{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]}}"#,
      "more elements than can be counted"
    ),
    (#"{"a":{"dtype":"F64","shape":[4611686018427387904],"data_offsets":[0,4]}}"#, "does not fill the bytes"),
    (#"{"a":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,4]}}"#, "has 9 dimensions; up to 8"),
    (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#, "without gaps"),
    (
      #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}}"#,
      "without overlap"
    ),
    (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, "truncated: the tensors take 8 bytes, and 4 follow"),
    (#"{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}"#, "longer than its header says"),
    ("{\"a\u{1}\":{}}", "a control character in a string"),
    (#"{"\ud800":{}}"#, "half of a surrogate pair"),
    (#"{"\ud800\u0041":{}}"#, "half of a surrogate pair"),
    (#"{"\u12g4":{}}"#, "four hexadecimal digits"),
    (#"{"\x":{}}"#, "an unknown escape"),
    (#"{"a"#, "a string without an end"),
  ]

  @Test(arguments: bad) func badHeadersAreNamed(header: String, says: String) throws {
    let folder = try TemporaryFolder()
    try bytes(header: header, data: [0, 0, 0, 0]).write(to: URL(fileURLWithPath: folder.file("x")))
    let error = #expect(throws: ApusError.self) { try SafetensorsFile(folder.file("x")) }
    #expect(error?.message.contains(says) == true, "\(error?.message ?? "")")
    #expect(error?.message.contains(folder.file("x")) == true)
  }

  @Test func badFilesAreNamed() throws {
    let folder = try TemporaryFolder()
    func message(_ data: Data?) throws -> String {
      let path = folder.file("x")
      try? FileManager.default.removeItem(atPath: path)
      if let data { try data.write(to: URL(fileURLWithPath: path)) }
      return #expect(throws: ApusError.self) { try SafetensorsFile(path) }?.message ?? ""
    }
    #expect(try message(nil).contains("No such file or directory"))
    #expect(try message(Data([1, 2, 3])).contains("3 bytes are too few"))
    #expect(try message(bytes(header: "{}", length: 3)).contains("its header would have 3 bytes of 2"))
    #expect(try message(bytes(header: "{}", length: .max)).contains("header would have"))
    #expect(try message(bytes(header: "{}", length: 100_000_001)).contains("header would have"))
    #expect(
      #expect(throws: ApusError.self) { try SafetensorsFile(folder.path) }?.message.contains("is a directory") == true)
    let latin = Data([0x7B, 0x22, 0xFC, 0x22])
    #expect(try message(Data([4, 0, 0, 0, 0, 0, 0, 0]) + latin).contains("not UTF-8"))
  }

  /// Names are told apart by their bytes, as the format has them: "é" may be one scalar or two.
  @Test func namesInTheHeaderAreBytes() throws {
    let folder = try TemporaryFolder()
    let header =
      #"{"caf\u00e9":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"cafe\u0301":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}"#
    try bytes(header: header, data: [7, 9]).write(to: URL(filePath: folder.file("x")))
    let file = try SafetensorsFile(folder.file("x"))
    #expect(file.names.count == 2)
    #expect(try file.tensor("caf\u{E9}").item(as: Int.self) == 7)
    #expect(try file.tensor("cafe\u{301}").item(as: Int.self) == 9)
    #expect(file.type(of: "cafe") == nil)
  }

  /// Thousands of names, long and short, in any order of their bytes, are found again.
  @Test func manyNames() throws {
    let folder = try TemporaryFolder()
    var random = SeededRandom(seed: 5)
    let names = (0..<5000).map { "\(String(repeating: "n", count: Int(random.next() % 40))).\($0)" }
    let entries = names.enumerated().shuffled(using: &random).map { index, name in
      "\"\(name)\":{\"dtype\":\"U16\",\"shape\":[1],\"data_offsets\":[\(2 * index),\(2 * index + 2)]}"
    }
    let data = names.indices.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8($0 >> 8)] }
    try bytes(header: "{\(entries.joined(separator: ","))}", data: data).write(to: URL(filePath: folder.file("x")))
    let file = try SafetensorsFile(folder.file("x"))
    for (index, name) in names.enumerated() { #expect(try file.tensor(name).item(as: Int.self) == index) }
    #expect(Set(file.names) == Set(names))
  }

  /// What a header of one kind of entry is made of.
  enum Filling: Codable, CaseIterable { case tensors, metadata, oneName, unknownFields, spaces, escapes, numbers }

  private static func header(of filling: Filling) -> String {
    func list(_ count: Int, _ entry: (Int) -> String) -> String { (0..<count).map(entry).joined(separator: ",") }
    switch filling {
    case .tensors: return "{" + list(200_000) { #""\#($0)":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}"# } + "}"
    case .metadata: return #"{"__metadata__":{"# + list(1_000_000) { #""\#($0)":"""# } + "}}"
    case .oneName: return #"{""# + String(repeating: "n", count: 10_000_000) + #"":{}}"#
    case .unknownFields:
      return #"{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0],"# + list(500_000) { #""\#($0)":[]"# }
    case .spaces: return "{" + String(repeating: " ", count: 10_000_000) + "}"
    case .escapes:
      return #"{""# + String(repeating: #"\u0041"#, count: 2_000_000)
        + #"":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}"#
    case .numbers: return #"{"a":{"shape":["# + list(4_000_000) { _ in "0" } + "]}}"
    }
  }

  /// A header's reading takes a small multiple of it, whatever it is filled with.
  @Test(arguments: Filling.allCases) func headersStaySmall(filling: Filling) async {
    await #expect(processExitsWith: .success) { [filling = filling as Filling] in
      let folder = try TemporaryFolder()
      let path = folder.file("x")
      let size = try {
        let whole = bytes(header: Self.header(of: filling))
        try whole.write(to: URL(filePath: path))
        return whole.count
      }()
      let growth = try peakMemoryGrowth { _ = try? SafetensorsFile(path) }
      precondition(growth <= 8 << 20 + 5 * size, "\(filling): \(growth) bytes for a header of \(size)")
    }
  }

  @Test func metadataIsBounded() throws {
    let folder = try TemporaryFolder()
    let most = NamedValues((0..<1 << 16).map { ("\($0)", "") })
    try SafetensorsFile.write([:], metadata: most, to: folder.file("x"))
    #expect(try SafetensorsFile(folder.file("x")).metadata == most)
    var more = most
    more["one"] = "more"
    let error = #expect(throws: ApusError.self) {
      try SafetensorsFile.write([:], metadata: more, to: folder.file("y"))
    }
    #expect(error?.message.contains("65537 entries of metadata") == true)
    try bytes(header: Self.header(of: .metadata)).write(to: URL(filePath: folder.file("y")))
    let read = #expect(throws: ApusError.self) { try SafetensorsFile(folder.file("y")) }
    #expect(read?.message.contains("more than 65536 entries of metadata") == true)
  }

  /// A file with a hole holds a tensor that is larger than memory: an error.
  @Test func aTensorLargerThanMemory() throws {
    let folder = try TemporaryFolder()
    let size = 1 << 43
    let header = #"{"a":{"dtype":"U8","shape":[\#(size)],"data_offsets":[0,\#(size)]}}"#
    let start = bytes(header: header)
    try start.write(to: URL(filePath: folder.file("x")))
    let handle = try FileHandle(forWritingTo: URL(filePath: folder.file("x")))
    // Not every file system has files of eight terabytes.
    guard (try? handle.truncate(atOffset: UInt64(start.count + size))) != nil else { return }
    try handle.close()
    let file = try SafetensorsFile(folder.file("x"))
    let error = #expect(throws: ApusError.self) { try file.tensor("a") }
    #expect(error?.kind == .memory)
  }

  @Test func whatTheFormatLacksIsRefused() throws {
    let folder = try TemporaryFolder()
    let error = #expect(throws: ApusError.self) {
      try SafetensorsFile.write(["a": Tensor.zeros([1], dtype: .complex128)], to: folder.file("x"))
    }
    #expect(error?.message.contains("no dtype complex128") == true)
    #expect(throws: ApusError.self) { try SafetensorsFile.write(["a": Tensor(1)], to: folder.file("no/x")) }
    #expect(try folder.names().isEmpty)
  }

  /// Every truncation, and thousands of random damages, give a file that is refused or read: nothing else happens.
  @Test func damagedFilesNeverCrash() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("x")
    try SafetensorsFile.write(
      ["weight": Tensor([[1.0, 2], [3, 4]]), "bias": Tensor([1, 2], dtype: .uint8), "e": Tensor.zeros([0, 3])],
      metadata: ["k": "v"], to: path)
    let good = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
    func attempt(_ damaged: [UInt8]) throws -> Bool {
      try Data(damaged).write(to: URL(fileURLWithPath: path))
      do {
        let state = try SafetensorsFile(path).stateDictionary()
        // What is read lies in the file.
        #expect(try state.map { try $0.value.type.byteCount() }.reduce(0, +) <= damaged.count)
        return true
      } catch is ApusError {
        return false
      }
    }
    #expect(try attempt(good))
    for length in good.indices { #expect(try !attempt(Array(good[..<length]))) }
    var random = SeededRandom(seed: 2026)
    for _ in 0..<3000 * soakFactor {
      var damaged = good
      switch random.next() % 6 {
      case 0: damaged[Int(random.next() % UInt64(good.count))] ^= UInt8(1 << (random.next() % 8))
      case 1: damaged[Int(random.next() % UInt64(good.count))] = UInt8(truncatingIfNeeded: random.next())
      case 2: damaged.remove(at: Int(random.next() % UInt64(good.count)))
      case 3, 4:
        // A piece of it somewhere else, in place of what was there or beside it.
        let start = Int(random.next() % UInt64(good.count))
        let piece = good[start..<min(start + 1 + Int(random.next() % 40), good.count)]
        let place = Int(random.next() % UInt64(good.count))
        let end = random.next() % 2 == 0 ? place : min(place + piece.count, good.count)
        damaged.replaceSubrange(place..<end, with: piece)
      default:
        damaged.insert(UInt8(truncatingIfNeeded: random.next()), at: Int(random.next() % UInt64(good.count)))
      }
      _ = try attempt(damaged)
    }
  }
}

@Suite struct ModelFileTests {
  @Test func saveAndLoad() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("m.safetensors")
    let (a, b) = (
      Sequential {
        Conv2D(2, kernelSize: 3); BatchNorm2D(); Flatten(); Dense(3)
      }, Sequential { Linear(2, 2) }
    )
    #expect(throws: ApusError.self) { try a.save(to: path) }
    let x = Tensor.normal([2, 1, 5, 5], generator: Generator(seed: 4))
    _ = a(x)
    try a.save(to: path)
    let c = Sequential {
      Conv2D(2, kernelSize: 3); BatchNorm2D(); Flatten(); Dense(3)
    }
    try c.load(from: path)
    a.eval()
    c.eval()
    #expect(a(x).toArray() == c(x).toArray())
    let error = #expect(throws: ApusError.self) { try b.load(from: path) }
    #expect(
      error?.message.hasPrefix("\(path): the state does not fit Sequential: unexpected: 0.bias") == true
        || error?.message.contains("unexpected: ") == true)
    #expect(try folder.names() == ["m.safetensors"])
  }
}
