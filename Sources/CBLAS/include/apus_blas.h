#ifndef APUS_BLAS_H
#define APUS_BLAS_H

#include <stdbool.h>
#include <stdint.h>

// A thin door to a BLAS (OpenBLAS built on OpenMP), for row-major matrices.
//
// Every function is total: sizes of zero are allowed, and where beta is 0 the output is never read, so it may hold
// uninitialised memory or NaN. Work runs on the OpenMP team of the calling thread, as oneDNN's does.

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
  APUS_BLAS_OK = 0,
  /// A size or leading dimension is negative, does not fit the library's 32-bit integers, or is too short for its row.
  APUS_BLAS_BAD_SIZE = 1,
  /// There is no OpenBLAS on this machine.
  APUS_BLAS_MISSING = 2,
} apus_blas_status;

/// Whether there is an OpenBLAS on this machine; loads it.
bool apus_blas_is_available(void);

/// What the library says of itself, "OpenBLAS 0.3.21 …"; null when it can't be loaded or says nothing.
const char *apus_blas_version(void);

/// A sentence for a status.
const char *apus_blas_message(apus_blas_status status);

/// `count` products C[m,n] = alpha · op(A)[m,k] · op(B)[k,n] + beta · C, where op transposes when asked. `lda` is the
/// distance between rows of A as stored ([m,k], or [k,m] when transposed); B and C alike. Operand i starts at
/// `a + i * strideA` (a stride of 0 repeats it), and so on.
/// Many small products are spread over the threads, each computed by one; few large ones use all threads in turn.
apus_blas_status apus_blas_sgemm_batch(
    int64_t count, bool transposeA, bool transposeB, int64_t m, int64_t n, int64_t k, float alpha, const float *a,
    int64_t lda, int64_t strideA, const float *b, int64_t ldb, int64_t strideB, float beta, float *c, int64_t ldc,
    int64_t strideC);
apus_blas_status apus_blas_dgemm_batch(
    int64_t count, bool transposeA, bool transposeB, int64_t m, int64_t n, int64_t k, double alpha, const double *a,
    int64_t lda, int64_t strideA, const double *b, int64_t ldb, int64_t strideB, double beta, double *c, int64_t ldc,
    int64_t strideC);

#ifdef __cplusplus
}
#endif

#endif
