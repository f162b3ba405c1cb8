import ApusCore
import ApusNN

extension Module {
  /// Writes the values of all parameters and buffers to a safetensors file, under their names.
  ///
  /// ```swift
  /// try model.save(to: "model.safetensors", metadata: ["epochs": "20"])
  /// ```
  /// PyTorch reads it by `safetensors.torch.load_file`; the names fit a `state_dict` of the same structure.
  /// - Parameters:
  ///   - path: of the file; one that is there is replaced.
  ///   - metadata: free text about the model.
  /// - Throws: `ApusError` (argument) when sizes are still to be inferred, (file) when it can't be written. What was at
  ///   `path` stays until the new file is complete.
  public func save(to path: String, metadata: NamedValues<String> = [:]) throws {
    try requireSizes()
    try SafetensorsFile.write(stateDictionary(), metadata: metadata, to: path)
  }

  /// Loads the values that `save(to:metadata:)`, or PyTorch for the same structure, wrote.
  ///
  /// ```swift
  /// try model.load(from: "model.safetensors")
  /// ```
  /// Layers whose sizes were to be inferred take those of the file.
  /// - Parameters:
  ///   - path: of the file.
  ///   - strict: whether names that only the model or only the file has are an error; otherwise they are left out.
  ///   - placement: whether the values are copied, or used where they lie in the file. What training changes is copied then.
  /// - Returns: the names that only one side has.
  /// - Throws: `ApusError` (file) for a damaged file, (argument) listing what does not fit. The model is unchanged
  ///   then.
  @discardableResult
  public func load(
    from path: String, strict: Bool = true, placement: SafetensorsFile.Placement = .copied
  ) throws -> StateDifference {
    do {
      return try loadStateDictionary(
        SafetensorsFile(path, placement: placement).stateDictionary(), strict: strict)
    } catch var error as ApusError where error.kind == .argument {
      error.message = "\(path): \(error.message)"
      throw error
    }
  }
}
