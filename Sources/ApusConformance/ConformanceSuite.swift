import ApusCore

/// What every engine has to pass: each primitive on each dtype and layout it can meet, and compiled graphs, against
/// the reference engine.
///
/// ```swift
/// let report = ConformanceSuite().run(on: myEngine)
/// precondition(report.passed, "\(report)")
/// ```
public struct ConformanceSuite: Sendable {
  /// The primitives to try; all by default.
  public var kinds: Set<PrimitiveKind>
  /// Whether to try large operands and whole networks too.
  public var includesLarge: Bool
  /// Whether to try compiled graphs.
  public var includesGraphs: Bool

  /// - Parameters:
  ///   - kinds: the primitives to try.
  ///   - includesLarge: whether to try large operands and whole networks too, which takes longer.
  ///   - includesGraphs: whether to try compiled graphs.
  public init(
    kinds: Set<PrimitiveKind> = Set(PrimitiveKind.allCases), includesLarge: Bool = true, includesGraphs: Bool = true
  ) {
    self.kinds = kinds
    self.includesLarge = includesLarge
    self.includesGraphs = includesGraphs
  }

  /// Runs the suite.
  /// - Parameter engine: what is examined.
  /// - Returns: every difference from the reference engine.
  public func run(on engine: any Engine) -> ConformanceReport {
    var run = PrimitiveChecks(engine: engine)
    for kind in PrimitiveKind.allCases where kinds.contains(kind) {
      run.samples(kind)
      if includesLarge { run.large(kind) }
    }
    for (sample, dtype) in SpecialSamples.elementwise() where kinds.contains(PrimitiveKind(sample.primitive)) {
      run.sample(sample, dtype, layouts: [.contiguous])
    }
    if kinds.contains(.cast) { run.casts() }
    let special = SpecialChecks(engine: engine, isThorough: includesLarge, includesGraphs: includesGraphs)
    special.run(kinds, into: &run.report)
    run.badIndices(kinds)
    var report = run.report
    if includesGraphs { GraphChecks(engine: engine).run(includesLarge: includesLarge, into: &report) }
    return report
  }
}

/// The part of the suite that runs one primitive at a time.
struct PrimitiveChecks {
  let engine: any Engine
  var report: ConformanceReport
  private static let arithmetic: [DType] = DType.allCases.filter(\.hasArithmetic)

  init(engine: any Engine) {
    self.engine = engine
    report = ConformanceReport(engine: engine.name)
  }

  mutating func samples(_ kind: PrimitiveKind) {
    for sample in kind.samples {
      let dtypes: [DType] =
        if kind == .custom { [.float32, .float64] } else { sample.hasReals ? DType.allCases : [.float64] }
      for dtype in dtypes { self.sample(sample, dtype, layouts: Layout.allCases) }
    }
  }

  mutating func large(_ kind: PrimitiveKind) {
    for sample in kind.largeSamples {
      let dtypes: [DType] =
        switch kind {
        case .convolution, .convolutionInputGradient, .convolutionWeightGradient: [.float32]
        case .matmul: [.float32, .float64, .int32]
        default: sample.hasReals ? Self.arithmetic : [.float64]
        }
      let isMatrix = sample.operands.contains { $0.shape.rank > 1 && $0.shape.elementCount < 150_000 }
      for dtype in dtypes { self.sample(sample, dtype, layouts: isMatrix ? [.contiguous, .permuted] : [.contiguous]) }
      if kind.isBinary, sample.operands[0].shape == [331, 302] {
        self.sample(sample, .float32, layouts: [.sliced, .stepped, .repeated, .uniform])
      }
    }
  }

  /// All layouts for all operands together, and for each operand alone.
  mutating func sample(_ sample: Sample, _ dtype: DType, layouts: [Layout]) {
    guard let operands = try? sample.tensors(reals: dtype),
      let types = try? sample.primitive.definition.infer(operands.map(\.type))
    else { return }  // The primitive is not defined on this dtype.
    for layout in layouts {
      for chosen in Self.subsets(operands.count) {
        var laid = operands
        var changed = false
        for i in chosen {
          guard let other = try? layout.lay(operands[i]) else { continue }
          laid[i] = other
          changed = true
        }
        if changed || layout == .contiguous || operands.isEmpty {
          check(
            sample.primitive, laid, types, layout.rawValue + (chosen.count == operands.count ? "" : " at \(chosen)"))
        }
        if layout == .contiguous { break }
      }
      if operands.isEmpty { break }
    }
  }

  private static func subsets(_ count: Int) -> [[Int]] {
    count < 2 ? [Array(0..<count)] : [Array(0..<count)] + (0..<count).map { [$0] }
  }

  /// One primitive on given operands, by every way of calling it eagerly.
  mutating func check(_ primitive: Primitive, _ operands: [Tensor], _ types: [TensorType], _ layout: String) {
    let description = { operands.map(\.type.description).joined(separator: ", ") + "; " + layout }
    let engine = engine
    let kind = PrimitiveKind(primitive)
    let terms = operands.map(\.elementCount).max() ?? 1
    let comparison = Comparison(accuracy: kind.accuracy, terms: terms, tellsZerosApart: kind.isElementwise)
    var refused = false
    var expected: [Tensor] = []
    report.check(primitive.name, description()) {
      expected = try Values.reference(primitive, operands)
      let before = try operands.map(Values.bytes)
      let results: [Storage]
      do {
        results = try engine.execute(primitive, operands.map(\.storage), outputs: types)
        try Values.wait(for: results)
      } catch let error as ApusError where error.kind == .unsupported {
        refused = true
        return nil
      }
      guard results.count == types.count else { return "gives \(results.count) results, not \(types.count)" }
      for (i, result) in results.enumerated() {
        if let difference = try comparison.difference(Tensor(storage: result), expected[i]) {
          return results.count == 1 ? difference : "result \(i): \(difference)"
        }
      }
      return try operands.map(Values.bytes) == before ? nil : "it changed an operand"
    }
    if refused { report.unsupported.insert("\(primitive.name) on \(operands.first?.dtype ?? types[0].dtype)") }
    guard !refused, expected.count == 1, kind.isUnary || kind.isBinary else { return }
    report.check(primitive.name, description() + "; short way") {
      try Self.shortWay(engine, primitive, kind, operands, types[0], expected[0], comparison)
    }
  }

  /// The short way of element-wise primitives, with and without an operand whose memory may take the result.
  private static func shortWay(
    _ engine: any Engine, _ primitive: Primitive, _ kind: PrimitiveKind, _ operands: [Tensor], _ type: TensorType,
    _ expected: Tensor, _ comparison: Comparison
  ) throws -> String? {
    let before = try operands.map(Values.bytes)
    for reuse in [ReusableOperand.none, .first, .second] where kind.isBinary || reuse != .second {
      // A reusable operand is the caller's own.
      func own(_ i: Int, _ mine: Bool) throws -> Storage {
        mine ? try HostCopy.contiguous(operands[i].storage) : operands[i].storage
      }
      let result =
        kind.isUnary
        ? try engine.executeUnary(primitive, try own(0, reuse == .first), output: type, reuse: reuse == .first)
        : try engine.executeBinary(
          primitive, try own(0, reuse == .first), try own(1, reuse == .second), output: operands[0].type, reuse: reuse)
      guard let result else { continue }
      if let difference = try comparison.difference(Tensor(storage: result), expected) {
        return "reusing \(reuse): \(difference)"
      }
      if try operands.map(Values.bytes) != before {
        return "reusing \(reuse): it changed an operand that is not its own"
      }
    }
    return nil
  }

  /// Every dtype to every other.
  mutating func casts() {
    for from in DType.allCases {
      guard let source = try? SpecialSamples.castSource(from) else { continue }
      for to in DType.allCases {
        let type = TensorType(to, source.shape)
        check(.cast(.init(dtype: to)), [source], [type], "special values to \(to)")
      }
    }
  }

  /// Indices outside their axis are errors that name the index and the size.
  mutating func badIndices(_ kinds: Set<PrimitiveKind>) {
    let engine = engine
    for (bad, position) in [(Double(5), 0), (-1, 2), (1_000_000, 2)] {
      var indices = [0.0, 4, 1]
      indices[position] = bad
      let cases: [(PrimitiveKind, Primitive)] = [
        (.gather, .gather(.init(axis: 0))), (.scatterAdd, .scatterAdd(.init(axis: 0, size: 5))),
        (.gatherAlong, .gatherAlong(.init(axis: 0))),
        (.scatterAddAlong, .scatterAddAlong(.init(axis: 0, size: 5))),
      ]
      for (kind, primitive) in cases where kinds.contains(kind) {
        let isScatter = kind == .scatterAdd || kind == .scatterAddAlong
        for dtype in [DType.int64, .int32] {
          let sample = Sample(primitive, [.real(isScatter ? [3] : [5]), .values(indices, [3], dtype)])
          report.check(primitive.name, "index \(Int(bad)) of 5; \(dtype)") {
            let operands = try sample.tensors(reals: .float32)
            let types = try primitive.definition.infer(operands.map(\.type))
            do {
              try Values.wait(for: engine.execute(primitive, operands.map(\.storage), outputs: types))
              return "an index outside its axis is no error"
            } catch {
              let text = "\(error)"
              return text.contains("\(Int(bad))") && text.contains("5")
                ? nil : "the error does not name the index and the size: \(text)"
            }
          }
        }
      }
    }
  }
}

extension PrimitiveKind {
  /// Whether an element of the result depends on the operands' elements at its place alone.
  var isElementwise: Bool {
    switch self {
    case .compare, .select, .cast: true
    default: isUnary || isBinary
    }
  }

  var isUnary: Bool {
    switch self {
    case .negate, .abs, .sign, .floor, .ceil, .round, .exp, .expm1, .log, .log1p, .sqrt, .rsqrt, .sin, .cos, .tanh,
      .erf,
      .sigmoid, .relu, .silu, .gelu, .tanhGELU, .normalCDF, .normalPDF, .logicalNot:
      true
    default: false
    }
  }
  var isBinary: Bool {
    switch self {
    case .add, .subtract, .multiply, .divide, .remainder, .power, .maximum, .minimum, .logicalAnd, .logicalOr,
      .logicalXor:
      true
    default: false
    }
  }
}
