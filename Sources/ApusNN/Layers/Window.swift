import ApusCore

/// A height and a width for a layer's argument: `3` for both, `[3, 5]`, or `Pair(3, 5)`.
public protocol PairConvertible: Sendable {
  /// The height and the width.
  var pair: Pair { get }
}
extension Pair: PairConvertible { public var pair: Pair { self } }
extension Int: PairConvertible { public var pair: Pair { Pair(self, self) } }
extension [Int]: PairConvertible {
  /// Height and width. Another count of numbers than two is an error: it traps, or is recorded by `checked` or a trace.
  public var pair: Pair {
    require(count == 2, "a height and a width are two numbers, not \(self)")
    return Pair(first ?? 0, last ?? 0)
  }
}

/// What may stand for an `ImagePadding`: `1`, `[1, 2]` (rows, columns), `.same`, `.valid`, `ImagePadding.explicit(…)`.
public protocol PaddingConvertible: Sendable {
  /// The padding that it stands for.
  var imagePadding: ImagePadding { get }
}
extension ImagePadding: PaddingConvertible { public var imagePadding: ImagePadding { self } }
extension Pair: PaddingConvertible { public var imagePadding: ImagePadding { .symmetric(height, width) } }
extension Int: PaddingConvertible { public var imagePadding: ImagePadding { pair.imagePadding } }
extension [Int]: PaddingConvertible { public var imagePadding: ImagePadding { pair.imagePadding } }
// Disfavoured, so that `ImagePadding.same` still means the case.
extension PaddingConvertible where Self == ImagePadding {
  /// As much as makes the result ⌈size / stride⌉, an odd element below and right.
  @_disfavoredOverload public static var same: ImagePadding { .same }
  /// Nothing.
  @_disfavoredOverload public static var valid: ImagePadding { .valid }
}

extension Pair {
  var tuple: (Int, Int) { (height, width) }
}
