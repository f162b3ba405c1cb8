// Apus's side of the benchmarks: ../../peers/worker.py says what the lines on standard input and output mean.
// `apus-bench startup` only adds two tensors, for timing a process from its start.
import Apus

#if canImport(Glibc)
  import Glibc
#endif

func answer(_ line: String) {
  let bytes = Array((line + "\n").utf8)
  var written = 0
  while written < bytes.count {
    let count = bytes[written...].withUnsafeBytes { write(1, $0.baseAddress, $0.count) }
    guard count > 0 else { exit(1) }
    written += count
  }
}

func peakMemoryKiB() -> Int {
  var usage = rusage()
  getrusage(RUSAGE_SELF.rawValue, &usage)
  return usage.ru_maxrss
}

/// Seconds that `count` calls take, after one that is not timed.
func time(_ call: Workload.Call, count: Int) throws -> Double {
  try call()
  let clock = ContinuousClock()
  let elapsed = try clock.measure { for _ in 0..<count { try call() } }
  return elapsed / .seconds(1)
}

struct BadRequest: Error {
  let text: String
}

struct Session {
  var prepared: [String: Workload.Call] = [:]

  mutating func reply(to words: [Substring]) throws -> String {
    switch (words.first, words.count) {
    case ("list", 1): return "workloads " + Workload.all.map(\.name).joined(separator: " ")
    case ("version", 1): return "version Apus"
    case ("rss", 1): return "rss \(peakMemoryKiB())"
    case ("prepare", 2):
      let name = String(words[1])
      guard let workload = Workload.all.first(where: { $0.name == name }) else {
        throw BadRequest(text: "no workload \(name)")
      }
      let call = try workload.prepare()
      try call()
      prepared[name] = call
      return "ready \(name)"
    case ("run", 3):
      guard let call = prepared[String(words[1])], let count = Int(words[2]), count > 0 else {
        throw BadRequest(text: "\(words[1]) is not prepared, or \(words[2]) is not a count")
      }
      return "time \(try time(call, count: count))"
    case ("drop", 2):
      prepared[String(words[1])] = nil
      return "dropped \(words[1])"
    default: throw BadRequest(text: "unknown request \(words.joined(separator: " "))")
    }
  }
}

if CommandLine.arguments.dropFirst() == ["startup"] {
  answer("\((Tensor.ones([4]) + Tensor.ones([4])).sum().item())")
  exit(0)
}

var session = Session()
while let line = readLine(), line != "quit" {
  do {
    answer(try session.reply(to: line.split(separator: " ")))
  } catch let request as BadRequest {
    answer("error \(request.text)")
  } catch {
    answer("error \("\(error)".split(whereSeparator: \.isNewline).joined(separator: " "))")
  }
}
