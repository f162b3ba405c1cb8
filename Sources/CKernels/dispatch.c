// The choice of instruction set, and splitting of element-wise kernels over the team.
#include "internal.h"

#include <stdlib.h>

int ck_level_index = 0;

static int best_level(void) {
#if CK_HAS_LEVELS
  __builtin_cpu_init();
  if (!(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c"))) return 0;
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512dq"))
    return 2;
  return 1;
#else
  return 0;
#endif
}

static const char *const level_names[3] = {"baseline", "avx2", "avx512"};

__attribute__((constructor)) static void choose_level(void) {
  int level = best_level();
  const char *wish = getenv("APUS_CPU");
  for (int i = 0; wish && i < level; i++)
    if (strcmp(wish, level_names[i]) == 0) level = i;
  ck_level_index = level;
}

const char *ck_cpu_level(void) { return level_names[ck_level_index]; }

int64_t ck_dtype_size(ck_dtype dtype) {
  switch (dtype) {
    case CK_BOOL:
    case CK_UINT8:
    case CK_INT8: return 1;
    case CK_INT16:
    case CK_UINT16:
    case CK_FLOAT16:
    case CK_BFLOAT16: return 2;
    case CK_INT32:
    case CK_UINT32:
    case CK_FLOAT32: return 4;
    case CK_INT64:
    case CK_UINT64:
    case CK_FLOAT64: return 8;
  }
  return 0;
}

struct binary_call {
  ck_binary_fn kernel;
  const char *a, *b;
  char *out;
  int64_t size_a, size_b, size_out;
};

static void binary_range(void *context, int64_t begin, int64_t end) {
  const struct binary_call *c = context;
  c->kernel(end - begin, c->a + begin * c->size_a, c->b + begin * c->size_b, c->out + begin * c->size_out);
}

void ck_split_binary(ck_binary_fn kernel, int64_t n, const void *a, const void *b, void *out, int64_t size_a,
                     int64_t size_b, int64_t size_out, int64_t grain) {
  struct binary_call call = {kernel, a, b, out, size_a, size_b, size_out};
  ck_parallel_for(n, grain, binary_range, &call);
}

struct unary_call {
  ck_unary_fn kernel;
  const char *a;
  char *out;
  int64_t size_a, size_out;
};

static void unary_range(void *context, int64_t begin, int64_t end) {
  const struct unary_call *c = context;
  c->kernel(end - begin, c->a + begin * c->size_a, c->out + begin * c->size_out);
}

void ck_split_unary(ck_unary_fn kernel, int64_t n, const void *a, void *out, int64_t size_a, int64_t size_out,
                    int64_t grain) {
  struct unary_call call = {kernel, a, out, size_a, size_out};
  ck_parallel_for(n, grain, unary_range, &call);
}
