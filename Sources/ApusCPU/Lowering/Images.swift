import ApusCore
import CKernels
import COneDNN

/// Pooling and batch normalisation: kernels of ours that take channels in blocks, so that images stay as convolutions
/// left them.
extension PlanBuilder {
  /// The block of channels in which some operand's image lies already; 1: plain.
  private func channelBlock(_ values: [Int]) -> Int {
    for value in values where shape(value).rank == 4 && dtype(value) == .float32 && !hasPlainForm(value) {
      if let layout = blockedLayout(value), layout.channelBlock > 1 { return layout.channelBlock }
    }
    return 1
  }

  private func imageLayout(_ shape: Shape, block: Int) throws -> Layout? {
    guard block > 1 else { return nil }
    var made: apus_dnn_layout_t?
    let status = apus_dnn_layout_channels(shape.map { Int64($0) }, Int64(block), &made)
    return Layout(owning: try OneDNN.unwrap(made, status))
  }

  private func image(_ value: Int, block: Int) throws -> Int {
    guard let layout = try imageLayout(shape(value), block: block) else { return try plain(value) }
    return try arranged(value, layout)
  }

  private func defineImage(_ value: Int, block: Int) throws -> Int {
    try define(value, layout: imageLayout(shape(value), block: block))
  }

  private func window(
    _ image: Shape, _ result: Shape, _ kernel: Pair, _ strides: Pair, _ padding: Padding2D, _ dilation: Pair,
    block: Int,
    countsPadding: Bool = false
  ) -> ck_pool2d {
    ck_pool2d(
      planes: Int64(image[0] * ((image[1] + block - 1) / block)), block: Int64(block), height: Int64(image[2]),
      width: Int64(image[3]), out_height: Int64(result[2]), out_width: Int64(result[3]),
      kernel_height: Int64(kernel.height), kernel_width: Int64(kernel.width), stride_height: Int64(strides.height),
      stride_width: Int64(strides.width), padding_top: Int64(padding.top), padding_left: Int64(padding.left),
      padding_bottom: Int64(padding.bottom), padding_right: Int64(padding.right),
      dilation_height: Int64(dilation.height), dilation_width: Int64(dilation.width), count_include_pad: countsPadding)
  }

  private func floatCode(_ values: [Int]) -> ck_dtype? {
    guard let dtype = values.first.map({ dtype($0) }), dtype == .float32 || dtype == .float64,
      values.allSatisfy({ self.dtype($0) == dtype })
    else { return nil }
    return dtype.kernelCode
  }

  private typealias PoolCall =
    @Sendable (UnsafePointer<ck_pool2d>, UnsafeMutableRawPointer, UnsafeMutableRawPointer, UnsafeMutableRawPointer) ->
    Int32

  private func emitPool(_ window: ck_pool2d, _ a: Int, _ b: Int, _ target: Int, _ call: @escaping PoolCall) {
    emit(reads: [a, b], writes: [target]) { p in
      try Kernel.check(
        withUnsafePointer(to: window) { call($0, p[a], p[b], p[target]) })
    }
  }

  func lowerMaxPool(_ d: Primitive.MaxPool, _ input: Int, _ output: Int) throws -> Bool {
    guard let code = floatCode([input]) else { return false }
    let block = channelBlock([input])
    let window = window(shape(input), shape(output), d.kernel, d.strides, d.padding, d.dilation, block: block)
    let source = try image(input, block: block)
    emitPool(window, source, source, try defineImage(output, block: block)) { ck_max_pool(code, $0, $1, $3) }
    return true
  }

  /// Operands: the image, the result's gradient.
  func lowerMaxPoolGradient(_ d: Primitive.MaxPoolGradient, _ inputs: [Int], _ output: Int) throws -> Bool {
    guard let code = floatCode(inputs) else { return false }
    let block = channelBlock(inputs)
    let window = window(shape(inputs[0]), shape(inputs[1]), d.kernel, d.strides, d.padding, d.dilation, block: block)
    let (x, g) = (try image(inputs[0], block: block), try image(inputs[1], block: block))
    emitPool(window, x, g, try defineImage(output, block: block)) { ck_max_pool_backward(code, $0, $1, $2, $3) }
    return true
  }

  /// Operands: the image that decides, the image that is picked from.
  func lowerMaxPoolGather(_ d: Primitive.MaxPoolGather, _ inputs: [Int], _ output: Int) throws -> Bool {
    guard let code = floatCode(inputs) else { return false }
    let block = channelBlock(inputs)
    let window = window(shape(inputs[0]), shape(output), d.kernel, d.strides, d.padding, d.dilation, block: block)
    let (x, v) = (try image(inputs[0], block: block), try image(inputs[1], block: block))
    emitPool(window, x, v, try defineImage(output, block: block)) { ck_max_pool_gather(code, $0, $1, $2, $3) }
    return true
  }

  func lowerAveragePool(_ d: Primitive.AveragePool, _ input: Int, _ output: Int) throws -> Bool {
    guard let code = floatCode([input]) else { return false }
    let block = channelBlock([input])
    let window = window(
      shape(input), shape(output), d.kernel, d.strides, d.padding, 1, block: block,
      countsPadding: d.countIncludePadding)
    let source = try image(input, block: block)
    emitPool(window, source, source, try defineImage(output, block: block)) { ck_average_pool(code, $0, $1, $3) }
    return true
  }

  func lowerAveragePoolGradient(_ d: Primitive.AveragePoolGradient, _ input: Int, _ output: Int) throws -> Bool {
    guard let code = floatCode([input]) else { return false }
    let block = channelBlock([input])
    let window = window(
      shape(output), shape(input), d.kernel, d.strides, d.padding, 1, block: block,
      countsPadding: d.countIncludePadding)
    let source = try image(input, block: block)
    emitPool(window, source, source, try defineImage(output, block: block)) {
      ck_average_pool_backward(code, $0, $1, $3)
    }
    return true
  }

  private func channels(_ shape: Shape, block: Int) -> ck_channels {
    ck_channels(
      batch: Int64(shape[0]), channels: Int64(shape[1]), spatial: Int64(Sizes.product(shape[2...])), block: Int64(block)
    )
  }

  /// An image in a blocked layout plus, minus or times one number a channel, without leaving the layout: as a
  /// normalisation with mean 0 and variance 1.
  func lowerChannelwise(_ kernel: ElementwiseKernel, _ inputs: [Int], _ output: Int) throws -> Bool {
    guard case .binary(let op) = kernel, op == CK_ADD || op == CK_SUBTRACT || op == CK_MULTIPLY,
      dtype(output) == .float32, shape(output).rank == 4
    else { return false }
    let block = channelBlock(inputs)
    guard block > 1 else { return false }
    let isSecond = !hasPlainForm(inputs[1])
    if isSecond, op == CK_SUBTRACT { return false }
    let (image, vector) = isSecond ? (inputs[1], inputs[0]) : (inputs[0], inputs[1])
    guard !hasPlainForm(image), hasPlainForm(vector), let vector = try biasSlot(vector, axis: 1) else { return false }
    let channels = channels(shape(output), block: block)
    func constant(_ value: Float) throws -> Int {
      let count = shape(output)[1]
      return slot(
        try makeConstant(bytes: count * 4) { $0.initializeMemory(as: Float.self, repeating: value, count: count) })
    }
    let (zeros, ones) = (try constant(0), try constant(1))
    let source = try self.image(image, block: block)
    let target = try defineImage(output, block: block)
    emit(reads: [source, vector], writes: [target]) { p in
      try Kernel.check(
        withUnsafePointer(to: channels) {
          ck_batch_norm_inference(
            CK_FLOAT32, $0, 0, p[source], op == CK_SUBTRACT ? p[vector] : p[zeros], p[ones],
            op == CK_MULTIPLY ? p[vector] : nil, op == CK_ADD ? p[vector] : nil, p[target])
        })
    }
    return true
  }

  /// Operands: image, scale, shift; results: the normalised image, its channels' means and variances.
  func lowerBatchNorm(_ d: Primitive.BatchNorm, _ inputs: [Int], _ outputs: [Int]) throws -> Bool {
    guard let code = floatCode(inputs + outputs) else { return false }
    let block = channelBlock([inputs[0]])
    let channels = channels(shape(inputs[0]), block: block)
    let x = try image(inputs[0], block: block)
    let (scale, shift) = (try plain(inputs[1]), try plain(inputs[2]))
    let y = try defineImage(outputs[0], block: block)
    let (mean, variance) = (try define(outputs[1]), try define(outputs[2]))
    let epsilon = d.epsilon
    emit(reads: [x, scale, shift], writes: [y, mean, variance]) { p in
      try Kernel.check(
        withUnsafePointer(to: channels) {
          ck_batch_norm_training(code, $0, epsilon, p[x], p[scale], p[shift], p[y], p[mean], p[variance])
        })
    }
    return true
  }

  /// Operands: image, scale, mean, variance, the result's gradient; results: gradients of image, scale, shift.
  func lowerBatchNormGradient(_ d: Primitive.BatchNormGradient, _ inputs: [Int], _ outputs: [Int]) throws -> Bool {
    guard let code = floatCode(inputs + outputs) else { return false }
    let block = channelBlock([inputs[0], inputs[4]])
    let channels = channels(shape(inputs[0]), block: block)
    let (x, g) = (try image(inputs[0], block: block), try image(inputs[4], block: block))
    let (scale, mean, variance) = (try plain(inputs[1]), try plain(inputs[2]), try plain(inputs[3]))
    let dx = try defineImage(outputs[0], block: block)
    let (dscale, dshift) = (try define(outputs[1]), try define(outputs[2]))
    let epsilon = d.epsilon
    emit(reads: [x, g, scale, mean, variance], writes: [dx, dscale, dshift]) { p in
      try Kernel.check(
        withUnsafePointer(to: channels) {
          ck_batch_norm_backward(
            code, $0, epsilon, true, p[x], p[g], p[mean], p[variance], p[scale], p[dx], p[dscale], p[dshift])
        })
    }
    return true
  }
}
