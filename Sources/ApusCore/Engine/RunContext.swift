/// What an engine is told when it compiles a graph.
public struct CompileOptions: Sendable {
  /// Threads that one run may use; nil: as many as the engine has. The CPU engine knows one and all.
  public var threads: Int?
  /// Which of the engine's devices; nil: its first.
  public var device: Device?
  /// Inputs that runs will donate, for engines that plan ahead: see ``RunContext/donated``.
  public var donated: Set<Int>

  /// Options; without arguments the engine decides.
  public init(threads: Int? = nil, device: Device? = nil, donated: Set<Int> = []) {
    self.threads = threads
    self.device = device
    self.donated = donated
  }
}

/// What holds for one run of an ``Executable``.
///
/// ```swift
/// var context = RunContext(deadline: .now + .milliseconds(20))
/// context.observer = { step in print(step.name, step.duration) }
/// let results = try ready.run([batch], context: context)
/// ```
public struct RunContext: Sendable {
  /// One kernel call, or one node where an engine runs node by node.
  public struct Step: Sendable {
    /// The primitives it computes, `matmul add`.
    public let name: String
    /// How long it took.
    public let duration: Duration

    /// A step and how long it took.
    public init(name: String, duration: Duration) {
      self.name = name
      self.duration = duration
    }
  }

  /// Indices of inputs whose memory may be overwritten if nothing else holds them.
  public var donated: Set<Int>
  /// After it the run throws, unless it has begun to overwrite donated inputs.
  public var deadline: ContinuousClock.Instant?
  /// Asked before each step; when it is true the run throws, unless it has begun to overwrite donated inputs.
  public var isCancelled: (@Sendable () -> Bool)?
  /// Called after each step, on the thread that ran it.
  public var observer: (@Sendable (Step) -> Void)?
  /// The graph's named sizes where the caller knows them already; else they are found from the inputs.
  var sizes: [String: Int]?

  /// A context; without arguments a run is neither limited nor watched.
  public init(
    donated: Set<Int> = [], deadline: ContinuousClock.Instant? = nil, isCancelled: (@Sendable () -> Bool)? = nil,
    observer: (@Sendable (Step) -> Void)? = nil
  ) {
    self.donated = donated
    self.deadline = deadline
    self.isCancelled = isCancelled
    self.observer = observer
  }

  /// Whether there is anything to look at between steps.
  public var isLimited: Bool { deadline != nil || isCancelled != nil }

  /// To be called between steps, while nothing that the caller keeps has been overwritten.
  /// - Throws: ``ApusError`` (cancelled) when the run is cancelled or its deadline has passed.
  public func check(_ name: String) throws {
    if isCancelled?() == true { throw ApusError(.cancelled, "the run of \(name) was cancelled") }
    if let deadline, ContinuousClock.now > deadline {
      throw ApusError(.cancelled, "the run of \(name) passed its deadline")
    }
  }
}
