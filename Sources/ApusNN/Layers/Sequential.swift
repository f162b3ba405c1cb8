import ApusCore

/// Layers one after another: each gets what the one before it returned.
///
/// ```swift
/// let model = Sequential {
///   Conv2D(32, kernelSize: 3, activation: .relu)
///   MaxPool2D(2)
///   Flatten()
///   Dense(10)
/// }
/// ```
/// The layers are named by their place, as in PyTorch: `0.weight`, `3.bias`.
public final class Sequential: Module {
  public let layers: [any Layer]

  public init(_ layers: [any Layer]) { self.layers = layers }

  public convenience init(@LayerBuilder _ layers: () -> [any Layer]) { self.init(layers()) }

  public func forward(_ x: Tensor) -> Tensor {
    var x = x
    for layer in layers { x = layer(x) }
    return x
  }

  public func members() -> [ModuleMember] {
    layers.enumerated().map { ModuleMember("\($0)", .module($1)) }
  }

  public var count: Int { layers.count }

  /// Layer `i`. Traps outside 0 ..< `count`.
  public subscript(i: Int) -> any Layer { layers[i] }

  /// Some of the layers, shared with this model and named by their new places.
  public subscript(range: some RangeExpression<Int>) -> Sequential { Sequential(Array(layers[range])) }

  /// These layers, shared with this model, and further ones.
  public func appending(@LayerBuilder _ more: () -> [any Layer]) -> Sequential { Sequential(layers + more()) }

  /// These layers, shared with this model, and one more.
  public func appending(_ layer: any Layer) -> Sequential { Sequential(layers + [layer]) }
}

/// Lists layers; `if`, `switch` and `for` choose and repeat them.
@resultBuilder
public enum LayerBuilder {
  public static func buildExpression(_ layer: any Layer) -> [any Layer] { [layer] }
  public static func buildExpression(_ layers: [any Layer]) -> [any Layer] { layers }
  public static func buildBlock(_ parts: [any Layer]...) -> [any Layer] { parts.flatMap { $0 } }
  public static func buildOptional(_ part: [any Layer]?) -> [any Layer] { part ?? [] }
  public static func buildEither(first part: [any Layer]) -> [any Layer] { part }
  public static func buildEither(second part: [any Layer]) -> [any Layer] { part }
  public static func buildArray(_ parts: [[any Layer]]) -> [any Layer] { parts.flatMap { $0 } }
}

/// A function as a layer without parameters.
///
/// ```swift
/// Sequential { Linear(8, 8); Lambda { $0.relu() * 2 } }
/// ```
public final class Lambda: Module {
  private let function: @Sendable (Tensor) -> Tensor

  public init(_ function: @escaping @Sendable (Tensor) -> Tensor) { self.function = function }

  public func forward(_ x: Tensor) -> Tensor { function(x) }
}

/// Its input: a place holder.
public final class Identity: Module {
  public init() {}
  public func forward(_ x: Tensor) -> Tensor { x }
}

/// Joins the axes from `from` to the last into one: [N, C, H, W] → [N, C·H·W].
public final class Flatten: Module {
  public let from: Int

  /// - Parameter from: the first axis that is joined; 1 keeps the batch.
  public init(from: Int = 1) { self.from = from }

  public func forward(_ x: Tensor) -> Tensor {
    guard from >= -x.rank && from < x.rank else {
      return .failure(.layer(expected: "an axis \(from) to flatten from", got: x), as: x.type)
    }
    return x.flattened(from: from)
  }
}
