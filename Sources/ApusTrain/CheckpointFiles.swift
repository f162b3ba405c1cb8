import ApusCore
import ApusFiles
import ApusFormats
import ApusNN

/// The contents of one checkpoint, while others may be replacing it.
struct CheckpointFiles {
  let record: CheckpointState
  let weights: StateDictionary
  let slots: StateDictionary

  /// How often a checkpoint that was replaced meanwhile is read anew. A saver needs far longer for one than files take to
  /// be opened.
  private static let tries = 1000

  /// Reads a checkpoint whole. Its folder and its files are opened once; what is in them are parts of one checkpoint, or
  /// an error.
  /// - Throws: `ApusError` (file) when there is none, or it is damaged or put together of several.
  init(reading directory: String) throws {
    for _ in 0..<Self.tries {
      let folder = try AtomicReplacement.current(directory, containing: "state.json")
      do {
        try self.init(folder)
        return
      } catch {
        // Was it taken away while it was read? Then there is a newer one.
        if folder.isInPlace { throw error }
      }
    }
    throw ApusError(
      .file, "\(directory) was replaced again each of \(Self.tries) times it was read: try when less is saved")
  }

  private init(_ folder: Folder) throws {
    // All are opened before any is read: whoever removes them then leaves them to us.
    let state = try folder.file("state.json")
    let files = try ["model.safetensors", "optimizer.safetensors"].map { (name: $0, file: try folder.file($0)) }
    record = try CheckpointState(state)
    for (name, file) in files {
      guard let digests = record.digests else { break }
      guard let expected = digests[name], try file.digest() == expected else {
        throw ApusError(
          .file,
          "\(file.path) is not the one that state.json was saved with: the folder holds parts of several checkpoints")
      }
    }
    weights = try SafetensorsFile(files[0].file).stateDictionary()
    slots = try SafetensorsFile(files[1].file).stateDictionary()
  }
}

extension Trainer {
  /// What the run in a checkpoint was begun with; nil in those of older versions.
  /// - Throws: `ApusError` (file) when there is no checkpoint or its state is damaged.
  package static func runSettings(of directory: String) throws -> RunSettings? {
    try CheckpointState(AtomicReplacement.current(directory, containing: "state.json").file("state.json")).run
  }
}

/// Lets go of a lock that nobody needs any more.
struct WeakLock: Sendable {
  weak var lock: FolderLock?
}
