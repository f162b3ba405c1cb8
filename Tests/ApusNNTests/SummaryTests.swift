import ApusCore
import ApusNN
import Testing

@Suite struct SummaryTests {
  @Test func table() throws {
    let model = Sequential {
      Conv2D(1, 8, kernelSize: 3)
      BatchNorm2D(8)
      Sequential {
        MaxPool2D(2); Flatten()
      }
      Linear(72, 10)
    }
    (model[0] as? Conv2D)?.setTrainable(false)
    let summary = try model.summary(input: [2, 1, 8, 8])
    #expect(
      summary.description == """
        Layer             Output        Parameters
        ──────────────────────────────────────────
        Sequential        [2, 10]                –
          0: Conv2D       [2, 8, 6, 6]          80
          1: BatchNorm2D  [2, 8, 6, 6]          16
          2: Sequential   [2, 72]                –
            0: MaxPool2D  [2, 8, 3, 3]           –
            1: Flatten    [2, 72]                –
          3: Linear       [2, 10]              730
        ──────────────────────────────────────────
        Input float32[2, 1, 8, 8], parameters 826 (trainable 746), 3.3 KiB
        """)
    #expect(summary.rows[3].path == "2" && summary.rows[4].path == "2.0")
    // Nothing was trained on the way.
    #expect(model.modes.areTraining)
    #expect((model[1] as? BatchNorm2D)?.numBatchesTracked.value.item(as: Int.self) == 0)
  }

  @Test func lazySizesAndErrors() throws {
    let model = Sequential {
      Dense(1234); Dense(1)
    }
    #expect(
      try model.summary(input: [1, 99]).description.contains("parameters 124,635 (trainable 124,635), 486.9 KiB"))
    #expect(throws: ApusError.self) { try model.summary(input: [1, 98]) }
    let words = Sequential {
      Embedding(10, 4); Lambda { $0.mean(1) }
    }
    #expect(try words.summary(input: [3, 7], dtype: .int64).rows[0].output?.shape == [3, 4])
  }
}
