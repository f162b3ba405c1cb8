import ApusCore
import Synchronization

/// A table of a model's layers: what ``Module/summary(input:dtype:)`` gives.
public struct ModelSummary: Sendable, CustomStringConvertible {
  /// One layer.
  public struct Row: Sendable {
    /// The layer's path, `features.0`; empty for the model itself.
    public var path: String
    /// The layer's type, `Conv2D`.
    public var layer: String
    /// What it returned; nil for modules that were not called or return something else.
    public var output: TensorType?
    /// Number of elements of its own parameters, its children's not included.
    public var parameters: Int
    /// Those of them that are trainable.
    public var trainable: Int
    /// 0 for the model, 1 for its children.
    public var depth: Int
  }

  /// The model itself, then its layers in the order of declaration, each above what it contains.
  public var rows: [Row]
  /// The input's dtype and shape.
  public var input: TensorType
  /// Sums over parameters, those used twice counted once.
  public var parameters: Int
  /// Those of them that are trainable.
  public var trainable: Int
  /// Bytes of parameters and buffers.
  public var bytes: Int

  public var description: String {
    let cells = rows.map { row in
      [
        String(repeating: "  ", count: row.depth) + (row.path.split(separator: ".").last.map { "\($0): " } ?? "")
          + row.layer,
        row.output.map { "\($0.shape)" } ?? "–",
        row.parameters == 0 ? "–" : grouped(row.parameters),
      ]
    }
    let header = ["Layer", "Output", "Parameters"]
    let widths = (0..<3).map { column in ([header] + cells).map { $0[column].count }.max() ?? 0 }
    func line(_ row: [String]) -> String {
      padded(row[0], widths[0]) + "  " + padded(row[1], widths[1]) + "  "
        + String(repeating: " ", count: widths[2] - row[2].count) + row[2]
    }
    let rule = String(repeating: "─", count: widths.reduce(4, +))
    return
      ([line(header), rule] + cells.map(line) + [
        rule,
        "Input \(input), parameters \(grouped(parameters)) (trainable \(grouped(trainable))), \(size(bytes))",
      ]).joined(separator: "\n")
  }

  private func padded(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(width - text.count, 0))
  }

  /// 1234567 → 1,234,567.
  private func grouped(_ number: Int) -> String {
    var text = ""
    for (i, digit) in String(number).reversed().enumerated() {
      if i > 0 && i % 3 == 0 { text.append(",") }
      text.append(digit)
    }
    return String(text.reversed())
  }

  private func size(_ bytes: Int) -> String {
    let units = [("GiB", 30), ("MiB", 20), ("KiB", 10)]
    guard let (unit, shift) = units.first(where: { bytes >= 1 << $0.1 }) else { return "\(bytes) bytes" }
    let tenths = Int((Double(bytes) * 10 / Double(1 << shift)).rounded())
    return "\(tenths / 10).\(tenths % 10) \(unit)"
  }
}

extension Module where Input == Tensor {
  /// Runs the model once on zeros, in inference mode, and tells each layer's output shape and parameters.
  ///
  /// ```swift
  /// print(try model.summary(input: [1, 1, 8, 8]))
  /// ```
  /// - Parameters:
  ///   - input: the input's shape with the batch dimension.
  ///   - dtype: int64 for models that begin with an ``Embedding``.
  /// - Throws: `ApusError` when the input does not fit the model.
  public func summary(input: Shape, dtype: DType = .float32) throws -> ModelSummary {
    let outputs = Mutex<[ObjectIdentifier: TensorType]>([:])
    let hook = ForwardHooks.add(
      ForwardHook(module: nil) { module, _, output in
        if let tensor = output as? Tensor { outputs.withLock { $0[ObjectIdentifier(module)] = tensor.type } }
      })
    defer { hook.remove() }
    let modes = modes
    defer { modes.restore() }
    eval()
    try checked { withoutGradients { _ = self(Tensor.zeros(input, dtype: dtype)) } }
    let rows = namedModules().map { path, module in
      let own = module.members().compactMap { if case .parameter(let p) = $0.kind { p } else { nil } }
      let sizes = own.map { $0.isInitialized ? $0.value.elementCount : 0 }
      return ModelSummary.Row(
        path: path, layer: ModuleCalls.typeName(module), output: outputs.withLock { $0[ObjectIdentifier(module)] },
        parameters: Sizes.sum(sizes),
        trainable: Sizes.sum(zip(own, sizes).map { $0.isTrainable ? $1 : 0 }),
        depth: path.isEmpty ? 0 : 1 + path.count { $0 == "." })
    }
    let state = parameters.map { $0 as Variable } + namedBuffers().map { $0.buffer as Variable }
    return ModelSummary(
      rows: rows, input: TensorType(dtype, input), parameters: parameterCount,
      trainable: Sizes.sum(parameters.map { $0.isTrainable && $0.isInitialized ? $0.value.elementCount : 0 }),
      bytes: Sizes.sum(state.map { $0.isInitialized ? (try? $0.value.type.byteCount()) ?? 0 : 0 }))
  }
}
