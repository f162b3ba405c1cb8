import ApusCore

/// What an error says, or that there was none.
func message(_ body: () async throws -> Void) async -> String {
  do {
    try await body()
    return "no error"
  } catch let error as ApusError {
    return error.message
  } catch {
    return "another error: \(error)"
  }
}
