#include "apus_blas.h"

#include <cblas.h>
#include <limits.h>

// The OpenMP run-time's entry points, called directly: the Swift toolchain's clang brings no OpenMP of its own.
void GOMP_parallel(void (*body)(void *), void *context, unsigned threads, unsigned flags);
int omp_get_max_threads(void);
int omp_get_num_threads(void);
int omp_get_thread_num(void);
void omp_set_num_threads(int count);
int omp_in_parallel(void);

/// Below this much work in one product, a batch is spread over threads product by product.
static const double kWholeTeamWork = 4e6;
/// Below this much work in a whole batch, a fork costs more than it brings.
static const double kForkWork = 1e5;

const char *apus_blas_message(apus_blas_status status) {
  switch (status) {
    case APUS_BLAS_OK: return "no error";
    case APUS_BLAS_BAD_SIZE:
      return "a matrix size or leading dimension is negative, shorter than its row, or above 2147483647";
  }
  return "unknown status";
}

void apus_blas_set_threads(int count) {
  if (count < 1) count = 1;
  openblas_set_num_threads(count);
}

static bool fits(int64_t value) { return value >= 0 && value <= INT_MAX; }

static bool gemmFits(
    bool ta, bool tb, int64_t m, int64_t n, int64_t k, int64_t lda, int64_t ldb, int64_t ldc) {
  return fits(m) && fits(n) && fits(k) && fits(lda) && fits(ldb) && fits(ldc) && lda >= (ta ? m : k)
      && ldb >= (tb ? k : n) && ldc >= n;
}

#define BLAS_NAME_(prefix, name) cblas_##prefix##name
#define BLAS_NAME(prefix, name) BLAS_NAME_(prefix, name)
#define SHIM_NAME_(prefix, name) apus_blas_##prefix##name
#define SHIM_NAME(prefix, name) SHIM_NAME_(prefix, name)
#define LOCAL_NAME_(prefix, name) prefix##name
#define LOCAL_NAME(prefix, name) LOCAL_NAME_(prefix, name)

#define REAL float
#define PREFIX s
#include "blas_real.h"
#undef REAL
#undef PREFIX

#define REAL double
#define PREFIX d
#include "blas_real.h"
