import ApusCore

/// Scales all gradients by the same factor so that their joint Euclidean norm is at most `maximum`
/// (`torch.nn.utils.clip_grad_norm_`): the factor is min(1, maximum / (norm + 1e-6)). The norm is taken in float64, so
/// that no float32 gradient's square overflows, in whatever order the parameters come.
///
/// Call it between `backward` and `step`; it may be part of a compiled step. A trainer does so with
/// `gradientClipping: .norm(1)`.
/// ```swift
/// loss.backward()
/// clipGradientNorm(model.parameters, maximum: 1)
/// optimizer.step()
/// ```
/// - Parameters:
///   - parameters: whose gradients are scaled; those without one don't count.
///   - maximum: of the norm, 0 or more, otherwise error (argument).
/// - Returns: the norm before, a scalar of the widest of the gradients' dtypes; 0 when no parameter has a gradient.
@discardableResult
public func clipGradientNorm(_ parameters: [Parameter], maximum: Double) -> Tensor {
  guard maximum >= 0 else {
    return .failure(
      ApusError(.argument, "clipping gradients to a norm of \(maximum): 0 or more fit"), as: TensorType(.float32, []))
  }
  return withoutGradients {
    let gradients = parameters.compactMap { parameter in parameter.gradient.map { (parameter, $0.detached()) } }
    guard let first = gradients.first?.1.dtype else { return Tensor(0.0) }
    let dtype = gradients.contains { $1.dtype == .float64 } ? .float64 : first
    let norm = stack(gradients.map { $1.cast(to: .float64).norm() }, axis: 0).norm()
    // Twice its root: the factor of a float32 gradient of 1e38 may be below what float32 holds.
    let root = (maximum / (norm + 1e-6)).clamped(max: 1).sqrt()
    for (parameter, gradient) in gradients {
      let root = root.cast(to: gradient.dtype)
      parameter.gradient = gradient * root * root
    }
    return norm.cast(to: dtype)
  }
}

/// Restricts every element of the gradients to ±`maximum` (`torch.nn.utils.clip_grad_value_`, Keras' `clipvalue`).
///
/// - Parameters:
///   - parameters: whose gradients are restricted.
///   - maximum: 0 or more, otherwise error (argument).
public func clipGradientValue(_ parameters: [Parameter], maximum: Double) {
  guard maximum >= 0 else { return require(false, "clipping gradients to ±\(maximum): 0 or more fit") }
  withoutGradients {
    for parameter in parameters {
      guard let gradient = parameter.gradient?.detached() else { continue }
      parameter.gradient = gradient.clamped(min: -maximum, max: maximum)
    }
  }
}
