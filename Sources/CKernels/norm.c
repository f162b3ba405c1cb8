// Euclidean norms over the middle of [outer, length, inner]: how the work is cut, and numbers whose squares leave the
// range of double precision.
#include "internal.h"

#include <stdlib.h>

struct norm_kernels {
  double (*squares)(int64_t n, const void *x, double by);
  void (*columns)(int64_t rows, int64_t width, int64_t stride, const void *x, double *sums);
};
struct norm_table {
  struct norm_kernels kernels[2];
};

#define CK_BODY "norm_body.h"
#include "levels.h"

CK_TABLES(struct norm_table, norm_table);

enum { TILE = 512, PART = 65536 };

struct norm_call {
  const struct norm_kernels *kernels;
  bool is_double;
  int64_t length, inner, tiles, parts;
  const char *x;
  char *out;
  double *partial;
};

// float32's squares are all normal numbers in double precision.
static bool is_ordinary(const struct norm_call *c, double squares) {
  return !c->is_double || (squares > 1e-280 && squares < 1e300);
}

// Of doubles, scaled by a power of two to the largest.
static double scaled_norm(int64_t n, int64_t stride, const double *x) {
  double top = 0, squares = 0;
  for (int64_t i = 0; i < n; i++) {
    double a = fabs(x[i * stride]);
    if (!(a <= top)) top = a;
    if (top != top) return top;
  }
  if (top == 0 || top > 1.7976931348623157e308) return top;
  double by = ldexp(1, CK_MIN(1000, -ilogb(top)));
  for (int64_t i = 0; i < n; i++) squares += (x[i * stride] * by) * (x[i * stride] * by);
  return sqrt(squares) / by;
}

static double run_norm(const struct norm_call *c, int64_t n, const char *x) {
  double squares = c->kernels->squares(n, x, 1);
  return is_ordinary(c, squares) ? sqrt(squares) : scaled_norm(n, 1, (const double *)(const void *)x);
}

static int64_t element_size(const struct norm_call *c) { return c->is_double ? 8 : 4; }

static void store(const struct norm_call *c, int64_t i, double value) {
  if (c->is_double)
    ((double *)(void *)c->out)[i] = value;
  else
    ((float *)(void *)c->out)[i] = (float)value;
}

static void rows_range(void *context, int64_t begin, int64_t end) {
  const struct norm_call *c = context;
  int64_t bytes = c->length * element_size(c);
  for (int64_t row = begin; row < end; row++) store(c, row, run_norm(c, c->length, c->x + row * bytes));
}

static void parts_range(void *context, int64_t begin, int64_t end) {
  const struct norm_call *c = context;
  for (int64_t unit = begin; unit < end; unit++) {
    int64_t start = unit % c->parts * PART, row = unit / c->parts;
    c->partial[unit] = run_norm(c, CK_MIN(PART, c->length - start), c->x + (row * c->length + start) * element_size(c));
  }
}

// Units are (outer, tile of columns).
static void tiles_range(void *context, int64_t begin, int64_t end) {
  const struct norm_call *c = context;
  double squares[TILE];
  for (int64_t unit = begin; unit < end; unit++) {
    int64_t row = unit / c->tiles, first = unit % c->tiles * TILE, width = CK_MIN(c->inner - first, TILE);
    const char *x = c->x + (row * c->length * c->inner + first) * element_size(c);
    c->kernels->columns(c->length, width, c->inner, x, squares);
    for (int64_t j = 0; j < width; j++) {
      bool ordinary = is_ordinary(c, squares[j]);
      const double *column = (const double *)(const void *)(x + j * element_size(c));
      store(c, row * c->inner + first + j, ordinary ? sqrt(squares[j]) : scaled_norm(c->length, c->inner, column));
    }
  }
}

int ck_norm(ck_dtype dtype, int64_t outer, int64_t length, int64_t inner, const void *x, void *out) {
  if (dtype != CK_FLOAT32 && dtype != CK_FLOAT64) return CK_UNSUPPORTED;
  if (length < 0) return CK_BAD_SHAPE;
  if (outer <= 0 || inner <= 0) return CK_OK;
  struct norm_call c = {.kernels = &CK_TABLE(norm_table)->kernels[dtype == CK_FLOAT64],
                        .is_double = dtype == CK_FLOAT64, .length = length, .inner = inner, .x = x, .out = out};
  if (inner > 1) {
    c.tiles = (inner + TILE - 1) / TILE;
    ck_parallel_for(outer * c.tiles, CK_MAX(1, PART / CK_MAX(1, length * CK_MIN(inner, TILE))), tiles_range, &c);
    return CK_OK;
  }
  // Few long rows are cut, by shape alone; many are shared out.
  if (outer >= 16 || length < 2 * PART) {
    ck_parallel_for(outer, CK_MAX(1, PART / CK_MAX(1, length)), rows_range, &c);
    return CK_OK;
  }
  c.parts = (length + PART - 1) / PART;
  c.partial = malloc((size_t)(outer * c.parts) * sizeof(double));
  if (!c.partial) return CK_NO_MEMORY;
  ck_parallel_for(outer * c.parts, 1, parts_range, &c);
  for (int64_t row = 0; row < outer; row++) store(&c, row, scaled_norm(c.parts, 1, c.partial + row * c.parts));
  free(c.partial);
  return CK_OK;
}
