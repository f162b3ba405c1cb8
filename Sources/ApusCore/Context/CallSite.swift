import CApus
import Synchronization

/// Where an operation was called: addresses on the stack, the modules whose forward pass it was in, and the place in the
/// source that an enclosing call told.
///
/// It is made in microseconds, whether or not anybody will ask; names are looked up when they are asked for.
final class CallSite: Sendable {
  private let addresses: [UInt]
  private let calls: (any ModuleCallDescription)?
  /// What an enclosing `checked` or compiled function told: where the stack shows no frame of the user's.
  private let enclosing: String?
  /// What an asynchronous call told, `fit` say: where nothing else is known.
  private let task: String?
  private let found = Mutex<Found?>(nil)

  private struct Found {
    let location: String?
  }

  private static let limit = 48

  private init(_ addresses: [UInt], _ calls: (any ModuleCallDescription)?, _ enclosing: String?, task: String?) {
    self.addresses = addresses
    self.calls = calls
    self.enclosing = enclosing
    self.task = task
  }

  /// The place of the call that is running on this thread. The walk over the stack ends at the enclosing call that told
  /// its own place: frames beyond it are not where it happened.
  static func here() -> CallSite {
    let place = ExecutionContext.current?.place
    let addresses = [UInt](unsafeUninitializedCapacity: limit) { buffer, count in
      if let start = buffer.baseAddress { count = Int(apus_return_addresses(start, Int32(limit), place?.mark ?? 0)) }
    }
    return CallSite(addresses, currentCalls, place?.location, task: CallPlace.current)
  }

  /// The same for an error, which may be read when everything else is gone, and happens in today's task.
  var held: CallSite { CallSite(addresses, calls?.held, enclosing, task: CallPlace.current ?? task) }

  /// The place that the enclosing call told, for what fails outside of any operation.
  static func enclosing(_ place: CallPlace?) -> CallSite? {
    if place == nil, CallPlace.current == nil { return nil }
    return CallSite([], currentCalls, place?.location, task: CallPlace.current)
  }

  private static var currentCalls: (any ModuleCallDescription)? {
    apus_current_calls().flatMap {
      Unmanaged<AnyObject>.fromOpaque($0).takeRetainedValue() as? any ModuleCallDescription
    }
  }

  /// `encoder.0 (Linear)`; nil outside of every module.
  var module: String? { calls?.text }

  /// `file:line`, looked up once.
  var location: String? {
    if let found = found.withLock({ $0 }) { return found.location }
    // Not under the lock: a lookup takes long.
    let location = UserFrame.location(of: addresses) ?? enclosing ?? task
    found.withLock { $0 = Found(location: location) }
    return location
  }
}

/// Tells the modules that a thread was in, without keeping them alive: a graph that keeps it may be a module's own.
package protocol ModuleCallDescription: AnyObject, Sendable {
  /// The same, keeping them alive.
  var held: any ModuleCallDescription { get }
  /// `encoder.0 (Linear)`; nil outside of every module.
  var text: String? { get }
}

/// The place in the source that a call of the user's is known by.
package struct CallPlace: Sendable {
  /// `file:line`.
  let location: String
  /// Beyond it on the stack lie the call itself and its callers.
  let mark: UInt

  /// nil when the file is this library's own: then an enclosing call knows better.
  init?(_ file: StaticString, _ line: UInt, mark: UInt) {
    guard !UserFrame.isOurs(fileID: "\(file)") else { return nil }
    self.init("\(file):\(line)", mark: mark)
  }

  private init(_ location: String, mark: UInt) {
    self.location = location
    self.mark = mark
  }

  /// The same place for a call that runs its body later, from elsewhere.
  func marked(_ mark: UInt) -> CallPlace { CallPlace(location, mark: mark) }

  /// The place of an asynchronous call, whose own frames are not on the stack of what it runs.
  @TaskLocal package static var current: String?

  /// Runs `body` so that errors in it which no frame of the user's explains name this place.
  package static func telling<R>(
    _ file: StaticString, _ line: UInt, isolation: isolated (any Actor)? = #isolation, _ body: () async throws -> R
  ) async rethrows -> R {
    guard !UserFrame.isOurs(fileID: "\(file)") else { return try await body() }
    return try await $current.withValue("\(file):\(line)", operation: body, isolation: isolation)
  }
  /// The same for a synchronous call.
  package static func telling<R>(_ file: StaticString, _ line: UInt, _ body: () throws -> R) rethrows -> R {
    guard !UserFrame.isOurs(fileID: "\(file)") else { return try body() }
    return try $current.withValue("\(file):\(line)", operation: body)
  }
}
