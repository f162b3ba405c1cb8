/// What a training reported: one record an epoch.
///
/// ```swift
/// let history = try await trainer.fit(train, epochs: 5, validation: test)
/// history["val_accuracy"].last
/// ```
public struct History: Hashable, Codable, Sendable {
  /// One epoch's record.
  public struct Epoch: Hashable, Codable, Sendable {
    /// Counted from 1.
    public var number: Int
    /// `loss`, the metrics' names, and both with `val_` before them.
    public var values: [String: Double]
    /// Wall-clock time of training and validation, in seconds.
    public var seconds: Double
    /// How many batches were trained on.
    public var steps: Int
    /// How many examples they had.
    public var examples: Int
  }
  /// The records in their order.
  public var epochs: [Epoch] = []

  /// A history of no epochs.
  public init() {}

  /// A value's course over the epochs; epochs without it are left out.
  public subscript(name: String) -> [Double] { epochs.compactMap { $0.values[name] } }

  /// Names of all values: those of training, then those of validation, the loss first in each.
  public var names: [String] {
    func rank(_ name: String) -> (Int, Int, String) {
      let isValidation = name.hasPrefix("val_")
      return (isValidation ? 1 : 0, name == "loss" || name == "val_loss" ? 0 : 1, name)
    }
    return Set(epochs.flatMap(\.values.keys)).sorted { rank($0) < rank($1) }
  }
}
