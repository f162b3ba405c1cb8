import CApus
import Glibc
import Testing

@testable import ApusCPU
@testable import ApusCore

/// Under `ulimit -v`, as on shared machines: libraries that would wait for memory for ever are not asked for it.
@Suite struct MemoryLimitTests {
  /// Limits the process to so many MiB beyond what it has mapped.
  private static func leave(_ mebibytes: Int) {
    let mapped = mappedBytes()
    var limit = rlimit(rlim_cur: rlim_t(mapped + mebibytes << 20), rlim_max: rlim_t(mapped + mebibytes << 20))
    precondition(setrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limit) == 0)
  }
  private static func mappedBytes() -> Int {
    guard let file = fopen("/proc/self/statm", "r") else { return 0 }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 128)
    guard fgets(&line, 128, file) != nil else { return 0 }
    return (Int(strtol(line, nil, 10))) * Int(sysconf(Int32(_SC_PAGESIZE)))
  }

  @Test("products and convolutions are computed, by what fits", arguments: [60, 200, 330, 700])
  func limited(_ mebibytes: Int) async {
    await #expect(processExitsWith: .success) { [mebibytes] in
      MemoryLimitTests.leave(mebibytes)
      precondition(apus_bytes_mappable() <= mebibytes << 20)
      for dtype in [DType.float32, .float64] {
        for n in [3, 70] {
          let a = (Tensor.iota([n, n], axis: 0, dtype: .int64) % 5).cast(to: dtype)
          let b = (Tensor.iota([n, n], axis: 1, dtype: .int64) % 7).cast(to: dtype)
          // Every row of a is one number, every column of b too.
          let product = try checked { a.matmul(b) }.toArray(of: Double.self)
          for i in 0..<n { for j in 0..<n { precondition(product[i * n + j] == Double(n * (i % 5) * (j % 7))) } }
        }
        let y = try checked {
          Tensor.ones([1, 2, 6, 6], dtype: dtype).convolution2D(Tensor.ones([3, 2, 3, 3], dtype: dtype))
        }
        precondition(y.toArray(of: Double.self) == [Double](repeating: 18, count: 48))
      }
      do {
        _ = try checked { Tensor.zeros([1 << 20, 1 << 10]).sum() }
        preconditionFailure("4 GiB were had")
      } catch let error as ApusError { precondition(error.kind == .memory) }
    }
  }

  @Test("the limits are read")
  func numbers() {
    #expect(apus_bytes_allowed() > 0 && apus_processors() >= 1)
    #expect(apus_has_room(0) && !apus_has_room(Int.max))
    let error = #expect(throws: ApusError.self) {
      try Storage(TensorType(.uint8, [Dim(Int(apus_bytes_allowed()) + 1)]))
    }
    #expect(error?.kind == .memory)
  }
}
