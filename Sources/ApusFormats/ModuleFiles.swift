import ApusCore
import ApusNN

extension Module {
  /// Writes the values of all parameters and buffers to a safetensors file, under their names.
  ///
  /// - Throws: `ApusError` (argument) when sizes are still to be inferred, (file) when it can't be written. What was at
  ///   `path` stays until the new file is complete.
  public func save(to path: String, metadata: [String: String] = [:]) throws {
    try requireSizes()
    try SafetensorsFile.write(stateDictionary(), metadata: metadata, to: path)
  }

  /// Loads the values that `save(to:metadata:)`, or PyTorch for the same structure, wrote.
  ///
  /// - Parameter strict: whether names that only the model or only the file has are an error.
  /// - Throws: `ApusError` (file) for a damaged file, (argument) listing what does not fit. The model is unchanged then.
  @discardableResult
  public func load(from path: String, strict: Bool = true) throws -> StateDifference {
    do {
      return try loadStateDictionary(SafetensorsFile(path).stateDictionary(), strict: strict)
    } catch var error as ApusError where error.kind == .argument {
      error.message = "\(path): \(error.message)"
      throw error
    }
  }
}
