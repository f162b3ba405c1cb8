/// Joins tensors along an axis; their other sizes are equal. Dtypes meet as in arithmetic.
///
/// ```swift
/// concatenate([Tensor([1, 2]), Tensor([3])], axis: 0)      // [1, 2, 3]
/// ```
/// Sizes that don't fit: error (shape). No tensor, or no such axis: error (argument).
/// - Parameters:
///   - tensors: one at least, of equal rank ≥ 1.
///   - axis: whose sizes add up; negative ones count from the end.
public func concatenate(_ tensors: [Tensor], axis: Int = 0) -> Tensor {
  joined("concatenate", tensors) { parts in
    let i = try parts[0].normalized(axis)
    return parts.count == 1 ? parts[0] : Dispatch.run(.concatenate(.init(axis: i)), parts)[0]
  }
}

/// Joins tensors of one shape along a new axis, which is axis `axis` of the result (negative: from the result's end).
/// Dtypes meet as in arithmetic.
///
/// ```swift
/// stack([Tensor([1, 2]), Tensor([3, 4])])               // [[1, 2], [3, 4]]
/// stack([Tensor([1, 2]), Tensor([3, 4])], axis: 1)      // [[1, 3], [2, 4]]
/// ```
/// Other shapes: error (shape). No tensor: error (argument).
public func stack(_ tensors: [Tensor], axis: Int = 0) -> Tensor {
  joined("stack", tensors) { parts in
    for part in parts.dropFirst() { try Rules.shape(part.type, parts[0].shape, "every tensor") }
    let i = axis < 0 ? axis + parts[0].rank + 1 : axis
    guard i >= 0, i <= parts[0].rank else {
      throw ApusError(.argument, "axis \(axis) is not in \(-parts[0].rank - 1)...\(parts[0].rank)")
    }
    return concatenate(parts.map { $0.unsqueezed(i) }, axis: i)
  }
}

/// Runs `body` on the tensors in their common dtype.
private func joined(_ name: String, _ tensors: [Tensor], _ body: ([Tensor]) throws -> Tensor) -> Tensor {
  guard let first = tensors.first else {
    return Dispatch.fail(
      ApusError(.argument, "needs at least one tensor", operation: name), type: TensorType(.float32, []))
  }
  let dtype = tensors.dropFirst().reduce(first.dtype) { DType.promote($0, $1.dtype) }
  do {
    return try body(tensors.map { $0.cast(to: dtype) })
  } catch {
    let named: any Error = (error as? ApusError)?.at(name, tensors.map(\.type)) ?? error
    return Dispatch.fail(named, type: first.type)
  }
}

extension Tensor {
  /// Elements `range` along an axis, which stays; a view. Outside of it: error (argument).
  ///
  /// ```swift
  /// Tensor([10, 20, 30, 40]).slice(axis: 0, 1..<3)      // [20, 30]
  /// ```
  public func slice(axis: Int, _ range: Range<Int>) -> Tensor {
    Tensor.attempt("slice", self) {
      let i = try normalized(axis)
      if range.lowerBound < 0 { throw ApusError(.argument, "\(range) is not within axis \(i)") }
      return sliced(axis: i, Dim(range.lowerBound), Dim(range.upperBound))
    }
  }

  /// Elements `starts[i]`, `starts[i] + steps[i]`, … below `stops[i]` of each axis i; a view. Others: error (argument).
  ///
  /// ```swift
  /// Tensor.arange(10).sliced(starts: [1], stops: [8], steps: [3])      // [1, 4, 7]
  /// ```
  /// - Parameters:
  ///   - starts: one an axis, from 0 to the stops.
  ///   - stops: one an axis, at most the sizes.
  ///   - steps: one an axis, at least 1; 1 when left out.
  public func sliced(starts: [Int], stops: [Int], steps: [Int]? = nil) -> Tensor {
    Tensor.attempt("sliced", self) {
      let steps = steps ?? Array(repeating: 1, count: rank)
      guard starts.count == rank, stops.count == rank, steps.count == rank,
        (starts + stops + steps).allSatisfy({ $0 >= 0 })
      else {
        throw ApusError(.argument, "needs a start, stop and step, none negative, for each of the \(rank) axes")
      }
      return Dispatch.one(.slice(.init(starts: Shape(starts), stops: Shape(stops), steps: Shape(steps))), self)
    }
  }

  /// Cut into parts of given sizes along an axis, which they must fill; otherwise error (argument).
  ///
  /// ```swift
  /// Tensor([1, 2, 3, 4, 5]).split(sizes: [2, 3])      // [1, 2] and [3, 4, 5]
  /// ```
  public func split(sizes: [Int], axis: Int = 0) -> [Tensor] {
    splitting(sizes.count) {
      let i = try normalized(axis)
      guard sizes.allSatisfy({ $0 >= 0 }), shape.dim(i).value.map({ $0 == Sizes.sum(sizes) }) ?? false else {
        throw ApusError(.argument, "sizes \(sizes) do not add up to axis \(axis)'s \(shape.dim(i))")
      }
      var start = 0
      return sizes.map { size in
        defer { start += size }
        return sliced(axis: i, Dim(start), Dim(start + size))
      }
    }
  }

  /// - Parameter count: how many parts there would be; no more than that come back when it fails, and at least one.
  private func splitting(_ count: Int, _ body: () throws -> [Tensor]) -> [Tensor] {
    do {
      return try body()
    } catch {
      let failed = Dispatch.fail((error as? ApusError)?.at("split", [type]) ?? error, type: type)
      return Array(repeating: failed, count: Swift.min(Swift.max(count, 1), 1 << 16))
    }
  }

  /// Cut into `count` equal parts along an axis. One that does not divide: error (argument).
  ///
  /// ```swift
  /// let (q, k, v) = { ($0[0], $0[1], $0[2]) }(x.split(into: 3, axis: -1))
  /// ```
  public func split(into count: Int, axis: Int = 0) -> [Tensor] {
    splitting(count) {
      guard count > 0 else { throw ApusError(.argument, "can't be cut into \(count) parts") }
      let i = try normalized(axis)
      let size = shape.dim(i)
      if let size = size.value, size % count != 0 {
        throw ApusError(.argument, "axis \(axis) of \(size) elements does not divide into \(count) parts")
      }
      if let error = HostMemory.refusal(count, ofBytes: 512, "the number of parts") { throw error }
      let part = size / count
      return (0..<count).map { sliced(axis: i, part * $0, part * ($0 + 1)) }
    }
  }
}
