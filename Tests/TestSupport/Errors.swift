import ApusCore

/// What an error says, or that there was none.
public func message(_ body: () throws -> Void) -> String {
  do {
    try checked(body)
    return "no error"
  } catch {
    return (error as? ApusError)?.message ?? "another error: \(error)"
  }
}

/// The same for what waits.
public func message(_ body: () async throws -> Void) async -> String {
  do {
    try await body()
    return "no error"
  } catch {
    return (error as? ApusError)?.message ?? "another error: \(error)"
  }
}
