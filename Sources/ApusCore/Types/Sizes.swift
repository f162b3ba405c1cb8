/// Arithmetic on sizes, counts and distances, the one place for it.
///
/// A result that no `Int` holds becomes the largest or smallest there is. Nothing traps and nothing wraps: what takes
/// the result, a type rule or an allocation, then refuses it by an error that says what would fit. Tensors without
/// elements may have any other sizes, so products of some of a tensor's sizes can be as large as that too.
package enum Sizes {
  /// The product; 0 where one of them is 0, however large the others are.
  package static func product(_ sizes: some Sequence<Int>) -> Int {
    var product = 1
    for size in sizes {
      if size == 0 { return 0 }
      product = product.saturatingTimes(size)
    }
    return product
  }

  /// The sum.
  package static func sum(_ sizes: some Sequence<Int>) -> Int { sizes.reduce(0) { $0.saturatingPlus($1) } }
}

extension Int {
  package func saturatingPlus(_ other: Int) -> Int {
    let (sum, overflow) = addingReportingOverflow(other)
    return overflow ? (other > 0 ? .max : .min) : sum
  }
  package func saturatingMinus(_ other: Int) -> Int {
    let (difference, overflow) = subtractingReportingOverflow(other)
    return overflow ? (other < 0 ? .max : .min) : difference
  }
  package func saturatingTimes(_ other: Int) -> Int {
    let (product, overflow) = multipliedReportingOverflow(by: other)
    return overflow ? ((self < 0) == (other < 0) ? .max : .min) : product
  }
}
