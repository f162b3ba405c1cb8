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
  /// The layers in their order.
  public let layers: [any Layer]

  /// A model of the layers in an array.
  public init(_ layers: [any Layer]) { self.layers = layers }

  /// A model of the layers in a block; `if`, `switch` and `for` choose and repeat them.
  public convenience init(@LayerBuilder _ layers: () -> [any Layer]) { self.init(layers()) }

  public func forward(_ x: Tensor) -> Tensor {
    var x = x
    for layer in layers { x = layer(x) }
    return x
  }

  public func members() -> [ModuleMember] {
    layers.enumerated().map { ModuleMember("\($0)", .module($1)) }
  }

  /// How many layers there are.
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
  /// A layer.
  public static func buildExpression(_ layer: any Layer) -> [any Layer] { [layer] }
  /// An array of layers, one after another.
  public static func buildExpression(_ layers: [any Layer]) -> [any Layer] { layers }
  /// Lines one after another.
  public static func buildBlock(_ parts: [any Layer]...) -> [any Layer] { parts.flatMap { $0 } }
  /// `if` without `else`.
  public static func buildOptional(_ part: [any Layer]?) -> [any Layer] { part ?? [] }
  /// `if` with `else`, and `switch`.
  public static func buildEither(first part: [any Layer]) -> [any Layer] { part }
  /// `if` with `else`, and `switch`.
  public static func buildEither(second part: [any Layer]) -> [any Layer] { part }
  /// `for`.
  public static func buildArray(_ parts: [[any Layer]]) -> [any Layer] { parts.flatMap { $0 } }
}

/// A function as a layer without parameters (Keras' `Lambda`).
///
/// ```swift
/// let model = Sequential { Linear(8, 8); Lambda { $0.relu() * 2 } }
/// ```
/// What the function captures is no part of the model: parameters belong into a ``Module`` of one's own.
public final class Lambda: Module {
  private let function: @Sendable (Tensor) -> Tensor

  /// - Parameter function: of the layer's input; gives its output.
  public init(_ function: @escaping @Sendable (Tensor) -> Tensor) { self.function = function }

  public func forward(_ x: Tensor) -> Tensor { function(x) }
}

/// Its input: a place holder.
///
/// ```swift
/// let norm: any Layer = usesNorm ? BatchNorm2D(32) : Identity()
/// ```
public final class Identity: Module {
  /// A layer without parameters.
  public init() {}
  public func forward(_ x: Tensor) -> Tensor { x }
}

/// Joins the axes from `from` to the last into one: [N, C, H, W] → [N, C·H·W] (`Flatten` in PyTorch and Keras).
///
/// ```swift
/// let y = Flatten()(Tensor.ones([16, 32, 7, 7]))      // float32[16, 1568]
/// ```
/// The order is row-major: channels first. Weights of a Keras model that flattens channels-last images don't fit behind
/// it as they are.
public final class Flatten: Module {
  /// The first axis that is joined; negative counts from the end.
  public let from: Int

  /// - Parameter from: the first axis that is joined; 1 keeps the batch, negative counts from the end.
  public init(from: Int = 1) { self.from = from }

  public func forward(_ x: Tensor) -> Tensor {
    guard from >= -x.rank && from < x.rank else {
      return .failure(.layer(expected: "an axis \(from) to flatten from", got: x), as: x.type)
    }
    return x.flattened(from: from)
  }
}
