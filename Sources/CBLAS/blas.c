#include "apus_blas.h"

#include <capus_limits.h>
#include <cblas.h>
#include <copenmp.h>
#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>

/// Below this much work in one product, a batch is spread over threads product by product.
static const double kWholeTeamWork = 4e6;
/// Below this much work in a whole batch, a fork costs more than it brings.
static const double kForkWork = 1e5;

// Whether the process's limits leave it no room.
static bool isRefused = false;

const char *apus_blas_message(apus_blas_status status) {
  switch (status) {
    case APUS_BLAS_OK: return "no error";
    case APUS_BLAS_BAD_SIZE:
      return "a matrix size or leading dimension is negative, shorter than its row, or above 2147483647";
    case APUS_BLAS_MISSING:
      return isRefused ? "OpenBLAS was not loaded: the process may not take the memory that it needs"
                       : "OpenBLAS can't be loaded (Debian: install libopenblas0-openmp)";
  }
  return "unknown status";
}

// Loaded when it is first needed, for the same reasons as oneDNN.
static struct {
  __typeof__(&cblas_sgemm) sgemm;
  __typeof__(&cblas_dgemm) dgemm;
  char *(*get_config)(void);
} blas;

static void load(void) {
  // Refused memory, its start tries again for ever. It maps about 130 MiB for each thread, and as much again for
  // callers of its own; tensors need room too.
  if (!apus_has_room(((size_t)512 + (size_t)192 * (size_t)apus_processors()) << 20)) {
    isRefused = true;
    return;
  }
  void *library = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) return;
  blas.sgemm = (__typeof__(blas.sgemm))dlsym(library, "cblas_sgemm");
  blas.dgemm = (__typeof__(blas.dgemm))dlsym(library, "cblas_dgemm");
  blas.get_config = (__typeof__(blas.get_config))dlsym(library, "openblas_get_config");
}

bool apus_blas_is_available(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, load);
  return blas.sgemm != NULL && blas.dgemm != NULL;
}

const char *apus_blas_version(void) {
  return apus_blas_is_available() && blas.get_config != NULL ? blas.get_config() : NULL;
}

static bool fits(int64_t value) { return value >= 0 && value <= INT_MAX; }

static bool gemmFits(
    bool ta, bool tb, int64_t m, int64_t n, int64_t k, int64_t lda, int64_t ldb, int64_t ldc) {
  return fits(m) && fits(n) && fits(k) && fits(lda) && fits(ldb) && fits(ldc) && lda >= (ta ? m : k)
      && ldb >= (tb ? k : n) && ldc >= n;
}

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
