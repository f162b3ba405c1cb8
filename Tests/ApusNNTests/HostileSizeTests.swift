import ApusCore
import ApusNN
import Testing

/// Layers of sizes that nobody could mean: an error or a layer that works, never the end of the process.
@Suite struct HostileSizeTests {
  static let numbers = [Int.max, Int.min, -1, 0, 1, 2, 1 << 40, 1 << 62]

  private static let images: [Tensor] = [
    Tensor.ones([1, 2, 4, 4]), Tensor.zeros([0, 2, Int.max, 3]), Tensor.zeros([Int.max, 0, 2, 2]), Tensor.ones([2, 3]),
  ]

  private static func attempt(_ body: () throws -> any Layer) {
    guard let layer = try? checked({ try body() }) else { return }
    for image in images {
      if let y = try? checked({ layer(image) }) { _ = y.description }
      let function = compiled { (x: Tensor) in layer(x) }
      if let y = try? function(image) { _ = y.description }
    }
    _ = try? checked { _ = (layer.parameterCount, try layer.summary(input: [1, 2, 4, 4]).description) }
  }

  @Test(arguments: numbers, numbers)
  func layers(_ a: Int, _ b: Int) {
    Self.attempt { Linear(a, b) }
    Self.attempt { Linear(b) }
    Self.attempt { Conv2D(a, b, kernelSize: 2) }
    Self.attempt { Conv2D(2, a, kernelSize: b) }
    Self.attempt { Conv2D(2, 2, kernelSize: [a, b], stride: [b, a], padding: [a, b], dilation: [b, 1]) }
    Self.attempt { Conv2D(2, 2, kernelSize: 1, stride: a, padding: b) }
    Self.attempt { Conv2D(2, 2, kernelSize: 2, padding: .same, dilation: a) }
    Self.attempt { Conv2D(2, 2, kernelSize: 1, groups: a) }
    Self.attempt { Conv2D(a, kernelSize: b, groups: b) }
    Self.attempt { MaxPool2D(a, stride: b) }
    Self.attempt { MaxPool2D(2, stride: a, padding: b, dilation: a) }
    Self.attempt { AveragePool2D([a, b], stride: [b, a], padding: a) }
    Self.attempt { BatchNorm2D(a) }
    Self.attempt { BatchNorm1D(a) }
    Self.attempt { LayerNorm(a) }
    Self.attempt { LayerNorm(Shape([a, b])) }
    Self.attempt { Flatten(from: a) }
    Self.attempt { Softmax(axis: a) }
    Self.attempt { Dropout(Double(a)) }
    Self.attempt {
      let table = Embedding(a, b)
      return Lambda { _ in table(Tensor([b])) }
    }
    _ = try? checked { (Schedule.constant.warmingUp(steps: a)(b), Schedule.step(every: a)(b)) }
    _ = try? checked { (Schedule.cosine(steps: a)(b), Schedule.linear(steps: a)(b)) }
  }

  @Test(
    "initialisers",
    arguments: [
      Initializer.zeros, .kaimingUniform(), .kaimingNormal(mode: .output), .glorotUniform, .glorotNormal, .xavierNormal,
      .lecunNormal, .orthogonal(), .truncatedNormal(),
    ].map(Named.init))
  func initializers(_ named: Named) {
    for shape in [[Int.max, Int.max], [Int.max, 0], [1 << 40, 3], [3, 1 << 62, 2, 2], [0, Int.max, 3, 3]] as [Shape] {
      if let weight = try? checked({ named.initializer(shape) }) { _ = weight.description }
    }
  }

  struct Named: Sendable, CustomTestStringConvertible {
    let initializer: Initializer
    var testDescription: String { initializer.name }
  }
}

/// Errors name the layer, whatever failed in it.
@Suite struct LayerPlaceTests {
  private func error(_ body: () throws -> Void) -> ApusError? {
    do {
      try checked(body)
      return nil
    } catch {
      return error as? ApusError
    }
  }

  private static func model(_ layer: any Layer) -> Sequential {
    Sequential {
      Sequential {
        Identity(); layer
      }; Identity()
    }
  }

  @Test("an operation's error carries the module's path and the user's line")
  func bfloat16() {
    let model = Self.model(Linear(4, 2, dtype: .float32))
    let x = Tensor.ones([3, 4]).cast(to: .bfloat16)
    let narrow = Self.model(
      Linear(
        4, 2,
        weightInitializer: Initializer("narrow") { shape, _, _ in
          Tensor.ones(shape).cast(to: .bfloat16)
        }, biasInitializer: .zeros))
    // One line, since the closure's frame may be gone: then the place of `checked` is known.
    let line = #line + 1
    let failure = #expect(throws: ApusError.self) { try checked { _ = narrow(x) } }
    #expect(failure?.module == "0.1 (Linear)" && failure?.operation != nil, "\(String(describing: failure))")
    #expect(failure?.location?.hasSuffix("HostileSizeTests.swift:\(line)") == true, "\(String(describing: failure))")
    #expect(failure?.description.hasPrefix("0.1 (Linear): ") == true)
    // A layer's own complaint begins with its name already.
    let misfit = error { _ = model(Tensor.ones([3, 5])) }
    #expect(misfit?.description.hasPrefix("0.1 (Linear) expects") == true, "\(String(describing: misfit))")
    // Outside of every module there is none.
    #expect(error { _ = Tensor.ones([2]) + Tensor.ones([3]) }?.module == nil)
  }

  struct Made: Sendable, CustomTestStringConvertible {
    let name: String
    let make: @Sendable () -> any Layer
    init(_ name: String, _ make: @escaping @Sendable () -> any Layer) {
      self.name = name
      self.make = make
    }
    var testDescription: String { name }

    static let all = [
      Made("Linear") { Linear(4, 2) }, Made("Conv2D") { Conv2D(2, 2, kernelSize: 2) },
      Made("BatchNorm2D") { BatchNorm2D(2) }, Made("LayerNorm") { LayerNorm(4) }, Made("MaxPool2D") { MaxPool2D(2) },
      Made("AveragePool2D") { AveragePool2D(2) }, Made("Softmax") { Softmax(axis: 7) }, Made("GELU") { GELU() },
      Made("SiLU") { SiLU() }, Made("Lambda") { Lambda { $0.matmul($0) } },
    ]
  }

  @Test("so it does of every layer, eager and traced", arguments: Made.all)
  func layers(_ made: Made) {
    let name = made.name
    let model = Self.model(made.make())
    // Complex numbers have no arithmetic.
    let x = Tensor.ones([1, 2, 4, 4]).cast(to: .complex64)
    let eager = error { _ = model(x) }
    #expect(eager?.module == "0.1 (\(name))", "\(String(describing: eager))")
    let line = #line + 1
    let function = compiled { (x: Tensor) in model(x) }
    let traced = error { _ = try function(x) }
    #expect(traced?.module == "0.1 (\(name))", "\(String(describing: traced))")
    // A closure of the user's own is found at its own line.
    if name == "Lambda" { return }
    #expect(traced?.location?.hasSuffix("HostileSizeTests.swift:\(line)") == true, "\(String(describing: traced))")
  }

  @Test("an index out of range is found when the graph runs, and names the layer and the line too")
  func indices() {
    let model = Self.model(Embedding(3, 2))
    let line = #line + 1
    let function = compiled { (x: Tensor) in model(x) }
    let failure = error { _ = try function(Tensor([0, 9])) }
    #expect(failure?.operation == "gather" && failure?.message.contains("index 9") == true)
    #expect(failure?.module == "0.1 (Embedding)", "\(String(describing: failure))")
    #expect(failure?.location?.hasSuffix("HostileSizeTests.swift:\(line)") == true, "\(String(describing: failure))")
  }

  @Test("an error is read when the model is gone; a graph keeps no model alive")
  func released() throws {
    weak var layer: Linear?
    var kept: ApusError?
    do {
      let linear = Linear(4, 2)
      layer = linear
      kept = error { _ = Self.model(linear)(Tensor.ones([3, 5])) }
    }
    #expect(try #require(kept).module == "0.1 (Linear)")
    kept = nil
    #expect(layer == nil)
    weak var table: Embedding?
    do {
      let owner = Owner()
      table = owner.table
      _ = owner.run(Tensor([0, 1]))
      #expect(table != nil)
    }
    #expect(table == nil)
  }

  /// A module that keeps a compiled function of its own layers.
  private final class Owner: Module {
    let table = Embedding(3, 2)
    private let function: Compiled<Tensor, Tensor>
    init() { function = compiled { [table = Weakly(table)] (x: Tensor) in table.object.map { $0(x) } ?? x } }
    func forward(_ x: Tensor) -> Tensor { run(x) }
    func run(_ x: Tensor) -> Tensor { (try? function(x)) ?? x }
  }
  private struct Weakly: @unchecked Sendable {
    weak var object: Embedding?
    init(_ object: Embedding) { self.object = object }
  }
}
