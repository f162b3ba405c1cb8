/// A value made of tensors that a compiled function can take or return: a tensor, an array, a dictionary, an optional.
///
/// Numbers, Booleans and strings may be arguments too: they are part of the signature, and each new value is traced
/// anew.
/// ```swift
/// struct Batch: TensorStructure {
///   var images: Tensor, labels: Tensor
///   func collect(into tensors: inout [Tensor]) { tensors += [images, labels] }
///   func rebuilt(from tensors: inout ArraySlice<Tensor>) -> Batch {
///     Batch(images: tensors.removeFirst(), labels: tensors.removeFirst())
///   }
///   func describeStructure(into text: inout String) {}
/// }
/// ```
public protocol TensorStructure: Sendable {
  /// Appends the tensors in a fixed order.
  func collect(into tensors: inout [Tensor])
  /// The same structure with other tensors, taken from the front of `tensors`.
  func rebuilt(from tensors: inout ArraySlice<Tensor>) -> Self
  /// What besides the tensors distinguishes it: counts, keys, plain values.
  func describeStructure(into text: inout String)
}

/// One tensor.
extension Tensor: TensorStructure {
  public func collect(into tensors: inout [Tensor]) { tensors.append(self) }
  public func rebuilt(from tensors: inout ArraySlice<Tensor>) -> Tensor { tensors.removeFirst() }
  public func describeStructure(into text: inout String) {}
}

/// Its elements in order; their number is part of the signature.
extension Array: TensorStructure where Element: TensorStructure {
  public func collect(into tensors: inout [Tensor]) { for element in self { element.collect(into: &tensors) } }
  public func rebuilt(from tensors: inout ArraySlice<Tensor>) -> [Element] { map { $0.rebuilt(from: &tensors) } }
  public func describeStructure(into text: inout String) {
    text += "[\(count):"
    for element in self { element.describeStructure(into: &text) }
    text += "]"
  }
}

/// Its values in the order of their keys; the keys are part of the signature.
extension Dictionary: TensorStructure where Key == String, Value: TensorStructure {
  public func collect(into tensors: inout [Tensor]) {
    for key in keys.sorted() { self[key]?.collect(into: &tensors) }
  }
  public func rebuilt(from tensors: inout ArraySlice<Tensor>) -> [String: Value] {
    var result = self
    for key in keys.sorted() { result[key] = self[key]?.rebuilt(from: &tensors) }
    return result
  }
  public func describeStructure(into text: inout String) {
    text += "{\(count):"
    for key in keys.sorted() {
      text += "\(key.debugDescription):"
      self[key]?.describeStructure(into: &text)
    }
    text += "}"
  }
}

/// The value if there is one; whether there is one is part of the signature.
extension Optional: TensorStructure where Wrapped: TensorStructure {
  public func collect(into tensors: inout [Tensor]) { self?.collect(into: &tensors) }
  public func rebuilt(from tensors: inout ArraySlice<Tensor>) -> Wrapped? { map { $0.rebuilt(from: &tensors) } }
  public func describeStructure(into text: inout String) {
    text += self == nil ? "nil;" : "some("
    self?.describeStructure(into: &text)
  }
}

extension TensorStructure where Self: CustomStringConvertible {
  fileprivate func describePlain(into text: inout String) { text += "\(self);" }
}
/// A plain value: part of the signature.
extension Int: TensorStructure {
  public func collect(into tensors: inout [Tensor]) {}
  public func rebuilt(from tensors: inout ArraySlice<Tensor>) -> Int { self }
  public func describeStructure(into text: inout String) { describePlain(into: &text) }
}
/// A plain value: part of the signature.
extension Double: TensorStructure {
  public func collect(into tensors: inout [Tensor]) {}
  public func rebuilt(from tensors: inout ArraySlice<Tensor>) -> Double { self }
  public func describeStructure(into text: inout String) { describePlain(into: &text) }
}
/// A plain value: part of the signature.
extension Bool: TensorStructure {
  public func collect(into tensors: inout [Tensor]) {}
  public func rebuilt(from tensors: inout ArraySlice<Tensor>) -> Bool { self }
  public func describeStructure(into text: inout String) { describePlain(into: &text) }
}
/// A plain value: part of the signature.
extension String: TensorStructure {
  public func collect(into tensors: inout [Tensor]) {}
  public func rebuilt(from tensors: inout ArraySlice<Tensor>) -> String { self }
  public func describeStructure(into text: inout String) { text += debugDescription }
}
