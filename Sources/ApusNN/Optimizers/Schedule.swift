import ApusCore

#if canImport(Glibc)
  import Glibc
#endif

/// The learning rate as a function of progress: a factor on the optimizer's own rate for every step (or epoch).
///
/// ```swift
/// let schedule = Schedule.cosine(steps: 10_000).warmingUp(steps: 500)
/// optimizer.learningRate = 3e-4 * schedule(step)
/// ```
public struct Schedule: Sendable {
  private let factor: @Sendable (Int) -> Double

  /// - Parameter factor: of the step's number, from 0.
  public init(_ factor: @escaping @Sendable (_ step: Int) -> Double) { self.factor = factor }

  /// The factor for a step, counted from 0.
  public func callAsFunction(_ step: Int) -> Double { factor(step) }

  public static let constant = Schedule { _ in 1 }

  /// gamma^⌊step / every⌋ (`StepLR`).
  public static func step(every: Int, gamma: Double = 0.1) -> Schedule {
    require(every > 0, "a schedule that steps every \(every): 1 or more fit")
    return Schedule { pow(gamma, Double($0 / max(every, 1))) }
  }

  /// Half a cosine from 1 to `minimum` over `steps`, then `minimum` (Loshchilov and Hutter, 2017, without restarts;
  /// `CosineAnnealingLR`).
  public static func cosine(steps: Int, minimum: Double = 0) -> Schedule {
    require(steps > 0, "a schedule over \(steps) steps: 1 or more fit")
    return Schedule { step in
      let progress = Double(min(step, steps)) / Double(steps)
      return minimum + (1 - minimum) * (1 + cos(.pi * progress)) / 2
    }
  }

  /// A straight line from 1 to `end` over `steps`, then `end`.
  public static func linear(steps: Int, end: Double = 0) -> Schedule {
    require(steps > 0, "a schedule over \(steps) steps: 1 or more fit")
    return Schedule { 1 + (end - 1) * Double(min($0, steps)) / Double(steps) }
  }

  /// This schedule after a rise in equal parts from 1/(steps + 1) over `steps`. The schedule itself begins after them.
  public func warmingUp(steps: Int) -> Schedule {
    require(steps >= 0, "a warm-up of \(steps) steps")
    return Schedule { $0 < steps ? Double($0 + 1) / Double(steps + 1) * self(0) : self($0 - steps) }
  }
}
