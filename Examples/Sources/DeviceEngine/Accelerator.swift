import Apus
import Dispatch

/// A simulated accelerator: memory that only its own commands reach, and one queue that runs them in order.
///
/// It stands for a real device's driver. Its bytes are nowhere a tensor's pointer could find them: they come in by
/// ``copyIn(_:)`` and go out by ``copyOut(_:to:)``, which count.
final class Accelerator: @unchecked Sendable {
  /// What happened so far.
  struct Traffic {
    /// Tensors that came in.
    var uploads = 0
    /// Tensors that went out.
    var downloads = 0
    /// Donated blocks whose memory took a result.
    var donations = 0
  }

  // What follows is touched on the queue alone.
  private let queue = DispatchQueue(label: "accelerator")
  private let key = DispatchSpecificKey<Void>()
  private var memory: [Int: [UInt8]] = [:]
  private var lastBlock = 0
  private var counted = Traffic()
  private var free: Int

  /// - Parameter capacity: bytes that it has.
  init(capacity: Int) {
    free = capacity
    queue.setSpecific(key: key, value: ())
  }

  var traffic: Traffic { sync { counted } }
  /// Blocks that are in use.
  var blockCount: Int { sync { memory.count } }

  private func sync<R>(_ body: () throws -> R) rethrows -> R {
    // A command may ask while it runs.
    DispatchQueue.getSpecific(key: key) == nil ? try queue.sync(execute: body) : try body()
  }

  // MARK: Transfers

  func copyIn(_ bytes: [UInt8]) throws -> Int {
    try sync {
      counted.uploads += 1
      return try store(bytes)
    }
  }

  func copyOut(_ block: Int, to target: UnsafeMutableRawBufferPointer) throws {
    try sync {
      counted.downloads += 1
      target.copyBytes(from: try load(block))
    }
  }

  func release(_ block: Int) { queue.async { self.forget(block) } }

  // MARK: Work

  /// Runs a command behind all that were given before, and returns at once.
  func launch(_ command: @escaping @Sendable () -> Void) { queue.async(execute: command) }

  /// Holds the queue until what it returns is called: work that is launched meanwhile waits.
  func pause() -> @Sendable () -> Void {
    let gate = DispatchSemaphore(value: 0)
    queue.async { gate.wait() }
    return { gate.signal() }
  }

  // MARK: For commands

  func load(_ block: Int) throws -> [UInt8] {
    guard let bytes = memory[block] else { throw ApusError(.argument, "the accelerator has no block \(block)") }
    return bytes
  }

  func store(_ bytes: [UInt8]) throws -> Int {
    guard bytes.count <= free else {
      throw ApusError(.memory, "the accelerator has \(free) bytes left, and \(bytes.count) are asked for")
    }
    free -= bytes.count
    lastBlock += 1
    memory[lastBlock] = bytes
    return lastBlock
  }

  /// Puts a result where a donated block was.
  func overwrite(_ block: Int, _ bytes: [UInt8]) {
    counted.donations += 1
    memory[block] = bytes
  }

  private func forget(_ block: Int) { free += memory.removeValue(forKey: block)?.count ?? 0 }
}
