import ApusCore

/// Zeros of both signs, subnormal numbers, the largest ones, infinities and NaN through every element-wise primitive.
///
/// The values are the reference's, and each is compared, bit for bit, with what it is alone: it must not depend on its
/// neighbours, on the vector's length, on how operands lie, on memory that is reused, or on being compiled.
struct SpecialChecks {
  let engine: any Engine
  /// Whether every value is put beside every other, at every length; else beside a few, at some.
  let isThorough: Bool
  /// Whether two operations are compiled together, too.
  let includesGraphs: Bool

  /// A primitive and vectors of its operands: element i of all of them is its case i.
  private struct Subject {
    var primitive: Primitive
    var operands: [Elements]
    /// Cases that others are put beside.
    var neighbours: [Int]

    var count: Int { operands[0].count }
    func tensors(_ cases: some Collection<Int>) throws -> [Tensor] { try operands.map { try $0.tensor(cases) } }
  }

  func run(_ kinds: Set<PrimitiveKind>, into report: inout ConformanceReport) {
    for kind in PrimitiveKind.allCases where kinds.contains(kind) && kind.isElementwise {
      report.check(kind.rawValue, "special values") {
        for subject in try subjects(kind) { if let fault = try fault(of: subject, kind) { return fault } }
        return nil
      }
    }
    if includesGraphs { SpecialChains(engine: engine, isThorough: isThorough).run(kinds, into: &report) }
  }

  // MARK: What is tried

  private func subjects(_ kind: PrimitiveKind) throws -> [Subject] {
    var primitives: [Primitive] = []
    for sample in kind.samples where !primitives.contains(sample.primitive) { primitives.append(sample.primitive) }
    if kind == .cast { primitives = DType.allCases.map { .cast(.init(dtype: $0)) } }
    let dtypes = DType.allCases.filter { isThorough ? $0.bitWidth >= 8 : $0.hasArithmetic || $0 == .float16 }
    return try primitives.flatMap { primitive in try dtypes.compactMap { try subject(primitive, kind, $0) } }
  }

  /// nil: the primitive is not defined on the dtype, or gives elements that have no bytes of their own.
  private func subject(_ primitive: Primitive, _ kind: PrimitiveKind, _ dtype: DType) throws -> Subject? {
    let isPaired = kind.isBinary || kind == .compare || kind == .select
    let values = try Elements(
      kind == .cast
        ? SpecialSamples.castSource(dtype) : Self.values(dtype, isFew: kind == .select || isPaired && !isThorough))
    let all = Array(0..<values.count)
    var columns = [all]
    if isPaired {
      columns = [all.flatMap { i in all.map { _ in i } }, all.flatMap { _ in all }]
    }
    var operands = try columns.map { try Elements(values.tensor($0)) }
    if kind == .select {
      operands.insert(
        try Elements(Values.tensor(columns[0].indices.map { Double($0 % 2) }, [Dim(columns[0].count)], .bool)), at: 0)
    }
    let types = operands.map { TensorType($0.dtype, [Dim($0.count)]) }
    guard let result = try? primitive.definition.infer(types)[0], result.dtype.bitWidth >= 8 else { return nil }
    let few = Set([0, all.count / 3, all.count - 1, all.count - 2, all.count - 3].map { Swift.max($0, 0) })
    let neighbours = all.filter { isThorough || few.contains($0) }.map {
      columns.count == 1 ? $0 : $0 * (all.count + 1)
    }
    return Subject(primitive: primitive, operands: operands, neighbours: neighbours)
  }

  private static func values(_ dtype: DType, isFew: Bool) throws -> Tensor {
    if dtype == .bool { return try Values.tensor([0, 1], [2], .bool) }
    let reals = isFew ? SpecialSamples.few : SpecialSamples.reals + SpecialSamples.extremes
    let values = dtype.isInteger ? SpecialSamples.integers : reals
    return try Values.tensor(values, [Dim(values.count)], dtype)
  }

  // MARK: How it is tried

  private func fault(of subject: Subject, _ kind: PrimitiveKind) throws -> String? {
    let name = "on \(subject.operands.map(\.dtype.description).joined(separator: ", "))"
    let all = Array(0..<subject.count)
    var alone: [UInt8] = []
    var dtype = DType.bool
    for i in all {
      let result: Tensor
      do {
        result = try execute(subject.primitive, subject.tensors([i]))
      } catch let error as ApusError where error.kind == .unsupported {
        return nil
      }
      dtype = result.dtype
      alone += try Values.bytes(result)
    }
    let expected = Elements(dtype: dtype, bytes: alone)
    let operands = try subject.tensors(all)
    let comparison = Comparison(accuracy: kind.accuracy, terms: 1, tellsZerosApart: true)
    let reference = try Values.reference(subject.primitive, operands)[0]
    if let wrong = try comparison.difference(expected.tensor(all), reference) { return "\(name): \(wrong)" }

    var ways: [(String, [Int], ([Tensor]) throws -> Tensor?)] = [
      ("together", all, { try execute(subject.primitive, $0) })
    ]
    for length in stride(from: 1, through: 33, by: isThorough ? 1 : 4) {
      let start = length * 7 % subject.count
      let window = (0..<length).map { (start + $0) % subject.count }
      ways.append(("\(length) from \(start)", window, { try execute(subject.primitive, $0) }))
    }
    for i in isThorough ? all : subject.neighbours {
      ways.append(
        ("\(1 + i % 33) alike", Array(repeating: i, count: 1 + i % 33), { try execute(subject.primitive, $0) }))
    }
    for j in subject.neighbours {
      let mixed = all.flatMap { [$0, j] }
      for start in stride(from: 0, to: mixed.count, by: 33) {
        let window = Array(mixed[start..<Swift.min(start + 33, mixed.count)])
        ways.append(("beside case \(j)", window, { try execute(subject.primitive, $0) }))
      }
    }
    for layout in [Layout.sliced, .stepped] {
      ways.append((layout.rawValue, all, { try execute(subject.primitive, $0.map { try layout.lay($0) ?? $0 }) }))
    }
    if kind.isUnary || kind.isBinary {
      for reuse in [ReusableOperand.none, .first, .second] {
        ways.append(("by the short way, reusing \(reuse)", all, { try shortWay(subject.primitive, kind, $0, reuse) }))
      }
    }
    ways += try compiled(subject, all)
    for (way, cases, body) in ways {
      guard let found = try body(subject.tensors(cases)) else { continue }
      if let difference = try expected.difference(found, cases) { return "\(name), \(way): \(difference)" }
    }
    return kind.isBinary || kind == .compare
      ? try broadcastFault(subject, kind, expected, comparison).map { "\(name), \($0)" } : nil
  }

  private func execute(_ primitive: Primitive, _ operands: [Tensor]) throws -> Tensor {
    let types = try primitive.definition.infer(operands.map(\.type))
    return Tensor(storage: try engine.execute(primitive, operands.map(\.storage), outputs: types)[0])
  }

  private func shortWay(
    _ primitive: Primitive, _ kind: PrimitiveKind, _ operands: [Tensor], _ reuse: ReusableOperand
  ) throws -> Tensor? {
    let own = try operands.map { try HostCopy.contiguous($0.storage) }
    let type = try primitive.definition.infer(operands.map(\.type))[0]
    let result =
      kind.isUnary
      ? try engine.executeUnary(primitive, own[0], output: type, reuse: reuse == .first)
      : try engine.executeBinary(primitive, own[0], own[1], output: operands[0].type, reuse: reuse)
    return result.map { Tensor(storage: $0) }
  }

  /// One operand a single value, seen everywhere.
  private func broadcastFault(
    _ subject: Subject, _ kind: PrimitiveKind, _ expected: Elements, _ comparison: Comparison
  ) throws -> String? {
    let side = Int(Double(subject.count).squareRoot())
    for value in 0..<side {
      for (first, cases) in [
        (true, (0..<side).map { value * side + $0 }), (false, (0..<side).map { $0 * side + value }),
      ] {
        var operands = try subject.tensors(cases)
        let place = first ? 0 : 1
        operands[place] = try Layout.uniform.lay(operands[place]) ?? operands[place]
        let found = try execute(subject.primitive, operands)
        guard let difference = try expected.difference(found, cases) else { continue }
        // Powers by one exponent may be products, which round otherwise.
        if kind == .power, try comparison.difference(found, expected.tensor(cases)) == nil { continue }
        return "operand \(place) being case \(cases[0]) everywhere: \(difference)"
      }
    }
    return nil
  }

  // MARK: Compiled

  /// By itself, and among operations that change nothing but may be fused with it.
  private func compiled(_ subject: Subject, _ cases: [Int]) throws -> [(String, [Int], ([Tensor]) throws -> Tensor?)] {
    let types = subject.operands.map { TensorType($0.dtype, [Dim(cases.count)]) }
    let lone = try GraphCase.built("lone", types) { g, x in [try g.graph.add(subject.primitive, x)[0]] }
    let chain = try GraphCase.built("chain", types) { g, x in
      let operands = try x.map { try g.unchanged($0) }
      return [try g.unchanged(try g.graph.add(subject.primitive, operands)[0])]
    }
    return [("compiled", lone), ("compiled in a chain", chain)].flatMap { name, graph in
      [
        (name, cases, { try run(engine.compile(graph.graph), $0) }),
        (name + ", interpreted", cases, { try run(InterpretedExecutable(graph.graph, engine: engine), $0) }),
      ]
    }
  }

  private func run(_ executable: any Executable, _ operands: [Tensor]) throws -> Tensor {
    var storages = operands.map(\.storage)
    return Tensor(storage: try executable.run(&storages, donated: [])[0])
  }
}

extension GraphBuilder {
  /// The value after operations that give it back.
  mutating func unchanged(_ value: ValueID) throws -> ValueID {
    let dtype = graph.type(value).dtype
    if dtype == .bool { return try self(.logicalNot, try self(.logicalNot, value)) }
    return dtype.hasArithmetic ? try self(.negate, try self(.negate, value)) : value
  }
}

/// Two element-wise operations in one compiled graph against the same two one after the other: an engine that joins them
/// must not save a rounding, for then an overflow or a sign of zero comes out otherwise.
struct SpecialChains {
  let engine: any Engine
  let isThorough: Bool

  func run(_ kinds: Set<PrimitiveKind>, into report: inout ConformanceReport) {
    let arithmetic: [Primitive] =
      isThorough
      ? [.add, .subtract, .multiply, .divide, .remainder, .maximum, .minimum] : [.add, .multiply, .remainder]
    let unary = PrimitiveKind.allCases.filter { $0.isUnary && $0 != .logicalNot }.compactMap {
      $0.samples.first?.primitive
    }
    for first in arithmetic where kinds.isEmpty || kinds.contains(PrimitiveKind(first)) {
      for dtype in [DType.float32, .float64] {
        report.check("graph of \(first.name)", "\(dtype), special values, with another operation") {
          for second in arithmetic {
            for isLeft in [true, false] {
              let fault = try fault(dtype) { g, x in
                let y = try g(first, x[0], x[1])
                return [try isLeft ? g(second, y, x[2]) : g(second, x[2], y)]
              }
              if let fault { return "\(second.name), \(isLeft ? "left" : "right"): \(fault)" }
            }
          }
          for second in unary {
            if let fault = try fault(dtype, { g, x in [try g(second, try g(first, x[0], x[1]))] }) {
              return "\(second.name): \(fault)"
            }
          }
          return nil
        }
      }
    }
  }

  private func fault(_ dtype: DType, _ body: (inout GraphBuilder, [ValueID]) throws -> [ValueID]) throws -> String? {
    let values = SpecialSamples.few
    let n = values.count
    let type = TensorType(dtype, [Dim(n * n * n)])
    let operands = try (0..<3).map { place in
      let step = [n * n, n, 1][place]
      return try Values.tensor((0..<n * n * n).map { values[$0 / step % n] }, type.shape, dtype)
    }
    let graph = try GraphCase.built("two operations", [type, type, type], body).graph
    var (a, b) = (operands.map(\.storage), operands.map(\.storage))
    let found = Tensor(storage: try engine.compile(graph).run(&a, donated: [])[0])
    let expected = Tensor(storage: try InterpretedExecutable(graph, engine: engine).run(&b, donated: [])[0])
    return try Elements(expected).difference(found, Array(0..<n * n * n))
  }
}

/// A vector's elements as bytes, to pick from and to compare with.
struct Elements: Sendable {
  let dtype: DType
  let bytes: [UInt8]

  init(dtype: DType, bytes: [UInt8]) {
    self.dtype = dtype
    self.bytes = bytes
  }
  init(_ x: Tensor) throws { self.init(dtype: x.dtype, bytes: try Values.bytes(x)) }

  private var width: Int { dtype.bitWidth / 8 }
  var count: Int { bytes.count / width }

  /// The elements at some places, as a vector.
  func tensor(_ places: some Collection<Int>) throws -> Tensor {
    var picked: [UInt8] = []
    picked.reserveCapacity(places.count * width)
    for i in places { picked += bytes[(i * width)..<((i + 1) * width)] }
    return try Tensor(bytes: picked.span.bytes, type: TensorType(dtype, [Dim(places.count)]))
  }

  /// How a vector differs from the elements at some places; nil: in no bit, but for those of NaN.
  func difference(_ found: Tensor, _ places: [Int]) throws -> String? {
    let expected = try tensor(places)
    guard found.type == expected.type else { return "is \(found.type), not \(expected.type)" }
    let (a, b) = (try Values.bytes(found), try Values.bytes(expected))
    if a == b { return nil }
    let isReal = dtype.isFloatingPoint
    let (x, y) = isReal ? (Values.doubles(found), Values.doubles(expected)) : ([], [])
    for i in places.indices where a[(i * width)..<((i + 1) * width)] != b[(i * width)..<((i + 1) * width)] {
      if isReal, x[i].isNaN, y[i].isNaN { continue }
      let (mine, alone) = isReal ? ("\(x[i])", "\(y[i])") : ("\(a[i * width])", "\(b[i * width])")
      return "case \(places[i]) at \(i) of \(places.count) gives \(mine), alone \(alone)"
    }
    // Complex numbers are moved and cast only; where they hold NaN its bits may differ.
    return nil
  }
}
