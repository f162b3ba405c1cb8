import Foundation
import Testing

@testable import ApusTrain

/// What a person, or a log file, sees of a training.
@Suite struct ProgressTests {
  /// What one epoch of four steps writes to a descriptor, drawn after every step.
  private func written(to output: Int32, readFrom input: Int32) async throws -> String {
    try await Points.trainer().fit(
      Points.train(), epochs: 1, callbacks: [Callback { ProgressBar(output, interval: .zero) }])
    var bytes = [UInt8](repeating: 0, count: 4096)
    let count = read(input, &bytes, bytes.count)
    return String(decoding: bytes.prefix(max(count, 0)), as: UTF8.self)
  }

  @Test func aTerminalHasOneLiveLine() async throws {
    var (master, slave) = (Int32(-1), Int32(-1))
    try #require(openpty(&master, &slave, nil, nil, nil) == 0)
    defer {
      close(slave)
      close(master)
    }
    let drawn = try await written(to: slave, readFrom: master).components(separatedBy: "\r")
    // The terminal's driver makes one character, \r\n, of the last line's end.
    try #require(drawn.count == 6 && drawn[0] == "" && drawn[5].hasSuffix("\u{1B}[K\r\n"), "\(drawn)")
    for (step, line) in drawn[1...4].enumerated() {
      let bar = ProgressText.bar(step + 1, of: 4)
      #expect(line.hasPrefix("Epoch 1/1 \(bar) \(step + 1)/4 · ") && line.hasSuffix("\u{1B}[K"), "\(line)")
      #expect(line.contains("/s · ETA ") && line.contains(" · loss "), "\(line)")
    }
    #expect(drawn[5].hasPrefix("Epoch 1/1 · 4 steps in ") && drawn[5].contains(" · accuracy "), "\(drawn)")
  }

  @Test func aPipeGetsWholeLines() async throws {
    let pipe = Pipe()
    let (output, input) = (pipe.fileHandleForWriting.fileDescriptor, pipe.fileHandleForReading.fileDescriptor)
    let text = try await written(to: output, readFrom: input)
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    #expect(lines.count == 6 && lines[5] == "" && !text.contains("\r") && !text.contains("\u{1B}"), "\(text)")
    #expect(lines[1].hasPrefix("Epoch 1/1 ") && lines[1].contains(" 2/4 · ") && lines[1].contains(" · ETA "))
    #expect(lines[4].hasPrefix("Epoch 1/1 · 4 steps in "))
  }
}

@Suite struct ProgressTextTests {
  @Test func parts() {
    #expect(ProgressText.bar(0, of: 4) == String(repeating: "─", count: 20))
    #expect(ProgressText.bar(4, of: 4) == String(repeating: "━", count: 20))
    #expect(ProgressText.bar(1, of: 8) == "━━╸" + String(repeating: "─", count: 17))
    #expect(
      [0.44, 9.96, 42, 185, 3723].map { ProgressText.duration($0) } == ["0.4 s", "10 s", "42 s", "3:05", "1:02:03"])
    #expect(ProgressText.duration(.infinity) == "–")
    #expect(
      [0, 0.98765, -0.5, 12.3, 1.25e-5, 3e12, .nan].map { ProgressText.number($0) }
        == ["0.0000", "0.9877", "-0.5000", "12.3000", "1.25e-5", "3.00e12", "nan"])
    #expect(
      [.leastNonzeroMagnitude, -.leastNonzeroMagnitude, 0x1p-1030, 1.7e308, -.infinity].map { ProgressText.number($0) }
        == ["4.94e-324", "-4.94e-324", "8.69e-311", "1.70e308", "-inf"])
    #expect(ProgressText.rate(3.14159) == "3.1/s" && ProgressText.rate(5312.4) == "5312/s")
    #expect(ProgressText.values([("loss", 0.5), ("accuracy", 1)]) == " · loss 0.5000 · accuracy 1.0000")
  }
}
