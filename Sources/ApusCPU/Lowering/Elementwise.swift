import ApusCore
import CKernels

extension PlanBuilder {
  /// One element-wise primitive by its own kernel.
  /// - Returns: false where there is no kernel for the dtype.
  func lowerElementwise(_ kernel: ElementwiseKernel, _ inputs: [Int], _ output: Int) throws -> Bool {
    guard let prepared = try PreparedKernel.lookUp(kernel, inputs.map { dtype($0) }, dtype(output)) else {
      return false
    }
    if try lowerUniform(prepared, inputs, output) { return true }
    if try lowerChannelwise(kernel, inputs, output) { return true }
    let operands = try vectorOperands(inputs, outputs: [output]) { isScalar in
      switch kernel {
      // Which operand must be spread out, if any: kernels take scalars in some places only.
      case .unary, .cast: isScalar[0] ? 0 : nil
      case .binary, .comparison: isScalar[0] && isScalar[1] ? 0 : nil
      case .select: isScalar[0] ? 0 : nil
      case .multiplyAdd: nil
      }
    }
    let modes = operands.iteration.isScalar
    guard let call = try PreparedKernel.lookUp(kernel, inputs.map { dtype($0) }, dtype(output), isScalar: modes) else {
      return false
    }
    let target = try define(output, layout: operands.layout, over: operands.reusable.compactMap(\.self))
    let slots = operands.slots + [target]
    let iteration = operands.iteration
    let inner = Int64(iteration.inner)
    let threads = threads
    emit(reads: operands.slots, writes: [target]) { addresses in
      if iteration.isFlat {
        switch slots.count {
        case 2: call(inner, addresses[slots[0]], addresses[slots[0]], addresses[slots[0]], addresses[slots[1]])
        case 3: call(inner, addresses[slots[0]], addresses[slots[1]], addresses[slots[1]], addresses[slots[2]])
        default: call(inner, addresses[slots[0]], addresses[slots[1]], addresses[slots[2]], addresses[slots[3]])
        }
        return
      }
      withUnsafeTemporaryAllocation(of: UnsafeMutableRawPointer.self, capacity: slots.count) { table in
        for (i, slot) in slots.enumerated() { table.initializeElement(at: i, to: addresses[slot]) }
        guard let first = UnsafePointer(table.baseAddress) else { return }
        let last = slots.count - 1
        iteration.forEach(first, count: slots.count, parallel: threads > 1) { p in
          call(inner, p[0], p[min(1, last - 1)], p[min(2, last - 1)], p[last])
        }
      }
    }
    return true
  }

  /// Operands that are one element each give one element, seen everywhere.
  private func lowerUniform(_ kernel: PreparedKernel, _ inputs: [Int], _ output: Int) throws -> Bool {
    let shape = shape(output)
    guard shape.elementCount > 1 else { return false }
    var slots: [Int] = []
    for input in inputs {
      guard hasPlainForm(input) else { return false }
      let form = try strided(input)
      guard form.isUniform(shape) else { return false }
      slots.append(slot(form))
    }
    let bytes = dtype(output).elementBytes ?? 1
    let buffer = makeTemporary(bytes: bytes)
    alias(output, Form(buffer: buffer, offset: 0, strides: Strides(repeating: 0), shape: shape))
    let target = slot(buffer)
    let reads = slots
    emit(reads: reads, writes: [target]) { p in
      kernel(1, p[reads[0]], p[reads[min(1, reads.count - 1)]], p[reads[min(2, reads.count - 1)]], p[target])
    }
    return true
  }

  struct VectorOperands {
    let slots: [Int]
    let iteration: Iteration
    /// The layout all share, results included; nil: contiguous.
    let layout: Layout?
    /// For each operand: its form, if it lies as a result will and no other operand reads the same memory otherwise.
    let reusable: [Form?]
  }

  /// Brings operands of one shape into forms a vector kernel can walk together with contiguous results.
  /// - Parameter misplaced: given which operands are one element in a call, one for which that won't do.
  func vectorOperands(
    _ inputs: [Int], outputs: [Int], misplaced: ([Bool]) -> Int? = { _ in nil }
  ) throws -> VectorOperands {
    let shape = shape(outputs[0])
    if let layout = sharedLayout(inputs, outputs) {
      var isScalar: [Bool] = []
      var slots: [Int] = []
      for input in inputs {
        if hasPlainForm(input), case let form = try strided(input), form.isUniform(shape) {
          slots.append(slot(form))
          isScalar.append(true)
        } else {
          slots.append(try arranged(input, layout))
          isScalar.append(false)
        }
      }
      let iteration = Iteration(flat: layout.bytes / 4, isScalar: isScalar)
      let reusable = inputs.map { input in self.forms(input).first { $0.layout == layout } }
      return VectorOperands(slots: slots, iteration: iteration, layout: layout, reusable: reusable)
    }
    let contiguousStrides = Storage.contiguousStrides(shape)
    let results = outputs.map { _ in contiguousStrides }
    let resultBytes = outputs.map { dtype($0).elementBytes ?? 1 }
    var forms = try inputs.map { try strided($0) }
    let sizes = inputs.map { dtype($0).elementBytes ?? 1 } + resultBytes
    func iterate() -> Iteration? { Iteration(shape, strides: forms.map(\.strides) + results, elementBytes: sizes) }
    while let found = iterate(), let k = misplaced(found.isScalar), !forms[k].isContiguous {
      forms[k] = try contiguous(inputs[k])
    }
    if iterate() == nil {
      // Spread out whatever is not whole or uniform.
      for (k, input) in inputs.enumerated() where !forms[k].isContiguous {
        if !forms[k].isUniform(shape) { forms[k] = try contiguous(input) }
      }
      if let k = misplaced(forms.map { !$0.isContiguous }) { forms[k] = try contiguous(inputs[k]) }
    }
    let iteration =
      iterate()
      ?? Iteration(flat: shape.elementCount, isScalar: forms.map { !$0.isContiguous } + results.map { _ in false })
    let reusable = forms.map { form in
      form.isContiguous
        && !forms.contains { $0.buffer == form.buffer && !($0.isContiguous && $0.offset == form.offset) }
        ? form : nil
    }
    return VectorOperands(slots: forms.map { slot($0) }, iteration: iteration, layout: nil, reusable: reusable)
  }

  /// The layout to compute in: that of an operand in one of oneDNN's, where all are float32 and none is padded. A
  /// vector seen along an axis would have to be written out to be brought there: then the others become plain instead.
  private func sharedLayout(_ inputs: [Int], _ outputs: [Int]) -> Layout? {
    guard (inputs + outputs).allSatisfy({ dtype($0) == .float32 }) else { return nil }
    for input in inputs where hasPlainForm(input) {
      let forms = forms(input).filter { $0.layout == nil }
      guard forms.contains(where: { $0.isContiguous || $0.isUniform(shape(input)) }) else { return nil }
    }
    for input in inputs where !hasPlainForm(input) {
      if let layout = blockedLayout(input), !layout.isPadded { return layout }
    }
    return nil
  }
}
