import ApusConformance
import Testing

@testable import ApusCore

/// Tests generated from the primitives' definitions: every rule of every primitive on every sample.
@Suite struct DefinitionTests {
  @Test("every primitive has samples, and they are its own", arguments: PrimitiveKind.allCases)
  func samplesExist(_ kind: PrimitiveKind) {
    #expect(!kind.samples.isEmpty)
    for sample in kind.samples { #expect(PrimitiveKind(sample.primitive) == kind) }
  }

  @Test("the type rule says what the engine returns", arguments: SampleCase.all)
  func inference(_ sample: SampleCase) throws {
    let operands = try sample.operands()
    let types = try sample.definition.infer(operands.map(\.type))
    for engine in testedEngines {
      let results = try engine.execute(sample.sample.primitive, operands.map(\.storage), outputs: types)
      #expect(results.map(\.type) == types, "\(engine.name)")
    }
    #expect(try sample.run(operands).map(\.type) == types)
  }

  @Test("the type rule refuses a missing and an extra operand", arguments: SampleCase.all)
  func operandCount(_ sample: SampleCase) throws {
    let types = try sample.operands().map(\.type)
    if case .custom = sample.sample.primitive { return }  // Its closure decides.
    if case .concatenate = sample.sample.primitive { return }  // Takes any number.
    if !types.isEmpty { #expect(throws: ApusError.self) { try sample.definition.infer(types.dropLast()) } }
    #expect(throws: ApusError.self) { try sample.definition.infer(types + [TensorType(.float32, [2])]) }
  }

  @Test("the decomposition has the primitive's value", arguments: SampleCase.all)
  func decomposition(_ sample: SampleCase) throws {
    let operands = try sample.operands()
    guard let parts = try checked({ sample.definition.decomposition(operands) }) else {
      #expect(sample.definition is any Elementary || sample.kind == .custom, "not elementary, and no decomposition")
      return
    }
    let whole = try sample.run(operands)
    #expect(parts.count == whole.count)
    for (a, b) in zip(parts, whole) { expectClose(a, b, 1e-10) }
  }

  // MARK: First order

  @Test("vjp is the transpose of finite differences", arguments: SampleCase.differentiable)
  func reverseMode(_ sample: SampleCase) throws {
    let point = try Point(sample)
    let gradients = try point.gradients(point.values)
    for (gradient, value) in zip(gradients, point.values) { #expect(gradient.type == value.type) }
    guard sample.sample.smooth else { return }
    for (k, value) in point.values.enumerated() {
      let base = doubles(value)
      let slopes = try base.indices.map { i in
        func loss(_ step: Double) throws -> Double {
          var shifted = base
          shifted[i] += step
          var values = point.values
          values[k] = Tensor(shifted, shape: value.shape, dtype: value.dtype)
          return try point.loss(values).item()
        }
        return (try loss(point.step) - loss(-point.step)) / (2 * point.step)
      }
      expectClose(doubles(gradients[k]), slopes, point.tolerance, "operand \(point.variables[k])")
    }
  }

  @Test("the gradient for one operand does not need the others'", arguments: SampleCase.differentiable)
  func singleOperands(_ sample: SampleCase) throws {
    let point = try Point(sample)
    guard point.variables.count > 1 else { return }
    let all = try point.gradients(point.values)
    for k in point.variables.indices {
      let alone = try valueAndGradient(at: point.values[k]) { x in
        var values = point.values
        values[k] = x
        return try point.loss(values)
      }.gradient
      expectClose(alone, all[k], 1e-12, "operand \(point.variables[k])")
    }
  }

  @Test("jvp is the finite difference along the tangent, and vjp its transpose", arguments: SampleCase.differentiable)
  func forwardMode(_ sample: SampleCase) throws {
    let point = try Point(sample)
    let outputs = try sample.run(point.operands)
    let directions = try point.values.enumerated().map { try random($1.type, seed: 2000 + UInt64($0)) }
    // All tangents together, then each alone with the others nil.
    let subsets = [Array(directions.indices)] + (directions.count > 1 ? directions.indices.map { [$0] } : [])
    for subset in subsets {
      var tangents = [Tensor?](repeating: nil, count: point.operands.count)
      for k in subset { tangents[point.variables[k]] = directions[k] }
      let results = sample.definition.jvp(JVPContext(inputs: point.operands, outputs: outputs, tangents: tangents))
      #expect(results.count == outputs.count)
      let along = directions.indices.map { subset.contains($0) ? directions[$0] : Tensor.zerosLike(directions[$0]) }
      guard sample.sample.smooth else { continue }
      let ahead = try sample.run(point.with(moved(point.values, along, point.step)))
      let behind = try sample.run(point.with(moved(point.values, along, -point.step)))
      var forward = 0.0
      for (i, output) in outputs.enumerated() where output.dtype.isFloatingPoint {
        let slope = zip(doubles(ahead[i]), doubles(behind[i])).map { ($0 - $1) / (2 * point.step) }
        let tangent = results[i].map(doubles) ?? slope.map { _ in 0 }
        if let result = results[i] { #expect(result.type == output.type) }
        expectClose(tangent, slope, point.tolerance, "output \(i), tangents \(subset)")
        if let cotangent = point.cotangents[i] {
          forward += zip(tangent, doubles(cotangent)).reduce(0) { $0 + $1.0 * $1.1 }
        }
      }
      let backward = dot(try point.gradients(point.values), along)
      expectClose(
        [forward], [backward], point.step < 0.01 ? 1e-9 : 1e-5, "⟨jvp(t), c⟩ and ⟨t, vjp(c)⟩, tangents \(subset)")
    }
  }

  @Test("what is said not to be differentiable cuts the tape", arguments: SampleCase.notDifferentiable)
  func cutsTape(_ sample: SampleCase) throws {
    let operands = try sample.operands().map { $0.dtype.isFloatingPoint ? $0.requiringGradient() : $0 }
    for output in try sample.run(operands) { #expect(!output.requiresGradient) }
  }

  // MARK: Second order

  @Test("the gradient's gradient is its finite difference", arguments: SampleCase.differentiable)
  func secondOrder(_ sample: SampleCase) throws {
    let point = try Point(sample)
    guard !point.values.isEmpty else { return }
    let weights = try point.values.enumerated().map { try random($1.type, seed: 3000 + UInt64($0)) }
    let direction = try point.values.enumerated().map { try random($1.type, seed: 4000 + UInt64($0)) }
    /// Σ weight · ∂L/∂x.
    func first(_ values: [Tensor]) throws -> Tensor {
      zip(try point.gradients(values), weights).reduce(Tensor(0.0, dtype: .float64)) {
        $0 + ($1.0 * $1.1).sum().cast(to: .float64)
      }
    }
    let second = try valueAndGradients(at: point.values) { try first($0) }.gradients
    for (gradient, value) in zip(second, point.values) { #expect(gradient.type == value.type) }
    guard sample.sample.smooth else { return }
    let ahead = try first(moved(point.values, direction, point.step)).item()
    let behind = try first(moved(point.values, direction, -point.step)).item()
    expectClose([dot(second, direction)], [(ahead - behind) / (2 * point.step)], 10 * point.tolerance)
  }

  // MARK: Batching

  @Test("the batch rule is a loop over the members", arguments: SampleCase.all)
  func batching(_ sample: SampleCase) throws {
    let size = 3
    let members = try (0..<size).map { try sample.operands(seed: 1 + UInt64($0)) }
    let count = members[0].count
    let subsets: [[Int]] =
      count == 0 ? [[]] : (1..<(1 << count)).map { bits in (0..<count).filter { bits >> $0 & 1 == 1 } }
    for subset in subsets {
      let operands = (0..<count).map { i in subset.contains(i) ? stack(members.map { $0[i] }, axis: 0) : members[0][i] }
      let context = BatchContext(inputs: operands, isBatched: (0..<count).map(subset.contains), size: Dim(size))
      let batched = try checked { sample.definition.batch(context) }
      let single = try members.map { member in
        try sample.run((0..<count).map { subset.contains($0) ? member[$0] : members[0][$0] })
      }
      #expect(batched.count == single[0].count)
      for (i, output) in batched.enumerated() {
        expectClose(output, stack(single.map { $0[i] }, axis: 0), 1e-12, "output \(i), batched operands \(subset)")
      }
    }
  }

  // MARK: Engines

  @Test("eager, compiled and reference agree", arguments: SampleCase.all)
  func engines(_ sample: SampleCase) throws {
    let primitive = sample.sample.primitive
    for dtype in sample.sample.hasReals ? [DType.float32, .float64] : [.float64] {
      let operands = try sample.sample.tensors(reals: dtype)
      guard let types = try? sample.definition.infer(operands.map(\.type)) else { continue }
      let expected = try ReferenceEngine.shared.execute(primitive, operands.map(\.storage), outputs: types).map {
        Tensor($0)
      }
      let tolerance = types.contains { $0.dtype == .float32 } ? 1e-5 : 1e-11
      for engine in testedEngines {
        let (eager, whole) = try withEngine(engine) {
          let function = compiled { (operands: [Tensor]) in Dispatch.run(primitive, operands) }
          return (try sample.run(operands), try function(operands))
        }
        #expect(eager.count == expected.count && whole.count == expected.count)
        for (i, value) in expected.enumerated() {
          expectClose(eager[i], value, tolerance, "\(engine.name), eager, \(dtype)")
          expectClose(whole[i], value, tolerance, "\(engine.name), compiled, \(dtype)")
        }
      }
    }
  }
}

/// The reference engine, and the embedded one where it is linked in.
let testedEngines: [any Engine] =
  Engines.embedded === ReferenceEngine.shared ? [ReferenceEngine.shared] : [ReferenceEngine.shared, Engines.embedded]
