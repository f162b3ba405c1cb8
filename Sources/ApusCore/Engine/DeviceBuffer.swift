/// A device's memory of one tensor. It may still be computed: reading it waits.
///
/// What an engine with memory of its own makes storages of. ``OpaqueBuffer/writePlain(to:)`` waits for the
/// ``completion`` and copies to the host.
/// ```swift
/// final class Block: DeviceBuffer {
///   let engine: any Engine, device: Device, completion = Completion()
///   func writePlain(to destination: UnsafeMutableRawBufferPointer) throws {
///     try completion.wait()
///     …
///   }
/// }
/// ```
public protocol DeviceBuffer: OpaqueBuffer {
  /// Whose it is: operations on it run there.
  var engine: any Engine { get }
  /// Ends when the elements are there, or can't be had.
  var completion: Completion { get }
}

extension Engine {
  /// The same elements in a device's memory: as they are where they are there already, else uploaded.
  /// - Throws: what ``upload(_:to:)`` throws.
  public func resident(_ storage: Storage, on device: Device) throws -> Storage {
    if let opaque = storage.opaque, opaque.device == device { return storage }
    return try upload(storage, to: device)
  }

  /// The device that a graph is to be compiled for: what the options say, else the engine's first.
  /// - Throws: ``ApusError`` (argument) when it isn't the engine's.
  public func device(_ options: CompileOptions, for name: String) throws -> Device {
    guard let device = options.device ?? devices.first, devices.contains(device) else {
      throw ApusError(
        .argument,
        "\(name): the engine \(self.name) has no device \(options.device.map { "\($0)" } ?? "at all"); it has \(devices)"
      )
    }
    return device
  }
}

/// A device and whose it is.
struct Placement: Sendable {
  let engine: any Engine
  let device: Device

  /// The same elements there.
  func resident(_ storage: Storage) throws -> Storage { try engine.resident(storage, on: device) }
}

extension Storage {
  /// The device it is on; nil: the host.
  var placement: Placement? {
    (opaque as? any DeviceBuffer).map { Placement(engine: $0.engine, device: $0.device) }
  }
}

/// Brings inputs to a device, once each, before a graph runs there.
final class PlacedExecutable: Executable {
  private let inner: any Executable
  private let place: Placement

  init(_ inner: any Executable, _ place: Placement) {
    self.inner = inner
    self.place = place
  }

  func run(_ inputs: inout [Storage], context: RunContext) throws -> [Storage] {
    for i in inputs.indices { inputs[i] = try place.resident(inputs[i]) }
    return try inner.run(&inputs, context: context)
  }
}

extension Tensor {
  /// The same values on another device; itself when they are there already.
  ///
  /// ```swift
  /// try Engines.register(accelerator)
  /// let x = try images.to(Device(engine: "accelerator"))      // uploaded
  /// let y = x.matmul(w)                                       // computed there
  /// let z = try y.to(.cpu)                                    // waited for and downloaded
  /// ```
  /// It keeps its place on the gradient tape. Operations on the result run on its engine; their other operands may be on
  /// the host, and are uploaded for the operation.
  /// - Parameter device: ``Device/cpu``, or one of an engine that was registered (``Engines/register(_:)``).
  /// - Throws: ``ApusError``: (argument) for an unknown device or a tensor without values, (trace) inside a compiled
  ///   function, whose engine places its values, (memory), and what failed on the device.
  public func to(_ device: Device) throws -> Tensor {
    if device == .cpu { return try moved { try $0.onHost() } }
    return try to(try Engines.engine(of: device), device)
  }

  /// The same values on a device of an engine, registered or not.
  /// - Parameters:
  ///   - engine: whose device it is.
  ///   - device: nil: its first.
  /// - Throws: as ``to(_:)``.
  public func to(_ engine: any Engine, _ device: Device? = nil) throws -> Tensor {
    let device = try engine.device(CompileOptions(device: device), for: "to")
    return try moved { try engine.resident($0, on: device) }
  }

  private func moved(_ move: (Storage) throws -> Storage) throws -> Tensor {
    if isSymbolic {
      throw ApusError(
        .trace, "a value of a graph has no device: the engine that runs the graph places it", operation: "to",
        operands: [type])
    }
    let result = try move(storage)
    return result === storage ? self : Tensor(result, node: node, outputIndex: outputIndex)
  }

  /// Whether the values are there: on the host always, on a device once they are computed or have failed.
  public var isReady: Bool { (storage.opaque as? any DeviceBuffer)?.completion.isFinished ?? true }

  /// Waits until the values are there, holding the thread. On the host they always are.
  /// - Throws: ``ApusError``, or what the engine's device failed with.
  public func wait() throws { try (storage.opaque as? any DeviceBuffer)?.completion.wait() }

  /// Waits until the values are there; the thread does something else meanwhile.
  ///
  /// ```swift
  /// let scores = try model(batch)      // the accelerator has begun
  /// try await scores.ready()
  /// print(scores)                      // copies, and doesn't wait
  /// ```
  /// - Throws: ``ApusError``, or what the engine's device failed with.
  public func ready() async throws { try await (storage.opaque as? any DeviceBuffer)?.completion.ready() }
}

extension Storage {
  /// The elements in host memory, without a second copy of them kept beside an engine's.
  fileprivate func onHost() throws -> Storage {
    guard let opaque else {
      _ = try plain()
      return self
    }
    let result = try Storage(type)
    try opaque.writePlain(to: UnsafeMutableRawBufferPointer(start: result.plainAddress, count: try type.byteCount()))
    return result
  }
}
