import CKernels

/// The threads that own an OpenMP team, the program's first and one for all others: parallel work runs there in turns.
enum ComputeThread {
  private struct Job {
    let body: () throws -> Void
    var failure: (any Error)?
  }

  /// Runs `body` there and waits. Whatever `body` needs from locked places (a storage's address) is fetched before.
  static func run(_ body: () throws -> Void) throws {
    let failure = withoutActuallyEscaping(body) { body in
      var job = Job(body: body, failure: nil)
      withUnsafeMutablePointer(to: &job) { pointer in
        ck_compute_run(
          { context in
            guard let job = context?.assumingMemoryBound(to: Job.self) else { return }
            do { try job.pointee.body() } catch { job.pointee.failure = error }
          }, pointer)
      }
      return job.failure
    }
    if let failure { throw failure }
  }
}
