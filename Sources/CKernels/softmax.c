// Softmax over the middle of [outer, n, inner]: lookup and splitting.
#include "lanes.h"
#include "vmath.h"

enum { SOFTMAX_TILE = 512 };

struct softmax_kernels {
  void (*rows)(bool logarithm, int64_t rows, int64_t n, const void *x, void *y);
  void (*columns)(bool logarithm, int64_t n, int64_t inner, int64_t width, const void *x, void *y);
  void (*backward_rows)(bool logarithm, int64_t rows, int64_t n, const void *y, const void *g, void *dx);
  void (*backward_columns)(bool logarithm, int64_t n, int64_t inner, int64_t width, const void *y, const void *g,
                           void *dx);
};
struct softmax_table {
  struct softmax_kernels kernels[2];
};

#define CK_LOG1P_f32 ck_log1pf
#define CK_LOG1P_f64 log1p

#define CK_BODY "softmax_body.h"
#include "levels.h"

CK_TABLES(struct softmax_table, softmax_table);

struct softmax_call {
  const struct softmax_kernels *kernels;
  bool logarithm;
  int64_t n, inner, size, tiles;
  const char *x, *g;  // x is y in the backward; g is NULL in the forward
  char *out;
};

static void rows_range(void *context, int64_t begin, int64_t end) {
  const struct softmax_call *c = context;
  int64_t at = begin * c->n * c->size;
  if (c->g)
    c->kernels->backward_rows(c->logarithm, end - begin, c->n, c->x + at, c->g + at, c->out + at);
  else
    c->kernels->rows(c->logarithm, end - begin, c->n, c->x + at, c->out + at);
}

static void tiles_range(void *context, int64_t begin, int64_t end) {
  const struct softmax_call *c = context;
  for (int64_t unit = begin; unit < end; unit++) {
    int64_t first = unit % c->tiles * SOFTMAX_TILE, width = CK_MIN(c->inner - first, SOFTMAX_TILE);
    int64_t at = (unit / c->tiles * c->n * c->inner + first) * c->size;
    if (c->g)
      c->kernels->backward_columns(c->logarithm, c->n, c->inner, width, c->x + at, c->g + at, c->out + at);
    else
      c->kernels->columns(c->logarithm, c->n, c->inner, width, c->x + at, c->out + at);
  }
}

static int run(ck_dtype dtype, bool logarithm, int64_t outer, int64_t n, int64_t inner, const void *x, const void *g,
               void *out) {
  if (dtype != CK_FLOAT32 && dtype != CK_FLOAT64) return CK_UNSUPPORTED;
  if (outer <= 0 || n <= 0 || inner <= 0) return CK_OK;
  struct softmax_call call = {&CK_TABLE(softmax_table)->kernels[dtype == CK_FLOAT64], logarithm, n, inner,
                              ck_dtype_size(dtype), (inner + SOFTMAX_TILE - 1) / SOFTMAX_TILE, x, g, out};
  if (inner == 1)
    ck_parallel_for(outer, CK_MAX(1, CK_GRAIN_MATH / n), rows_range, &call);
  else
    ck_parallel_for(outer * call.tiles, CK_MAX(1, CK_GRAIN_MATH / (n * CK_MIN(inner, SOFTMAX_TILE))), tiles_range,
                    &call);
  return CK_OK;
}

int ck_softmax(ck_dtype dtype, bool logarithm, int64_t outer, int64_t n, int64_t inner, const void *x, void *y) {
  return run(dtype, logarithm, outer, n, inner, x, NULL, y);
}

int ck_softmax_backward(ck_dtype dtype, bool logarithm, int64_t outer, int64_t n, int64_t inner, const void *y,
                        const void *g, void *dx) {
  return run(dtype, logarithm, outer, n, inner, y, g, dx);
}
