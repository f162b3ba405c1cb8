import Synchronization

/// Keeps a program's state on a device between runs: what a variable or a gradient holds is uploaded once and stays there,
/// as what runs put there does; what the code caught is uploaded once for the program.
final class Residence: Sendable {
  let place: Placement
  /// By their inputs' positions.
  private let captures: [Int: Storage]

  private struct Key: Hashable {
    let storage: ObjectIdentifier
    let device: Device
  }
  /// An upload that others who want the same wait for.
  private final class Flight: Sendable {
    let made = Mutex<Storage?>(nil)
  }
  private static let flights = Mutex<[Key: Flight]>([:])

  init(_ program: Program, _ place: Placement) throws {
    self.place = place
    var captures: [Int: Storage] = [:]
    for (i, source) in program.sources.enumerated() {
      if case .capture(let tensor) = source { captures[i] = try place.resident(tensor.storage) }
    }
    self.captures = captures
  }

  /// The tensor that an input caught.
  func capture(_ input: Int, _ tensor: Tensor) -> Storage { captures[input] ?? tensor.storage }

  /// What somebody keeps, on the device; it is kept there from now on.
  /// - Parameters:
  ///   - current: what is kept now. It may wait for a run that replaces it, so nothing is held while it is asked.
  ///   - relocate: puts the second in place of the first.
  func kept(_ current: () -> Storage?, _ relocate: (Storage, Storage) -> Void) throws -> Storage? {
    while let storage = current() {
      if storage.opaque?.device == place.device { return storage }
      let key = Key(storage: ObjectIdentifier(storage), device: place.device)
      let flight = Self.flights.withLock { flights in
        let flight = flights[key] ?? Flight()
        flights[key] = flight
        return flight
      }
      // Another call may have brought it meanwhile, and be done with it.
      if current() !== storage { continue }
      defer { Self.flights.withLock { $0[key] = nil } }
      let resident = try flight.made.withLock { made in
        if let made { return made }
        let new = try place.resident(storage)
        made = new
        return new
      }
      if resident !== storage { relocate(storage, resident) }
      return resident
    }
    return nil
  }
}
