import ApusCore

#if canImport(Glibc)
  import Glibc
#endif

/// The learning rate as a function of progress: a factor on the optimizer's own rate for every step (or epoch).
///
/// ```swift
/// let schedule = Schedule.cosine(steps: 10_000).warmingUp(steps: 500)
/// optimizer.learningRate = 3e-4 * schedule(step)                    // by hand, or by a trainer:
/// try await trainer.fit(train, epochs: 10, callbacks: [.learningRate(schedule)])
/// ```
/// PyTorch's `LambdaLR` takes the same kind of factor; Keras' schedules give the rate itself.
public struct Schedule: Sendable {
  private let factor: @Sendable (Int) -> Double

  /// A schedule of one's own: `Schedule { 1 / (1 + 0.01 * Double($0)) }`.
  /// - Parameter factor: of the step's number, from 0; not negative.
  public init(_ factor: @escaping @Sendable (_ step: Int) -> Double) { self.factor = factor }

  /// The factor for a step, counted from 0.
  public func callAsFunction(_ step: Int) -> Double { factor(step) }

  /// 1 at every step.
  public static let constant = Schedule { _ in 1 }

  /// gamma^⌊step / every⌋ (`StepLR`, Keras' `ExponentialDecay` with `staircase=True`).
  /// - Parameters:
  ///   - every: steps between two falls, at least 1.
  ///   - gamma: the factor of each fall.
  public static func step(every: Int, gamma: Double = 0.1) -> Schedule {
    require(every > 0, "a schedule that steps every \(every): 1 or more fit")
    return Schedule { pow(gamma, Double($0 / max(every, 1))) }
  }

  /// Half a cosine from 1 to `minimum` over `steps`, then `minimum`: m + (1 − m)·(1 + cos(π·step/steps))/2 (Loshchilov
  /// and Hutter, 2017, https://arxiv.org/abs/1608.03983, without restarts; `CosineAnnealingLR`, Keras' `CosineDecay`).
  /// - Parameters:
  ///   - steps: the fall's length, at least 1.
  ///   - minimum: the last factor, as Keras' `alpha`; PyTorch's `eta_min` is a rate.
  public static func cosine(steps: Int, minimum: Double = 0) -> Schedule {
    require(steps > 0, "a schedule over \(steps) steps: 1 or more fit")
    return Schedule { step in
      let progress = Double(min(step, steps)) / Double(steps)
      return minimum + (1 - minimum) * (1 + cos(.pi * progress)) / 2
    }
  }

  /// A straight line from 1 to `end` over `steps`, then `end` (`LinearLR` with `start_factor=1`).
  /// - Parameters:
  ///   - steps: the line's length, at least 1.
  ///   - end: the last factor.
  public static func linear(steps: Int, end: Double = 0) -> Schedule {
    require(steps > 0, "a schedule over \(steps) steps: 1 or more fit")
    return Schedule { 1 + (end - 1) * Double(min($0, steps)) / Double(steps) }
  }

  /// This schedule after a rise in equal parts from 1/(steps + 1) over `steps`. The schedule itself begins after them.
  /// - Parameter steps: the rise's length; 0: none.
  public func warmingUp(steps: Int) -> Schedule {
    require(steps >= 0, "a warm-up of \(steps) steps")
    let steps = max(steps, 0)
    return Schedule { $0 < steps ? (Double($0) + 1) / (Double(steps) + 1) * self(0) : self($0 - steps) }
  }
}
