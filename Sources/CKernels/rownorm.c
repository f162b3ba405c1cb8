// Layer norm and RMS norm over the last axis: lookup and splitting.
#include "lanes.h"

#include <stdlib.h>

struct rownorm_kernels {
  void (*forward)(int64_t rows, int64_t n, bool centred, double epsilon, const void *x, const void *scale,
                  const void *shift, void *y, void *mean, void *rstd);
  void (*backward)(int64_t rows, int64_t n, const void *x, const void *g, const void *mean, const void *rstd,
                   const void *scale, void *dx, double *dscale, double *dshift, void *scratch);
};
struct rownorm_table {
  struct rownorm_kernels kernels[2];
};

#define CK_BODY "rownorm_body.h"
#include "levels.h"

CK_TABLES(struct rownorm_table, rownorm_table);

struct rownorm_call {
  const struct rownorm_kernels *kernels;
  int64_t rows, n, size;
  bool centred;
  double epsilon;
  const char *x, *g, *mean, *rstd, *scale, *shift;
  char *out, *mean_out, *rstd_out;
  // Backward: rows are cut into parts by shape alone; each has two rows of sums and one of scratch.
  int64_t part_rows;
  double *sums;
  bool want_scale, want_shift;
};

static const char *advanced(const char *p, int64_t bytes) { return p ? p + bytes : NULL; }

static void forward_range(void *context, int64_t begin, int64_t end) {
  const struct rownorm_call *c = context;
  int64_t at = begin * c->n * c->size, per_row = begin * c->size;
  c->kernels->forward(end - begin, c->n, c->centred, c->epsilon, c->x + at, c->scale, c->shift, c->out + at,
                      c->mean_out ? c->mean_out + per_row : NULL, c->rstd_out ? c->rstd_out + per_row : NULL);
}

static void backward_range(void *context, int64_t begin, int64_t end) {
  const struct rownorm_call *c = context;
  for (int64_t part = begin; part < end; part++) {
    int64_t row = part * c->part_rows, count = CK_MIN(c->part_rows, c->rows - row);
    int64_t at = row * c->n * c->size, per_row = row * c->size;
    double *sums = c->sums + part * 3 * c->n;
    memset(sums, 0, (size_t)c->n * 2 * sizeof(double));
    c->kernels->backward(count, c->n, c->x + at, c->g + at, advanced(c->mean, per_row), c->rstd + per_row, c->scale,
                         c->out ? c->out + at : NULL, c->want_scale ? sums : NULL, c->want_shift ? sums + c->n : NULL,
                         sums + 2 * c->n);
  }
}

static void store_sums(ck_dtype dtype, int64_t n, int64_t parts, const double *sums, int64_t stride, void *out) {
  for (int64_t i = 0; i < n; i++) {
    double sum = 0;
    for (int64_t part = 0; part < parts; part++) sum += sums[part * stride + i];
    if (dtype == CK_FLOAT64)
      ((double *)out)[i] = sum;
    else
      ((float *)out)[i] = (float)sum;
  }
}

static int forward(ck_dtype dtype, bool centred, int64_t rows, int64_t n, double epsilon, const void *x,
                   const void *scale, const void *shift, void *y, void *mean, void *rstd) {
  if (dtype != CK_FLOAT32 && dtype != CK_FLOAT64) return CK_UNSUPPORTED;
  if (rows <= 0 || n <= 0) return CK_OK;
  struct rownorm_call call = {.kernels = &CK_TABLE(rownorm_table)->kernels[dtype == CK_FLOAT64],
                              .rows = rows, .n = n, .size = ck_dtype_size(dtype), .centred = centred,
                              .epsilon = epsilon, .x = x, .scale = scale, .shift = shift, .out = y,
                              .mean_out = mean, .rstd_out = rstd};
  ck_parallel_for(rows, CK_MAX(1, CK_GRAIN_LIGHT / n), forward_range, &call);
  return CK_OK;
}

static int backward(ck_dtype dtype, int64_t rows, int64_t n, const void *x, const void *g, const void *mean,
                    const void *rstd, const void *scale, void *dx, void *dscale, void *dshift) {
  if (dtype != CK_FLOAT32 && dtype != CK_FLOAT64) return CK_UNSUPPORTED;
  if (n <= 0) return CK_OK;
  int64_t part_rows = CK_MAX(CK_MAX(1, CK_GRAIN_LIGHT / n), (rows + 31) / 32);
  int64_t parts = rows <= 0 ? 0 : (rows + part_rows - 1) / part_rows;
  struct rownorm_call call = {.kernels = &CK_TABLE(rownorm_table)->kernels[dtype == CK_FLOAT64],
                              .rows = rows, .n = n, .size = ck_dtype_size(dtype), .x = x, .g = g, .mean = mean,
                              .rstd = rstd, .scale = scale, .out = dx, .part_rows = part_rows,
                              .want_scale = dscale != NULL, .want_shift = dshift != NULL};
  call.sums = malloc((size_t)(parts * 3 * n + 1) * sizeof(double));
  if (!call.sums) return CK_NO_MEMORY;
  ck_parallel_for(parts, 1, backward_range, &call);
  if (dscale) store_sums(dtype, n, parts, call.sums, 3 * n, dscale);
  if (dshift) store_sums(dtype, n, parts, call.sums + n, 3 * n, dshift);
  free(call.sums);
  return CK_OK;
}

int ck_layer_norm(ck_dtype dtype, int64_t rows, int64_t n, double epsilon, const void *x, const void *scale,
                  const void *shift, void *y, void *mean, void *rstd) {
  return forward(dtype, true, rows, n, epsilon, x, scale, shift, y, mean, rstd);
}

int ck_layer_norm_backward(ck_dtype dtype, int64_t rows, int64_t n, const void *x, const void *g, const void *mean,
                           const void *rstd, const void *scale, void *dx, void *dscale, void *dshift) {
  return backward(dtype, rows, n, x, g, mean, rstd, scale, dx, dscale, dshift);
}

int ck_rms_norm(ck_dtype dtype, int64_t rows, int64_t n, double epsilon, const void *x, const void *scale, void *y,
                void *rstd) {
  return forward(dtype, false, rows, n, epsilon, x, scale, NULL, y, NULL, rstd);
}

int ck_rms_norm_backward(ck_dtype dtype, int64_t rows, int64_t n, const void *x, const void *g, const void *rstd,
                         const void *scale, void *dx, void *dscale) {
  return backward(dtype, rows, n, x, g, NULL, rstd, scale, dx, dscale, NULL);
}
