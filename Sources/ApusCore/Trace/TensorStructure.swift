/// A value made of tensors that a compiled function can take or return: a tensor, an array, a dictionary, an optional.
///
/// Numbers, Booleans and strings may be arguments too: they are part of the signature, and each new value is traced anew.
public protocol TensorStructure: Sendable {
  /// Appends the tensors in a fixed order.
  func collect(into tensors: inout [Tensor])
  /// The same structure with other tensors, taken from the front of `tensors`.
  func rebuilt(from tensors: inout ArraySlice<Tensor>) -> Self
  /// What besides the tensors distinguishes it: counts, keys, plain values.
  func describeStructure(into text: inout String)
}

extension Tensor: TensorStructure {
  public func collect(into tensors: inout [Tensor]) { tensors.append(self) }
  public func rebuilt(from tensors: inout ArraySlice<Tensor>) -> Tensor { tensors.removeFirst() }
  public func describeStructure(into text: inout String) {}
}

extension Array: TensorStructure where Element: TensorStructure {
  public func collect(into tensors: inout [Tensor]) { for element in self { element.collect(into: &tensors) } }
  public func rebuilt(from tensors: inout ArraySlice<Tensor>) -> [Element] { map { $0.rebuilt(from: &tensors) } }
  public func describeStructure(into text: inout String) {
    text += "[\(count):"
    for element in self { element.describeStructure(into: &text) }
    text += "]"
  }
}

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
extension Int: TensorStructure {
  public func collect(into tensors: inout [Tensor]) {}
  public func rebuilt(from tensors: inout ArraySlice<Tensor>) -> Int { self }
  public func describeStructure(into text: inout String) { describePlain(into: &text) }
}
extension Double: TensorStructure {
  public func collect(into tensors: inout [Tensor]) {}
  public func rebuilt(from tensors: inout ArraySlice<Tensor>) -> Double { self }
  public func describeStructure(into text: inout String) { describePlain(into: &text) }
}
extension Bool: TensorStructure {
  public func collect(into tensors: inout [Tensor]) {}
  public func rebuilt(from tensors: inout ArraySlice<Tensor>) -> Bool { self }
  public func describeStructure(into text: inout String) { describePlain(into: &text) }
}
extension String: TensorStructure {
  public func collect(into tensors: inout [Tensor]) {}
  public func rebuilt(from tensors: inout ArraySlice<Tensor>) -> String { self }
  public func describeStructure(into text: inout String) { text += debugDescription }
}
