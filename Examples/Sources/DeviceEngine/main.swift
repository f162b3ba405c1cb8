// An engine of an outside package: memory of its own, answers when they are ready. Everything runs on it unchanged.
import Apus
import ApusConformance

let engine = AcceleratorEngine(devices: 2)
let device = engine.accelerator
try Engines.register(engine)

/// What crossed the border while `body` ran.
@MainActor func traffic<R>(_ what: String, _ body: () throws -> R) rethrows -> R {
  let before = device.traffic
  let result = try body()
  let after = device.traffic
  print("\(what): \(after.uploads - before.uploads) up, \(after.downloads - before.downloads) down")
  return result
}

/// Whether two tensors are equal but for rounding.
func matches(_ a: Tensor, _ b: Tensor, within tolerance: Float = 1e-5) -> Bool {
  for (x, y) in zip(a.toArray(), b.toArray()) {
    let allowed = tolerance * max(1, y.magnitude)
    if (x - y).magnitude > allowed { return false }
  }
  return true
}

// It computes every primitive, and graphs, as the reference does.
let report = ConformanceSuite(includesLarge: false).run(on: engine)
print("conformance: \(report.passed ? "passed" : "\(report)")")

// Weights go up once, inputs and outputs at each call.
manualSeed(1)
let model = Sequential {
  Linear(8, 16, activation: .tanh)
  Linear(16, 3)
}
let predict = compiled { (x: Tensor) in withoutGradients { model(x) } }
let batches = (1...4).map { (Tensor.arange(40, dtype: .float32) * $0 % 7 - 3).reshape([5, 8]) }
let expected = try batches.map { try predict($0) }
let results = try withEngine(engine) {
  try traffic("first call, 4 parameters") { _ = try predict(batches[0]) }
  return try traffic("4 calls") { try batches.map { try predict($0) } }
}
traffic("their results read") { for result in results { _ = result.toArray() } }
print("as on the CPU: \(zip(results, expected).allSatisfy { matches($0, $1) })")
print("weights are on \(model.parameters[0].value.device), and still readable: \(model.parameters[1].value.shape)")

// Answers are futures: a call returns while the device has not begun.
let x = try batches[0].to(Device(engine: "accelerator"))
let resume = device.pause()
let begun = try predict(x)
print("returned before it is computed: \(!begun.isReady)")
resume()
try await begun.ready()
print("waited for: \(matches(begun, expected[0]))")

// Eager operations on a device's tensors run there, and what they give stays there.
let product = traffic("eager, one operand on the host") { (x * 2).matmul(Tensor.ones([8, 2])) }
print("\(product.type) on \(product.device), on the host \(try product.to(.cpu).device)")
let second = try batches[0].to(engine.devices[1])
do {
  _ = try checked { x + second }
} catch {
  print(error)
}

// What fails on the device is thrown by whoever waits or reads; a step that fails leaves the state as it was.
let rows = try Tensor([0, 7]).to(engine)
let missing = x.gathered(rows)
do {
  try await missing.ready()
} catch let error as ApusError {
  print("later: \(error.message)")
}
let sum = Variable(Tensor.zeros([8]))
let add = compiled { (x: Tensor, row: Tensor) in sum.value = sum.value + x.gathered(row)[0] }
try add(x, try Tensor([2]).to(engine))
do {
  try add(x, rows[1...])
} catch let error as ApusError {
  print("a step: \(error.message)")
}
print("the state is what it was: \(matches(sum.value, batches[0][2])), on \(sum.value.device)")
do {
  _ = try Tensor.zeros([1 << 10, 1 << 10]).to(AcceleratorEngine(memory: 1 << 20))
} catch let error as ApusError {
  print("no room: \(error.message)")
}

// A run has a deadline, and can be cancelled; the program says on which device.
let program = try predict.program(batches[0]).compiled(options: CompileOptions(device: engine.devices[1]), on: engine)
print("second device: \(try program([batches[0]])[0].device)")
do {
  try program([batches[0]], context: RunContext(isCancelled: { true }))[0].wait()
} catch let error as ApusError {
  print(error.message)
}

// A trainer trains on it, and gets what the CPU gets. State stays on the device from step to step.
let digits = try Datasets.digits()
@MainActor func train() async throws -> (history: History, parameters: [Parameter]) {
  manualSeed(2)
  let model = Sequential {
    Flatten()
    Dense(16, activation: .tanh)
    Dense(10)
  }
  let trainer = Trainer(model, optimizer: Adam(), loss: .sparseCategoricalCrossEntropy, metrics: [.accuracy])
  let history = try await trainer.fit(
    digits.train.shuffled(seed: 0).batched(128), epochs: 2, validation: digits.test.batched(256))
  return (history, model.parameters)
}
let onHost = try await train()
let before = device.traffic
let onDevice = try await Engines.withDefault(engine) { try await train() }
let after = device.traffic
let isSame = zip(onHost.parameters, onDevice.parameters).allSatisfy { matches($1.value, $0.value, within: 1e-3) }
print("trained weights are on \(onDevice.parameters[0].value.device), and the CPU's: \(isSame)")
print("accuracy is the CPU's: \(onHost.history["val_accuracy"] == onDevice.history["val_accuracy"])")
let epochs = onDevice.history.epochs
let steps = epochs.reduce(0) { $0 + $1.steps }
let evaluations = try epochs.count * digits.test.batched(256).count
// Each epoch sets four running sums back to 0, for training and for validation.
let once = after.uploads - before.uploads - 2 * (steps + evaluations) - 8 * epochs.count
print("\(steps) steps brought their batches, two tensors each, and \(once) tensors of state, once")
print("new state in the old one's place at each step: \(after.donations - before.donations >= steps * 12)")
