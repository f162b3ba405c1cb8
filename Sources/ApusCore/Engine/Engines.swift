import CApus
import Synchronization

/// The engines of this process: which one computes.
///
/// That is, in this order: what the enclosing ``withEngine(_:_:)`` says; the engine whose device the operands are on; the
/// task's (``withDefault(_:isolation:_:)``); the process's (``default``), which is ``embedded`` unless it was set.
public enum Engines {
  /// The embedded engine where it is linked in (`ApusCPU`), the reference interpreter otherwise.
  public static let embedded: any Engine = {
    if let made = apus_make_embedded_engine() {
      let object = Unmanaged<AnyObject>.fromOpaque(made).takeRetainedValue()
      if let engine = object as? any Engine { return engine }
    }
    return ReferenceEngine.shared
  }()

  /// The engine of this thread, for operands that are on no device: inside ``withEngine(_:_:)`` its, else the task's, else
  /// the process's.
  public static var current: any Engine { ExecutionContext.current?.engine ?? EngineChoice.current ?? embedded }

  /// What computes in this process where nothing else is said: ``embedded`` unless it is set.
  ///
  /// Functions that are compiled are compiled anew for it. Set it at the program's beginning: whatever runs meanwhile on
  /// another thread takes the one or the other.
  public static var `default`: any Engine {
    get { EngineChoice.ofProcess ?? embedded }
    set { EngineChoice.ofProcess = newValue === embedded ? nil : newValue }
  }

  /// Runs `body` with `engine` as the default of this task and of those that it starts.
  ///
  /// ```swift
  /// let history = try await Engines.withDefault(accelerator) { try await trainer.fit(digits, epochs: 5) }
  /// ```
  public static func withDefault<R>(
    _ engine: any Engine, isolation: isolated (any Actor)? = #isolation, _ body: () async throws -> R
  ) async rethrows -> R {
    apus_engine_was_chosen()
    return try await EngineChoice.$ofTask.withValue(engine, operation: body)
  }

  // MARK: By name

  private static let known = Mutex<[String: any Engine]>([:])

  /// Makes an engine known by its name, so that ``Tensor/to(_:)`` finds its devices.
  /// - Throws: ``ApusError`` (argument) when another engine has that name, or a device with another name.
  public static func register(_ engine: any Engine) throws {
    for device in engine.devices where device.engine != engine.name && device != .cpu {
      throw ApusError(
        .argument, "the engine \(engine.name) has a device \(device): its devices must have its own name, or be the cpu"
      )
    }
    try known.withLock { known in
      if let other = known[engine.name] ?? (engine.name == embedded.name ? embedded : nil), other !== engine {
        throw ApusError(.argument, "another engine is named \(engine.name): names tell devices apart")
      }
      known[engine.name] = engine
    }
  }

  static func engine(of device: Device) throws -> any Engine {
    let engine = known.withLock { $0[device.engine] }
    guard let engine, engine.devices.contains(device) else {
      let all = known.withLock { $0.values.flatMap(\.devices) } + [.cpu]
      throw ApusError(
        .argument,
        "there is no device \(device); known are \(Set(all).map(\.description).sorted().joined(separator: ", "))"
          + (engine == nil ? " (Engines.register makes an engine known)" : ""))
    }
    return engine
  }

  // MARK: By operands

  /// What computes on these tensors.
  /// - Throws: ``ApusError`` (argument) for tensors on two devices.
  static func computing(_ tensors: [Tensor]) throws -> any Engine {
    if let engine = ExecutionContext.current?.engine { return engine }
    return try placement(of: tensors)?.engine ?? EngineChoice.current ?? embedded
  }

  /// The device that these tensors are on; nil: the host.
  /// - Throws: ``ApusError`` (argument) for tensors on two devices.
  static func placement(of tensors: [Tensor]) throws -> Placement? {
    var found: Placement?
    for tensor in tensors {
      guard let place = tensor.storage.placement else { continue }
      if let found, found.device != place.device {
        throw ApusError(
          .argument, "operands are on \(found.device) and on \(place.device): bring them to one device with to(_:)")
      }
      found = place
    }
    return found
  }
}

/// Runs `body` with eager operations and compilations on `engine`, wherever their operands are.
///
/// ```swift
/// let slowly = withEngine(ReferenceEngine.shared) { x.matmul(y) }
/// ```
public func withEngine<R>(_ engine: any Engine, _ body: () throws -> R) rethrows -> R {
  try ExecutionContext.with({ $0.engine = engine }, body)
}
