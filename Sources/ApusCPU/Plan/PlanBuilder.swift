import ApusCore
import CKernels
import COneDNN

/// Builds a ``Plan``: knows where every value lies, and what the steps so far read and write.
///
/// Lowering code asks it for a value in the form a kernel wants (``plain(_:)``, ``strided(_:)``, ``arranged(_:_:)``:
/// conversions become steps, once each), for room for results (``define(_:layout:over:)``), and gives it the kernel
/// calls (``emit(reads:writes:_:)``). Views cost nothing: they are further forms over the same buffer.
final class PlanBuilder {
  /// The size of the team the steps run on; 1: inline on the caller's thread.
  let threads: Int
  private var values: [Value]
  private var buffers: [Buffer] = []
  private var slotIndices: [SlotKey: Int] = [:]
  private var slots: [SlotKey] = []
  private var steps: [Plan.Step] = []
  private var names: [String] = []
  private var nodes: [TracedNode?] = []
  /// What the next steps are for; shown in profiles.
  var name = ""
  /// The graph's node that the next steps are for; nil: a primitive by itself.
  var node: TracedNode?
  private let donated: Set<Int>
  private var opaqueInputs: Set<Int> = []
  private var callsLibraries = false
  /// The first step that writes a donated input.
  private var firstOverwrite: Int?
  /// Whether donated inputs may be overwritten by now: nothing that can fail remains.
  var mayOverwriteInputs = false
  /// Whether results may take over the memory of operands that are read for the last time.
  var mayReuse = true

  /// Shared with the plans of other sizes.
  private let constants: PackedConstants

  init(types: [TensorType], threads: Int, donated: Set<Int>, constants: PackedConstants = PackedConstants()) {
    self.constants = constants
    values = types.map { Value(type: $0) }
    self.threads = threads
    self.donated = donated
  }

  // MARK: Asking

  func type(_ value: Int) -> TensorType { values[value].type }
  func shape(_ value: Int) -> Shape { values[value].type.shape }
  func dtype(_ value: Int) -> DType { values[value].type.dtype }
  func isEmpty(_ value: Int) -> Bool { values[value].type.shape.elementCount == 0 }
  /// The layout of a value that lies in one of oneDNN's.
  func blockedLayout(_ value: Int) -> Layout? { values[value].forms.lazy.compactMap(\.layout).first }
  func forms(_ value: Int) -> [Form] { values[value].forms }
  func hasPlainForm(_ value: Int) -> Bool { values[value].forms.contains { $0.layout == nil } }

  /// The element of a value that is one known number repeated; its bits in the low bytes.
  func constantElement(_ value: Int) -> UInt64? {
    for form in values[value].forms where form.isUniform(shape(value)) {
      guard case .constant(let constant) = buffers[form.buffer].home, let bytes = dtype(value).elementBytes, bytes <= 8
      else { continue }
      var bits: UInt64 = 0
      withUnsafeMutableBytes(of: &bits) {
        $0.copyMemory(from: UnsafeRawBufferPointer(start: constant.address + form.offset, count: bytes))
      }
      return bits
    }
    return nil
  }

  // MARK: Values from outside

  /// An input, lying as `storage` does now (eager), or contiguous (nil).
  func addInput(_ index: Int, _ value: Int, like storage: Storage? = nil) {
    let bytes = (try? type(value).byteCount()) ?? 0
    let buffer = makeBuffer(.input(index), bytes: bytes)
    if let layout = (storage?.opaque as? BlockedBuffer)?.layout {
      opaqueInputs.insert(index)
      addForm(Form(buffer: buffer, layout: layout), to: value)
    } else if let storage, storage.opaque == nil {
      addForm(Form(buffer: buffer, offset: 0, strides: storage.strides, shape: storage.shape), to: value)
    } else {
      addForm(Form(buffer: buffer, contiguous: shape(value)), to: value)
    }
  }

  func addConstant(_ storage: Storage, _ value: Int) throws {
    let buffer = makeBuffer(.constant(try Constant(storage)), bytes: 0)
    let strides = storage.opaque == nil ? storage.strides : Storage.contiguousStrides(storage.shape)
    addForm(Form(buffer: buffer, offset: 0, strides: strides, shape: storage.shape), to: value)
  }

  /// Memory filled while the plan is made.
  func makeConstant(bytes: Int, _ fill: (UnsafeMutableRawPointer) throws -> Void) throws -> Int {
    let constant = try Constant(bytes: bytes)
    try fill(constant.address)
    return makeBuffer(.constant(constant), bytes: bytes)
  }

  /// - Parameter count: how many units read the value; being an output counts as one more.
  func setReaders(_ value: Int, _ count: Int, isOutput: Bool) {
    values[value].remaining = count + (isOutput ? 1 : 0)
    values[value].isOutput = isOutput
  }
  func consume(_ value: Int) { values[value].remaining -= 1 }

  // MARK: Forms

  /// Any plain form.
  func strided(_ value: Int) throws -> Form {
    if let form = values[value].forms.first(where: { $0.layout == nil && $0.isContiguous }) { return form }
    if let form = values[value].forms.first(where: { $0.layout == nil }) { return form }
    return try contiguous(value)
  }

  /// A row-major form without gaps, converted to if need be.
  func contiguous(_ value: Int) throws -> Form {
    if let form = values[value].forms.first(where: { $0.layout == nil && $0.isContiguous }) { return form }
    guard let form = values[value].forms.first else { throw ApusError(.argument, "a value is read before it is made") }
    let type = type(value)
    let bytes = try type.byteCount()
    if let layout = form.layout {
      let plain = try Layout(Array(type.shape))
      return try convert(value, form, bytes: bytes, Form(buffer: 0, contiguous: type.shape), reorder: (layout, plain))
    }
    guard let elementBytes = type.dtype.elementBytes else {
      throw ApusError(.unsupported, "a strided view of \(type.dtype) can't be copied")
    }
    let geometry = Geometry(type.shape, form.strides)
    return try convert(value, form, bytes: bytes, Form(buffer: 0, contiguous: type.shape)) { source, target in
      geometry.gather(elementBytes, from: source, to: target)
    }
  }

  /// The slot of the value's row-major elements.
  func plain(_ value: Int) throws -> Int { slot(try contiguous(value)) }

  /// The slot of the value in a layout of oneDNN's. `plainLayout` is how the row-major form looks to oneDNN where that
  /// is not simply the value's shape (grouped weights).
  func arranged(_ value: Int, _ layout: Layout, plainLayout: Layout? = nil) throws -> Int {
    if layout.isPlain { return try plain(value) }
    if let form = values[value].forms.first(where: { $0.layout == layout }) { return slot(form) }
    let form: Form
    let source: Layout
    // Not one of another rank, as a grouped convolution's weights are.
    if plainLayout == nil, let blocked = values[value].forms.first(where: { $0.layout?.rank == layout.rank }),
      let own = blocked.layout
    {
      form = blocked
      source = own
    } else if plainLayout == nil, let strided = values[value].forms.first(where: { $0.layout == nil }),
      Form.hasDistinctElements(shape(value), strided.strides)
    {
      form = strided
      let shape = shape(value)
      source = try Layout(Array(shape), strides: (0..<shape.rank).map { strided.strides[$0] })
    } else {
      form = try contiguous(value)
      source = try plainLayout ?? Layout(Array(shape(value)))
    }
    return slot(
      try convert(value, form, bytes: layout.bytes, Form(buffer: 0, layout: layout), reorder: (source, layout)))
  }

  private func convert(
    _ value: Int, _ form: Form, bytes: Int, _ wanted: Form, reorder: (from: Layout, to: Layout)
  ) throws -> Form {
    let operation = try makeOperation { try DNNOperation.reorder(from: reorder.from, to: reorder.to) }
    let purpose = name
    name = "reorder for \(purpose)"
    defer { name = purpose }
    var result = wanted
    if case .constant(let constant) = buffers[form.buffer].home {
      let source = constant.address + form.offset
      let key = PackedConstants.Key(source, form, shape(value), from: reorder.from, to: reorder.to)
      let packed = try pack(key, constant) {
        let scratch = try Constant(bytes: operation.scratchBytes)
        let made = try Constant(bytes: bytes)
        try runNow { try operation.run([source, made.address], scratch: scratch.address) }
        return made
      }
      result.buffer = makeBuffer(.constant(packed), bytes: bytes)
      addForm(result, to: value)
      return result
    }
    result.buffer = makeBuffer(.temporary, bytes: bytes)
    addForm(result, to: value)
    try emit(operation, [slot(form), slot(result)], writes: [1])
    return result
  }

  /// Shared with the plans of other sizes where the source is the graph's and every element of it is taken once. What a
  /// plan made for itself goes with the plan, and may lie where another's lay; what is repeated differs with the sizes.
  private func pack(
    _ key: PackedConstants.Key, _ source: Constant, _ make: () throws -> Constant
  ) throws -> Constant {
    guard source.belongsToGraph, zip(key.strides, key.shape).allSatisfy({ $0 != 0 || $1 <= 1 }) else {
      return try make()
    }
    return try constants.constant(key, make)
  }

  /// Runs a kernel while the plan is made, as the plan's steps will run.
  private func runNow(_ body: () throws -> Void) throws {
    if threads > 1 { return try ComputeThread.run(body) }
    let before = apus_dnn_use_threads(1)
    defer { _ = apus_dnn_use_threads(before) }
    try body()
  }

  /// Adds a form by a conversion: a step, or at once where the source is a constant.
  private func convert(
    _ value: Int, _ form: Form, bytes: Int, _ wanted: Form,
    _ body: @escaping @Sendable (UnsafeMutableRawPointer, UnsafeMutableRawPointer) throws -> Void
  ) throws -> Form {
    var result = wanted
    if case .constant(let constant) = buffers[form.buffer].home {
      let source = constant.address + form.offset
      let key = PackedConstants.Key(source, form, shape(value), from: nil, to: nil)
      let packed = try pack(key, constant) {
        let made = try Constant(bytes: bytes)
        try body(source, made.address)
        return made
      }
      result.buffer = makeBuffer(.constant(packed), bytes: bytes)
      addForm(result, to: value)
      return result
    }
    result.buffer = makeBuffer(.temporary, bytes: bytes)
    addForm(result, to: value)
    let source = slot(form)
    let target = slot(result)
    emit(reads: [source], writes: [target]) { try body($0[source], $0[target]) }
    return result
  }

  // MARK: Results

  /// Room for a result, contiguous or in a layout: an operand's own where its last reader is this unit (`candidates`
  /// must lie exactly like the result), else fresh.
  func define(_ value: Int, layout: Layout? = nil, bytes: Int? = nil, over candidates: [Form] = []) throws -> Int {
    let size = try bytes ?? layout?.bytes ?? type(value).byteCount()
    var form = Form(buffer: 0, contiguous: shape(value))
    if let layout { form = Form(buffer: 0, layout: layout) }
    // A donated input's memory is for the output that replaces it; anything else takes over intermediates only.
    let own = candidates.first { isInput($0.buffer) && values[value].isOutput && canTakeOver($0.buffer, bytes: size) }
    let other = candidates.first { !isInput($0.buffer) && canTakeOver($0.buffer, bytes: size) }
    form.buffer = own?.buffer ?? other?.buffer ?? makeBuffer(.temporary, bytes: size)
    if case .input = buffers[form.buffer].home { buffers[form.buffer].isOverwritten = true }
    addForm(form, to: value)
    return slot(form)
  }

  /// The result is a view of memory that is there already.
  func alias(_ value: Int, _ form: Form) { addForm(form, to: value) }

  private func isInput(_ buffer: Int) -> Bool { if case .input = buffers[buffer].home { true } else { false } }

  /// A buffer that is no value's yet.
  func makeTemporary(bytes: Int) -> Int { makeBuffer(.temporary, bytes: bytes) }

  private func canTakeOver(_ index: Int, bytes: Int) -> Bool {
    let buffer = buffers[index]
    guard mayReuse, buffer.bytes == bytes, buffer.values.allSatisfy({ values[$0].remaining == 0 }) else { return false }
    switch buffer.home {
    case .temporary: return true
    case .input(let i): return mayOverwriteInputs && donated.contains(i) && !opaqueInputs.contains(i)
    case .constant, .output: return false
    }
  }

  private func addForm(_ form: Form, to value: Int) {
    values[value].forms.append(form)
    buffers[form.buffer].values.append(value)
  }

  private func makeBuffer(_ home: Home, bytes: Int) -> Int {
    buffers.append(Buffer(home: home, bytes: bytes))
    return buffers.count - 1
  }

  // MARK: Steps

  func slot(_ form: Form) -> Int { slot(form.buffer, form.offset) }

  func slot(_ buffer: Int, _ offset: Int = 0) -> Int {
    let key = SlotKey(buffer: buffer, offset: offset)
    if let index = slotIndices[key] { return index }
    slots.append(key)
    slotIndices[key] = slots.count - 1
    return slots.count - 1
  }

  /// Memory for one step's own use.
  func scratch(_ bytes: Int) -> Int { slot(makeBuffer(.temporary, bytes: bytes)) }

  func emit(reads: [Int], writes: [Int], libraries: Bool = false, _ step: @escaping Plan.Step) {
    for slot in reads + writes {
      let buffer = slots[slot].buffer
      buffers[buffer].first = min(buffers[buffer].first, steps.count)
      buffers[buffer].last = max(buffers[buffer].last, steps.count)
    }
    if libraries { callsLibraries = true }
    if firstOverwrite == nil, writes.contains(where: { isInput(slots[$0].buffer) }) { firstOverwrite = steps.count }
    steps.append(step)
    names.append(name)
    nodes.append(node)
  }

  /// Compiles one of oneDNN's operations for this plan's threads.
  func makeOperation(_ make: () throws -> DNNOperation) throws -> DNNOperation {
    let before = apus_dnn_use_threads(Int32(threads))
    defer { _ = apus_dnn_use_threads(before) }
    return try make()
  }

  /// Emits the run of an operation; `writes` are positions among its operands.
  func emit(_ operation: DNNOperation, _ operands: [Int], writes: Set<Int>) throws {
    let scratch = operation.scratchBytes > 0 ? scratch(operation.scratchBytes) : nil
    let written = operands.enumerated().filter { writes.contains($0.offset) }.map(\.element)
    let read = operands.enumerated().filter { !writes.contains($0.offset) }.map(\.element)
    emit(reads: read, writes: written + (scratch.map { [$0] } ?? []), libraries: true) { addresses in
      try withUnsafeTemporaryAllocation(of: UnsafeMutableRawPointer?.self, capacity: operands.count) { pointers in
        for (i, operand) in operands.enumerated() { pointers.initializeElement(at: i, to: addresses[operand]) }
        guard let first = pointers.baseAddress else { return }
        try operation.run(UnsafePointer(first), count: operands.count, scratch: scratch.map { addresses[$0] })
      }
    }
  }

  // MARK: Finishing

  /// - Parameter keepsLayouts: whether outputs may stay in oneDNN's layouts.
  func finish(outputs: [Int], keepsLayouts: Bool) throws -> Plan {
    var results: [Plan.Output] = []
    var claimed: Set<Int> = []
    for (k, value) in outputs.enumerated() { results.append(try place(k, value, keepsLayouts, &claimed)) }
    let intervals = buffers.indices.compactMap { i -> ArenaLayout.Interval? in
      guard case .temporary = buffers[i].home, buffers[i].last >= 0 else { return nil }
      return .init(buffer: i, bytes: buffers[i].bytes, first: buffers[i].first, last: buffers[i].last)
    }
    let arena = try ArenaLayout(intervals)
    let placed = slots.map { key -> Plan.Slot in
      switch buffers[key.buffer].home {
      case .input(let i): .init(source: .input(i), offset: key.offset)
      case .output(let k): .init(source: .output(k), offset: key.offset)
      case .constant(let constant): .init(source: .constant(constant), offset: key.offset)
      case .temporary: .init(source: .arena, offset: (arena.offsets[key.buffer] ?? 0) + key.offset)
      }
    }
    let overwritten = buffers.compactMap { buffer -> Int? in
      if case .input(let i) = buffer.home, buffer.isOverwritten { i } else { nil }
    }
    return Plan(
      slots: placed, steps: steps, names: names, nodes: nodes, outputs: results, arenaBytes: arena.bytes,
      overwritten: overwritten, firstOverwrite: firstOverwrite,
      opaqueInputs: opaqueInputs, usesTeam: threads > 1, callsLibraries: callsLibraries)
  }

  private func place(_ k: Int, _ value: Int, _ keepsLayouts: Bool, _ claimed: inout Set<Int>) throws -> Plan.Output {
    let type = type(value)
    let bytes = try type.byteCount()
    if !keepsLayouts, !hasPlainForm(value) { _ = try contiguous(value) }
    for form in values[value].forms where form.layout == nil && form.isContiguous && form.offset == 0 {
      switch buffers[form.buffer].home {
      case .temporary where buffers[form.buffer].bytes == bytes:
        buffers[form.buffer].home = .output(k)
        return .fresh(type, nil)
      case .input(let i) where claimed.insert(form.buffer).inserted:
        if buffers[form.buffer].isOverwritten, values[inputValue(form.buffer)].type == type { return .donated(i) }
        if !buffers[form.buffer].isOverwritten, inputValue(form.buffer) == value { return .passed(i) }
      default: break
      }
    }
    if keepsLayouts, !hasPlainForm(value), let form = values[value].forms.first, let layout = form.layout,
      case .temporary = buffers[form.buffer].home
    {
      buffers[form.buffer].home = .output(k)
      return .fresh(type, layout)
    }
    // A view, a constant, or memory another output has: copy.
    let source = try strided(value)
    let target = slot(makeBuffer(.output(k), bytes: bytes))
    let from = slot(source)
    if source.isContiguous {
      emit(reads: [from], writes: [target]) { $0[target].copyMemory(from: $0[from], byteCount: bytes) }
    } else {
      guard let elementBytes = type.dtype.elementBytes else {
        throw ApusError(.unsupported, "a strided view of \(type.dtype) can't be copied")
      }
      let geometry = Geometry(type.shape, source.strides)
      emit(reads: [from], writes: [target]) {
        geometry.gather(elementBytes, from: $0[from], to: $0[target])
      }
    }
    return .fresh(type, nil)
  }

  /// The value an input's buffer was made for.
  private func inputValue(_ buffer: Int) -> Int { buffers[buffer].values[0] }
}
