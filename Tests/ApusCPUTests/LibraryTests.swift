import CBLAS
import COneDNN
import Testing

/// What the engine relies on in the shims over OpenBLAS and oneDNN, beyond what its own tests reach.
@Suite struct LibraryTests {
  private func product(
    _ count: Int, _ ta: Bool, _ tb: Bool, _ m: Int, _ n: Int, _ k: Int, _ alpha: Float, _ a: [Float], _ b: [Float],
    _ beta: Float, _ c: [Float]
  ) -> [Float] {
    var result = c
    for q in 0..<count {
      for i in 0..<m {
        for j in 0..<n {
          var sum = 0.0
          for p in 0..<k {
            let x = a[q * m * k + (ta ? p * m + i : i * k + p)]
            let y = b[q * k * n + (tb ? j * k + p : p * n + j)]
            sum += Double(x) * Double(y)
          }
          let place = (q * m + i) * n + j
          result[place] = Float(Double(alpha) * sum) + (beta == 0 ? 0 : beta * c[place])
        }
      }
    }
    return result
  }

  /// All sizes from none up, and an output full of NaN where beta is 0: it must not be read.
  @Test func productsOfAnySize() {
    for (m, n, k) in [(0, 3, 2), (3, 0, 2), (2, 3, 0), (1, 1, 1), (5, 7, 3), (33, 20, 41)] {
      for ta in [false, true] {
        for tb in [false, true] {
          for beta in [0, 1, 0.5] as [Float] {
            let count = 3
            let a = (0..<count * m * k).map { Float($0 % 13) - 6 }
            let b = (0..<count * k * n).map { Float($0 % 11) - 5 }
            let start = [Float](repeating: beta == 0 ? .nan : 2, count: count * m * n)
            var c = start
            let status = apus_blas_sgemm_batch(
              Int64(count), ta, tb, Int64(m), Int64(n), Int64(k), 2, a, Int64(ta ? m : k), Int64(m * k), b,
              Int64(tb ? k : n), Int64(k * n), beta, &c, Int64(n), Int64(m * n))
            #expect(status == APUS_BLAS_OK)
            #expect(c == product(count, ta, tb, m, n, k, 2, a, b, beta, start), "\(m) \(n) \(k) \(ta) \(tb) \(beta)")
          }
        }
      }
    }
  }

  @Test func refusesImpossibleSizes() {
    func product(_ m: Int64, _ k: Int64, lda: Int64) -> apus_blas_status {
      var c: [Float] = [0]
      return apus_blas_sgemm_batch(1, false, false, m, 1, k, 1, [1], lda, 0, [1], 1, 0, 0, &c, 1, 1)
    }
    #expect(product(-1, 1, lda: 1) == APUS_BLAS_BAD_SIZE)
    #expect(product(1 << 33, 1, lda: 1) == APUS_BLAS_BAD_SIZE)
    #expect(product(1, 4, lda: 2) == APUS_BLAS_BAD_SIZE)
  }

  private func square(_ groups: Int64 = 1, kernel: Int64 = 3) -> apus_dnn_conv {
    apus_dnn_conv(
      batch: 1, inputChannels: 8, outputChannels: 8, groups: groups, height: 6, width: 6, kernelHeight: kernel,
      kernelWidth: kernel, strideHeight: 1, strideWidth: 1, dilationHeight: 1, dilationWidth: 1, padTop: 0, padLeft: 0,
      padBottom: 0, padRight: 0, bias: 0)
  }

  @Test func namesWhatIsWrongWithAConvolution() {
    var operation: apus_dnn_op_t?
    var tooLarge = square(kernel: 7)
    #expect(apus_dnn_convolution(APUS_DNN_CONV_INFERENCE, &tooLarge, nil, nil, nil, &operation) == APUS_DNN_INVALID)
    #expect(String(cString: apus_dnn_error()).contains("larger than the padded input"))
    var uneven = square(3)
    #expect(apus_dnn_convolution(APUS_DNN_CONV_INFERENCE, &uneven, nil, nil, nil, &operation) == APUS_DNN_INVALID)
    #expect(String(cString: apus_dnn_error()).contains("groups"))
    var layout: apus_dnn_layout_t?
    #expect(apus_dnn_layout_create(2, [1 << 40, 1 << 40], nil, &layout) == APUS_DNN_INVALID)
  }

  @Test func runChecksItsOperands() throws {
    var description = square()
    var operation: apus_dnn_op_t?
    #expect(apus_dnn_convolution(APUS_DNN_CONV_INFERENCE, &description, nil, nil, nil, &operation) == APUS_DNN_OK)
    let made = try #require(operation)
    defer { apus_dnn_op_release(made) }
    #expect(apus_dnn_op_operand_count(made) == 3)
    #expect(apus_dnn_run(made, [nil, nil], 2, nil) == APUS_DNN_INVALID)
  }
}
