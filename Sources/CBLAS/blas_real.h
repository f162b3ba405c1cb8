// The functions of apus_blas.h for one element type: REAL, with the BLAS's letter for it in PREFIX.

static void LOCAL_NAME(PREFIX, scale)(int64_t m, int64_t n, REAL beta, REAL *c, int64_t ldc) {
  if (beta == 1) return;
  for (int64_t i = 0; i < m; i++)
    for (int64_t j = 0; j < n; j++) c[i * ldc + j] = beta == 0 ? 0 : c[i * ldc + j] * beta;
}

/// The product itself, sizes being checked.
static void LOCAL_NAME(PREFIX, product)(
    bool ta, bool tb, int64_t m, int64_t n, int64_t k, REAL alpha, const REAL *a, int64_t lda, const REAL *b,
    int64_t ldb, REAL beta, REAL *c, int64_t ldc) {
  if (m == 0 || n == 0) return;
  if (k == 0 || alpha == 0) {
    LOCAL_NAME(PREFIX, scale)(m, n, beta, c, ldc);
    return;
  }
  blas.LOCAL_NAME(PREFIX, gemm)(
      CblasRowMajor, ta ? CblasTrans : CblasNoTrans, tb ? CblasTrans : CblasNoTrans, (int)m, (int)n, (int)k, alpha, a,
      (int)lda, b, (int)ldb, beta, c, (int)ldc);
}

typedef struct {
  int64_t count, m, n, k, lda, ldb, ldc, strideA, strideB, strideC;
  REAL alpha, beta;
  const REAL *a, *b;
  REAL *c;
  bool ta, tb;
} LOCAL_NAME(PREFIX, Batch);

static void LOCAL_NAME(PREFIX, part)(const LOCAL_NAME(PREFIX, Batch) * batch, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; i++)
    LOCAL_NAME(PREFIX, product)(
        batch->ta, batch->tb, batch->m, batch->n, batch->k, batch->alpha, batch->a + i * batch->strideA, batch->lda,
        batch->b + i * batch->strideB, batch->ldb, batch->beta, batch->c + i * batch->strideC, batch->ldc);
}

static void LOCAL_NAME(PREFIX, parallelPart)(void *context) {
  const LOCAL_NAME(PREFIX, Batch) *batch = context;
  int64_t threads = apus_omp.num_threads(), index = apus_omp.thread_num();
  LOCAL_NAME(PREFIX, part)(batch, batch->count * index / threads, batch->count * (index + 1) / threads);
}

apus_blas_status SHIM_NAME(PREFIX, gemm_batch)(
    int64_t count, bool ta, bool tb, int64_t m, int64_t n, int64_t k, REAL alpha, const REAL *a, int64_t lda,
    int64_t strideA, const REAL *b, int64_t ldb, int64_t strideB, REAL beta, REAL *c, int64_t ldc, int64_t strideC) {
  if (count < 0 || !gemmFits(ta, tb, m, n, k, lda, ldb, ldc)) return APUS_BLAS_BAD_SIZE;
  if (count > 0 && m > 0 && n > 0 && k > 0 && !apus_blas_is_available()) return APUS_BLAS_MISSING;
  LOCAL_NAME(PREFIX, Batch) batch = {count,   m,       n,     k,    lda, ldb, ldc, strideA,
                                     strideB, strideC, alpha, beta, a,   b,   c,   ta, tb};
  double work = (double)m * (double)n * (double)(k > 0 ? k : 1);
  int threads = apus_omp.max_threads();
  if (threads > 1 && count > 1 && work < kWholeTeamWork && work * (double)count > kForkWork && !apus_omp.in_parallel()) {
    apus_omp.parallel(LOCAL_NAME(PREFIX, parallelPart), &batch, count < threads ? (unsigned)count : (unsigned)threads, 0);
  } else {
    LOCAL_NAME(PREFIX, part)(&batch, 0, count);
  }
  return APUS_BLAS_OK;
}
