import ApusCore
import TestSupport
import Testing

@testable import ApusData

@Suite struct IDXTests {
  private let example: [UInt8] = [0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6]

  @Test func decodesBytes() throws {
    let tensor = try IDX.decode(example)
    #expect(tensor.type == TensorType(.uint8, [2, 3]))
    #expect(values(tensor) == [1, 2, 3, 4, 5, 6] as [UInt8])
  }

  @Test func decodesBigEndianNumbers() throws {
    let shorts = try IDX.decode([0, 0, 0x0B, 1, 0, 0, 0, 2, 0xFF, 0xFE, 0x01, 0x02])
    #expect(values(shorts) == [-2, 258] as [Int16])
    let floats = try IDX.decode([0, 0, 0x0D, 1, 0, 0, 0, 1, 0x3F, 0xC0, 0, 0])
    #expect(values(floats) == [1.5] as [Float])
  }

  @Test func roundTrips() throws {
    func check<T: TensorScalar & Equatable>(_ numbers: [T], _ shape: Int...) throws {
      let before = Tensor(numbers, shape: Shape(shape), dtype: T.dtype)
      let bytes = try IDX.encode(before)
      for bytes in [bytes, try Gzip.compress(bytes)] {
        let after = try IDX.decode(bytes)
        #expect(after.type == before.type)
        #expect(values(after) == numbers)
      }
    }
    try check([1, 255] as [UInt8], 2)
    try check([-1, 127, -128, 0] as [Int8], 2, 2)
    try check([-30000, 5] as [Int16], 1, 2, 1)
    try check([-2_000_000_000, 7, 8] as [Int32], 3)
    try check([.pi, -.infinity] as [Float], 2)
    try check([.pi, 1e300] as [Double], 2)
    try check([] as [UInt8], 0, 28, 28)
    try check([42] as [Int32])
    #expect(refusal { try IDX.encode(tensor([1 as Int64], 1)) }.contains("uint8, int8"))
  }

  @Test func filesThatDoNotFit() throws {
    #expect(refusal { try IDX.decode([]) }.contains("0 bytes are too few"))
    #expect(refusal { try IDX.decode(Array("P5 28 28".utf8)) }.contains("not an IDX file"))
    #expect(refusal { try IDX.decode([0, 0, 0x0A, 1, 0, 0, 0, 0]) }.contains("type code"))
    #expect(refusal { try IDX.decode([0, 0, 8, 9]) }.contains("9 dimensions"))
    #expect(refusal { try IDX.decode([0, 0, 8, 3, 0, 0]) }.contains("ends within its header"))
    #expect(refusal { try IDX.decode(example.dropLast()) }.contains("only 5 follow"))
    #expect(refusal { try IDX.decode(example + [7]) }.contains("more follow"))
    let zipped = try Gzip.compress(example)
    #expect(refusal { try IDX.decode(zipped.dropLast(9)) }.contains("ends early"))
    #expect(refusal { try IDX.decode(try Gzip.compress(example.dropLast())) }.contains("only 5 follow"))
    #expect(refusal { try IDX.decode(try Gzip.compress(example + [7])) }.contains("more follow"))
    var damaged = zipped
    damaged[damaged.count - 6] ^= 1
    #expect(refusal { try IDX.decode(damaged) }.contains("damaged"))
    // Two members make one file, as gzip has it.
    #expect(
      try values(IDX.decode(Gzip.compress(Array(example[..<9])) + Gzip.compress(Array(example[9...])))) == [
        1, 2, 3, 4, 5, 6,
      ] as [UInt8])
  }

  /// Members may be padded with zeros, at the end and in between, as gzip(1) and Python read them; what else follows is an
  /// error.
  @Test(arguments: [0, 1, 7, 511, 100_000]) func zerosAreNoData(padding: Int) throws {
    let zeros = [UInt8](repeating: 0, count: padding)
    let (first, second) = try (Gzip.compress(Array(example[..<9])), Gzip.compress(Array(example[9...])))
    let (whole, nothing) = try (Gzip.compress(example), Gzip.compress([]))
    let padded = [
      whole + zeros, first + second + zeros, first + zeros + second, first + zeros + second + zeros,
      first + zeros + nothing + zeros + second + zeros,
    ]
    for bytes in padded {
      #expect(try values(IDX.decode(bytes)) == [1, 2, 3, 4, 5, 6] as [UInt8])
    }
    for garbage in [[1], [0x1F], [0x1F, 0x8C, 8], Array("tail".utf8), [0xFF, 0]] as [[UInt8]] {
      let text = refusal { try IDX.decode(whole + zeros + garbage) }
      #expect(text.contains("not gzip follows") || garbage == [0x1F] && text.contains("ends early"), "\(text)")
    }
    // Zeros are padding, no data: what is missing is missed.
    #expect(refusal { try IDX.decode(first + zeros) }.contains("ends within its header"))
    #expect(refusal { try IDX.decode(zeros + first) } != "")
  }

  /// A header may claim anything: nothing is allocated for it.
  @Test func hugeClaims() throws {
    let images: [UInt8] = [0, 0, 8, 3, 0x80, 0, 0, 0, 0, 0, 0, 28, 0, 0, 0, 28]
    #expect(refusal { try IDX.decode(images) }.contains("uint8[2147483648, 28, 28]"))
    #expect(refusal { try IDX.decode(try Gzip.compress(images)) }.contains("uint8[2147483648, 28, 28]"))
    let most: [UInt8] = [0, 0, 0x0E, 8] + [UInt8](repeating: 0xFF, count: 32)
    #expect(refusal { try IDX.decode(most) }.contains("more than"))
    let gigabytes: [UInt8] = [0, 0, 8, 1, 0x7F, 0xFF, 0xFF, 0xFF]
    #expect(refusal { try IDX.decode(try Gzip.compress(gigabytes)) }.contains("only 0 follow"))
  }

  @Test func damagedFilesNeverCrash() throws {
    var dice = SeededRandom(seed: 7)
    let body = (0..<400).map { UInt8($0 * $0 % 251) }
    let plain: [UInt8] = [0, 0, 8, 3, 0, 0, 0, 4, 0, 0, 0, 10, 0, 0, 0, 10] + body
    var refused = 0
    for seed in [plain, try Gzip.compress(plain), try IDX.encode(tensor([1.5, 2] as [Float], 2))] {
      for _ in 0..<3000 * soakFactor {
        do {
          let tensor = try IDX.decode(seed.damaged(&dice))
          #expect(tensor.elementCount <= 1 << 20)
        } catch is ApusError {
          refused += 1
        }
      }
    }
    #expect(refused > 2000)
  }
}

@Suite struct DatasetsTests {
  @Test func digits() throws {
    let digits = try Datasets.digits()
    #expect(digits.train.count == 1438 && digits.test.count == 359)
    #expect(digits.classNames == ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"])
    let first = try digits.train.element(at: 0)
    #expect(first.inputs.type == TensorType(.float32, [1, 8, 8]))
    #expect(first.targets?.type == TensorType(.int64, []))
    #expect(values(first.inputs, as: Float.self).prefix(8) == [0, 0, 0.3125, 0.8125, 0.5625, 0.0625, 0, 0])
    var perClass = [Int](repeating: 0, count: 10)
    var ink = 0.0
    var heldOut = perClass
    for (part, isTest) in [(digits.train, false), (digits.test, true)] {
      let all = try part.batched(part.count).element(at: 0)
      for label in values(all[1], as: Int64.self) {
        perClass[Int(label)] += 1
        if isTest { heldOut[Int(label)] += 1 }
      }
      let pixels = values(all.inputs, as: Float.self)
      #expect(pixels.allSatisfy { (0...1).contains($0) })
      ink += pixels.reduce(0) { $0 + Double($1) }
    }
    // Counted from the source's table.
    #expect(perClass == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180])
    #expect(heldOut == [27, 21, 34, 52, 34, 28, 31, 43, 47, 42])
    #expect(ink * 16 == 561718)
  }

  private func writeMNIST(to folder: String, dash: String, suffix: String, count: Int = 5) throws {
    for (prefix, count) in [("train", count), ("t10k", 3)] {
      let pixels = (0..<count * 28 * 28).map { UInt8($0 % 256) }
      try IDX.write(tensor(pixels, count, 28, 28), to: "\(folder)/\(prefix)-images\(dash)idx3-ubyte\(suffix)")
      try IDX.write(
        tensor((0..<count).map { UInt8($0 % 10) }, count), to: "\(folder)/\(prefix)-labels\(dash)idx1-ubyte\(suffix)")
    }
  }

  @Test(arguments: ["-", "."], ["", ".gz"]) func mnist(dash: String, suffix: String) throws {
    try withFolder { folder in
      try writeMNIST(to: folder, dash: dash, suffix: suffix)
      let mnist = try Datasets.mnist(directory: folder)
      #expect(mnist.train.count == 5 && mnist.test.count == 3)
      let batch = try mnist.train.batched(4).element(at: 0)
      #expect(batch.inputs.type == TensorType(.float32, [4, 1, 28, 28]))
      #expect(values(batch.inputs, as: Float.self).prefix(3) == [0, 1 / 255, 2 / 255])
      #expect(values(batch[1]) == [0, 1, 2, 3] as [Int64])
      #expect(try mnist.test.element(at: 2).inputs.type == TensorType(.float32, [1, 28, 28]))
    }
  }

  @Test func mnistThatDoesNotFit() throws {
    try withFolder { folder in
      #expect(
        refusal { try Datasets.mnist(directory: folder) }.contains(
          "has none of train-images-idx3-ubyte, train-images-idx3-ubyte.gz"))
      try writeMNIST(to: folder, dash: "-", suffix: "")
      try IDX.write(tensor([1, 2] as [UInt8], 2), to: folder + "/t10k-labels-idx1-ubyte")
      #expect(refusal { try Datasets.mnist(directory: folder) }.contains("t10k-labels-idx1-ubyte holds uint8[2]"))
      try IDX.write(tensor([1, 2, 10] as [UInt8], 3), to: folder + "/t10k-labels-idx1-ubyte")
      #expect(refusal { try Datasets.mnist(directory: folder) }.contains("the label 10"))
      try IDX.write(tensor([1, 2] as [Int16], 2), to: folder + "/train-images-idx3-ubyte")
      #expect(refusal { try Datasets.mnist(directory: folder) }.contains("holds int16[2]"))
    }
  }
}
