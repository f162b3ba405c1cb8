import ApusCore
import CKernels

/// A program of the fused kernel, with the arrays it points to.
final class FusedProgram: @unchecked Sendable {
  private let instructions: UnsafeMutablePointer<ck_instruction>
  private let inputTypes: UnsafeMutablePointer<ck_dtype>
  private let inputFlags: UnsafeMutablePointer<UInt8>
  private let outputTypes: UnsafeMutablePointer<ck_dtype>
  private let immediates: UnsafeMutablePointer<UInt64>
  private let program: ck_fused_program

  init(_ code: FusedCode, isScalar: [Bool]) {
    func copy<T>(_ array: [T]) -> UnsafeMutablePointer<T> {
      let memory = UnsafeMutablePointer<T>.allocate(capacity: max(array.count, 1))
      memory.initialize(from: array, count: array.count)
      return memory
    }
    instructions = copy(code.instructions)
    inputTypes = copy(code.inputTypes)
    inputFlags = copy(code.inputTypes.indices.map { isScalar[$0] ? 1 : 0 })
    outputTypes = copy(code.outputTypes)
    immediates = copy(code.immediates)
    program = ck_fused_program(
      instructions: instructions, instruction_count: Int32(code.instructions.count),
      register_count: Int32(code.registerCount), input_count: Int32(code.inputTypes.count),
      output_count: Int32(code.outputTypes.count), immediate_count: Int32(code.immediates.count),
      input_dtypes: inputTypes, input_is_scalar: inputFlags, output_dtypes: outputTypes, immediates: immediates)
  }

  deinit {
    instructions.deallocate()
    inputTypes.deallocate()
    inputFlags.deallocate()
    outputTypes.deallocate()
    immediates.deallocate()
  }

  var isValid: Bool { withUnsafePointer(to: program) { ck_fused_check($0) == 0 } }

  /// `operands`: the inputs, then the outputs.
  func run(_ operands: UnsafePointer<UnsafeMutableRawPointer>, count: Int) {
    let inputs = UnsafeRawPointer(operands).assumingMemoryBound(to: UnsafeRawPointer.self)
    // Checked when the plan was made.
    withUnsafePointer(to: program) {
      _ = ck_fused_run($0, inputs, operands + Int($0.pointee.input_count), Int64(count))
    }
  }
}

/// Element-wise nodes as instructions over registers.
struct FusedCode {
  private(set) var instructions: [ck_instruction] = []
  /// The values read, in the order of the inputs.
  private(set) var inputs: [Int] = []
  private(set) var inputTypes: [ck_dtype] = []
  private(set) var outputTypes: [ck_dtype] = []
  private(set) var immediates: [UInt64] = []
  private(set) var registerCount = 0
  /// For each input, the last instruction that reads it; for each output, the one that writes it.
  private(set) var lastRead: [Int] = []
  private(set) var written: [Int] = []

  struct Node {
    var kernel: ElementwiseKernel
    var inputs: [Int]
    var output: Int
  }

  private let builder: PlanBuilder
  private var places: [Int: ck_operand] = [:]
  private var free: [Int32] = []

  /// nil: a dtype or operation the kernel doesn't know.
  init?(_ nodes: [Node], outputs: [Int], _ builder: PlanBuilder) {
    self.builder = builder
    guard let types = try? outputs.map({ try Self.code(builder.dtype($0)) }) else { return nil }
    let nodes = Self.joiningProducts(nodes, outputs, builder)
    outputTypes = types
    written = outputs.map { _ in -1 }
    var lastUse: [Int: Int] = [:]
    for (i, node) in nodes.enumerated() { for input in node.inputs { lastUse[input] = i } }
    for (i, node) in nodes.enumerated() {
      guard append(node, i, lastUse, outputs) else { return nil }
    }
  }

  /// Products that only one sum reads become part of it.
  private static func joiningProducts(_ nodes: [Node], _ outputs: [Int], _ builder: PlanBuilder) -> [Node] {
    var readers: [Int: Int] = [:]
    for node in nodes { for input in node.inputs { readers[input, default: 0] += 1 } }
    var products: [Int: Node] = [:]
    for node in nodes {
      if case .binary(CK_MULTIPLY) = node.kernel, readers[node.output] == 1, !outputs.contains(node.output),
        builder.dtype(node.output).isFloatingPoint
      {
        products[node.output] = node
      }
    }
    var joined: Set<Int> = []
    let result = nodes.map { node -> Node in
      let op: ck_op
      let places: [Int]
      switch node.kernel {
      case .binary(CK_ADD): (op, places) = (CK_MULTIPLY_ADD, [0, 1])
      case .binary(CK_SUBTRACT): (op, places) = (CK_NEGATIVE_MULTIPLY_ADD, [1])
      default: return node
      }
      guard let place = places.first(where: { products[node.inputs[$0]] != nil }),
        let product = products[node.inputs[place]]
      else { return node }
      joined.insert(product.output)
      return Node(kernel: .multiplyAdd(op), inputs: product.inputs + [node.inputs[1 - place]], output: node.output)
    }
    return result.filter { !joined.contains($0.output) }
  }

  private struct Unknown: Error {}
  private static func code(_ dtype: DType) throws -> ck_dtype {
    guard let code = dtype.kernelCode, dtype.hasArithmetic else { throw Unknown() }
    return code
  }

  private mutating func append(_ node: Node, _ position: Int, _ lastUse: [Int: Int], _ outputs: [Int]) -> Bool {
    var instruction = ck_instruction()
    guard let operandType = try? Self.code(builder.dtype(node.inputs[node.inputs.count - 1])),
      let resultType = try? Self.code(builder.dtype(node.output))
    else { return false }
    instruction.dtype = operandType
    switch node.kernel {
    case .unary(let op), .binary(let op), .comparison(let op), .multiplyAdd(let op): instruction.op = op
    case .select: instruction.op = CK_SELECT
    case .cast:
      instruction.op = CK_CAST
      instruction.from_dtype = operandType
      instruction.dtype = resultType
    }
    var sources: [ck_operand] = []
    for input in node.inputs {
      guard let source = source(input) else { return false }
      sources.append(source)
    }
    instruction.sources.0 = sources[0]
    if sources.count > 1 { instruction.sources.1 = sources[1] }
    if sources.count > 2 { instruction.sources.2 = sources[2] }
    for source in sources where source.place == CK_PLACE_INPUT { lastRead[Int(source.index)] = instructions.count }
    // Registers read for the last time may take the result: kernels allow the same address.
    for (input, source) in Set(node.inputs).map({ ($0, places[$0]) }) where lastUse[input] == position {
      if let source, source.place == CK_PLACE_REGISTER { free.append(source.index) }
    }
    let output = outputs.firstIndex(of: node.output)
    if let output, lastUse[node.output] == nil {
      instruction.destination = ck_operand(place: CK_PLACE_OUTPUT, index: Int32(output))
      written[output] = instructions.count
      instructions.append(instruction)
      return true
    }
    let register: Int32
    if let reused = free.popLast() {
      register = reused
    } else {
      register = Int32(registerCount)
      registerCount += 1
    }
    let place = ck_operand(place: CK_PLACE_REGISTER, index: register)
    places[node.output] = place
    instruction.destination = place
    instructions.append(instruction)
    if let output {
      var copy = ck_instruction()
      copy.op = CK_COPY
      copy.dtype = resultType
      copy.sources.0 = place
      copy.destination = ck_operand(place: CK_PLACE_OUTPUT, index: Int32(output))
      written[output] = instructions.count
      instructions.append(copy)
    }
    return instructions.count <= 250
  }

  private mutating func source(_ value: Int) -> ck_operand? {
    if let place = places[value] { return place }
    let place: ck_operand
    if let bits = builder.constantElement(value) {
      place = ck_operand(place: CK_PLACE_IMMEDIATE, index: Int32(immediates.count))
      immediates.append(bits)
    } else {
      guard let type = try? Self.code(builder.dtype(value)) else { return nil }
      place = ck_operand(place: CK_PLACE_INPUT, index: Int32(inputs.count))
      inputs.append(value)
      inputTypes.append(type)
      lastRead.append(-1)
    }
    places[value] = place
    return place
  }
}

extension PlanBuilder {
  /// A group of element-wise nodes over one shape in one pass.
  /// - Returns: false where the kernel can't.
  func lowerFused(_ nodes: [FusedCode.Node], outputs: [Int]) throws -> Bool {
    guard let code = FusedCode(nodes, outputs: outputs, self) else { return false }
    let operands = try vectorOperands(code.inputs, outputs: outputs)
    let program = FusedProgram(code, isScalar: Array(operands.iteration.isScalar.prefix(code.inputs.count)))
    guard program.isValid else { return false }
    var taken: Set<Int> = []
    var targets: [Int] = []
    for (k, output) in outputs.enumerated() {
      // Over an operand only if no later instruction reads that.
      let candidates = zip(operands.reusable, code.lastRead).compactMap { form, lastRead in
        form.flatMap { lastRead <= code.written[k] && !taken.contains($0.buffer) ? $0 : nil }
      }
      let target = try define(output, layout: operands.layout, over: candidates)
      if let form = forms(output).last { taken.insert(form.buffer) }
      targets.append(target)
    }
    let slots = operands.slots + targets
    let iteration = operands.iteration
    let threads = threads
    emit(reads: operands.slots, writes: targets) { addresses in
      withUnsafeTemporaryAllocation(of: UnsafeMutableRawPointer.self, capacity: slots.count) { table in
        for (i, slot) in slots.enumerated() { table.initializeElement(at: i, to: addresses[slot]) }
        guard let first = UnsafePointer(table.baseAddress) else { return }
        iteration.forEach(first, count: slots.count, parallel: threads > 1) { program.run($0, count: iteration.inner) }
      }
    }
    return true
  }
}
