import ApusCore
import ApusData
import ApusFiles

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// What `state.json` holds beside the tensors.
struct CheckpointState: Codable {
  var format = 1
  var epoch: Int
  var position: Int
  var examples: Int
  var seconds: Double
  var runStart: Int
  var totalSteps: Int
  var dataset: DatasetState?
  /// Running sums of loss and metrics over the epoch so far, several for each.
  var totals: [[Double]]?
  /// The same in checkpoints of earlier versions: one sum over the examples for each.
  var sums: [Double]?
  /// Key and offset of the random generators; the default one's name is empty.
  var generators: [String: [Int64]]
  var history: History
}

extension CheckpointState {
  /// The running sums, whichever version made them. An earlier one counted examples, also where they had several targets.
  var runningSums: [[Double]] { totals ?? sums?.map { [$0, Double(examples)] } ?? [] }

  /// Reads `state.json`; whatever is in the file, its numbers can be counted on from there without overflow.
  /// - Throws: `ApusError` (file) when it is missing, damaged or senseless.
  init(path: String) throws {
    let bytes = try InputFile.bytes(of: path, limit: 1 << 28)
    let decoder = JSONDecoder()
    decoder.nonConformingFloatDecodingStrategy = .convertFromString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    do {
      self = try decoder.decode(CheckpointState.self, from: Data(bytes))
    } catch DecodingError.keyNotFound(let key, _) {
      throw ApusError(.file, "\(path) is damaged: \(key.stringValue) is missing")
    } catch DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context),
      DecodingError.dataCorrupted(let context)
    {
      let place = context.codingPath.map(\.stringValue).joined(separator: ".")
      throw ApusError(.file, "\(path) is damaged: \(place.isEmpty ? "" : place + ": ")\(context.debugDescription)")
    } catch {
      throw ApusError(.file, "\(path) is damaged: it is no JSON")
    }
    guard format == 1 else { throw ApusError(.file, "\(path) has the format \(format); 1 is known") }
    try check(path)
  }

  private func check(_ path: String) throws {
    // Whole numbers that a double holds exactly: far more than any training counts, far from overflow.
    let limit = 1 << 53
    var counts = [
      ("epoch", epoch), ("position", position), ("examples", examples), ("runStart", runStart),
      ("totalSteps", totalSteps), ("dataset.epoch", dataset?.epoch ?? 0), ("dataset.position", dataset?.position ?? 0),
    ]
    var times = [("seconds", seconds)]
    for (index, epoch) in history.epochs.enumerated() {
      let name = "history.epochs[\(index)]"
      counts += [
        ("\(name).number", epoch.number), ("\(name).steps", epoch.steps), ("\(name).examples", epoch.examples),
      ]
      times.append(("\(name).seconds", epoch.seconds))
    }
    for (name, state) in generators {
      guard state.count == 2 else {
        throw ApusError(.file, "\(path): the generator '\(name)' has \(state.count) numbers, where key and offset fit")
      }
      counts.append(("the offset of the generator '\(name)'", Int(state[1])))
    }
    for (name, value) in counts where !(0...limit).contains(value) {
      throw ApusError(.file, "\(path): \(name) is \(value); 0 to \(limit) fit")
    }
    for (name, value) in times where !(value.isFinite && value >= 0) {
      throw ApusError(.file, "\(path): \(name) is \(value); a finite number from 0 on fits")
    }
    guard runStart <= epoch, dataset.map({ $0.epoch == epoch && $0.position == position }) ?? true else {
      throw ApusError(.file, "\(path): its numbers contradict each other")
    }
  }
}
