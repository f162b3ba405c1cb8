import ApusCore

/// An element-wise function that a layer applies to its result: `Linear(64, 32, activation: .relu)`.
///
/// ```swift
/// let squared = Activation("squared") { $0 * $0 }     // one of one's own
/// let layer = Linear(64, 32, activation: squared)
/// ```
/// The layers ``ReLU``, ``GELU`` and so on are the same functions as steps of a ``Sequential``.
public struct Activation: Sendable {
  /// What it is called.
  public let name: String
  private let function: @Sendable (Tensor) -> Tensor

  /// - Parameters:
  ///   - name: what it is called.
  ///   - function: of the layer's result; it is differentiated like any other operations.
  public init(_ name: String, _ function: @escaping @Sendable (Tensor) -> Tensor) {
    self.name = name
    self.function = function
  }

  /// The function's value.
  public func callAsFunction(_ x: Tensor) -> Tensor { function(x) }

  /// max(x, 0).
  public static let relu = Activation("relu") { $0.relu() }
  /// x·Φ(x) (Hendrycks and Gimpel, 2016).
  public static let gelu = Activation("gelu") { $0.gelu() }
  /// x·σ(x), also called swish.
  public static let silu = Activation("silu") { $0.silu() }
  /// 1 / (1 + e⁻ˣ).
  public static let sigmoid = Activation("sigmoid") { $0.sigmoid() }
  /// (eˣ − e⁻ˣ) / (eˣ + e⁻ˣ).
  public static let tanh = Activation("tanh") { $0.tanh() }
  /// eˣ / Σ eˣ over the last axis. (For a loss that takes logits, leave it out.)
  public static let softmax = Activation("softmax") { $0.softmax(axis: -1) }
  /// x where x > 0, `slope`·x elsewhere.
  public static func leakyRelu(_ slope: Double = 0.01) -> Activation {
    Activation("leakyRelu(\(slope))") { $0.leakyRelu(slope) }
  }
}

extension Activation? {
  /// The function's value, or the operand where there is no function.
  @inline(__always)
  func apply(_ x: Tensor) -> Tensor { self.map { $0(x) } ?? x }
}
