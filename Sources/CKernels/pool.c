// Two-dimensional pooling: windows, lookup and splitting.
#include "internal.h"

// Positions first..<last of a window along one axis lie inside the image; position k is at start + k * dilation.
struct window {
  int64_t start, first, last;
};

CK_INLINE struct window window_at(int64_t start, int64_t kernel, int64_t dilation, int64_t size) {
  struct window w = {start, 0, kernel};
  if (start < 0) w.first = (dilation - 1 - start) / dilation;
  if (start + (kernel - 1) * dilation >= size) w.last = start >= size ? 0 : (size - start + dilation - 1) / dilation;
  if (w.last < w.first) w.last = w.first;
  return w;
}
CK_INLINE struct window row_window(const ck_pool2d *p, int64_t oh) {
  return window_at(oh * p->stride_height - p->padding_top, p->kernel_height, p->dilation_height, p->height);
}
CK_INLINE struct window column_window(const ck_pool2d *p, int64_t ow) {
  return window_at(ow * p->stride_width - p->padding_left, p->kernel_width, p->dilation_width, p->width);
}

// Result columns from..<to.
struct span {
  int64_t from, to;
};

// Those of from..<to whose window has its column kw inside the image.
CK_INLINE struct span columns_inside(const ck_pool2d *p, int64_t kw, int64_t from, int64_t to) {
  int64_t before = p->padding_left - kw * p->dilation_width, step = p->stride_width;
  // Divisions only where the window does leave the image.
  if (from * step < before) from = (before + step - 1) / step;
  if ((to - 1) * step >= p->width + before) to = p->width + before <= 0 ? 0 : (p->width + before - 1) / step + 1;
  return (struct span){from, to};
}

// Those of from..<to whose window is wholly inside the image.
CK_INLINE struct span whole_columns(const ck_pool2d *p, int64_t from, int64_t to) {
  struct span first = columns_inside(p, 0, from, to), last = columns_inside(p, p->kernel_width - 1, from, to);
  return (struct span){CK_MAX(first.from, last.from), CK_MIN(first.to, last.to)};
}

// What an average divides by; 1 for a window wholly in the padding.
CK_INLINE int64_t divisor_of(const ck_pool2d *p, int64_t oh, int64_t ow, struct window rows, struct window columns) {
  int64_t area = (rows.last - rows.first) * (columns.last - columns.first);
  if (p->count_include_pad) {
    int64_t top = oh * p->stride_height - p->padding_top, left = ow * p->stride_width - p->padding_left;
    area = (CK_MIN(top + p->kernel_height, p->height + p->padding_bottom) - top) *
           (CK_MIN(left + p->kernel_width, p->width + p->padding_right) - left);
  }
  return area > 0 ? area : 1;
}

enum { COLUMN_TILE = 256 };
typedef int32_t index_f32;
typedef int64_t index_f64;

typedef void (*pool_fn)(const ck_pool2d *p, int64_t begin, int64_t end, const void *x, const void *g, void *out);
enum { POOL_MAX, POOL_MAX_BACKWARD, POOL_MAX_GATHER, POOL_AVERAGE, POOL_AVERAGE_BACKWARD, POOL_COUNT };
struct pool_table {
  pool_fn kernels[2][POOL_COUNT];
};

#define CK_BODY "pool_body.h"
#include "levels.h"

CK_TABLES(struct pool_table, pool_table);

struct pool_call {
  pool_fn kernel;
  const ck_pool2d *pool;
  const void *x, *g;
  void *out;
};

static void pool_range(void *context, int64_t begin, int64_t end) {
  const struct pool_call *c = context;
  c->kernel(c->pool, begin, end, c->x, c->g, c->out);
}

static bool is_valid(const ck_pool2d *p, int kind) {
  bool average = kind == POOL_AVERAGE || kind == POOL_AVERAGE_BACKWARD;
  return p->planes >= 0 && p->block > 0 && p->height >= 0 && p->width >= 0 && p->out_height >= 0 &&
         p->out_width >= 0 && p->kernel_height > 0 && p->kernel_width > 0 && p->stride_height > 0 &&
         p->stride_width > 0 && p->dilation_height > 0 && p->dilation_width > 0 &&
         (!average || (p->dilation_height == 1 && p->dilation_width == 1)) &&
         p->height * p->width * p->block <= INT32_MAX;
}

static int run(ck_dtype dtype, const ck_pool2d *p, int kind, const void *x, const void *g, void *out) {
  if (dtype != CK_FLOAT32 && dtype != CK_FLOAT64) return CK_UNSUPPORTED;
  if (!is_valid(p, kind)) return CK_BAD_SHAPE;
  struct pool_call call = {CK_TABLE(pool_table)->kernels[dtype == CK_FLOAT64][kind], p, x, g, out};
  // Windows may overlap, so a backward pass goes by planes, a forward pass by rows of the result.
  bool backward = kind == POOL_MAX_BACKWARD || kind == POOL_AVERAGE_BACKWARD;
  int64_t row_work = p->out_width * p->block * p->kernel_height * p->kernel_width;
  int64_t unit = backward ? row_work * p->out_height : row_work;
  ck_parallel_for(backward ? p->planes : p->planes * p->out_height, CK_MAX(1, CK_GRAIN_LIGHT / CK_MAX(unit, 1)),
                  pool_range, &call);
  return CK_OK;
}

int ck_max_pool(ck_dtype dtype, const ck_pool2d *pool, const void *x, void *y) {
  return run(dtype, pool, POOL_MAX, x, x, y);
}

int ck_max_pool_backward(ck_dtype dtype, const ck_pool2d *pool, const void *x, const void *g, void *dx) {
  return run(dtype, pool, POOL_MAX_BACKWARD, x, g, dx);
}

int ck_max_pool_gather(ck_dtype dtype, const ck_pool2d *pool, const void *x, const void *v, void *out) {
  return run(dtype, pool, POOL_MAX_GATHER, x, v, out);
}

int ck_average_pool(ck_dtype dtype, const ck_pool2d *pool, const void *x, void *y) {
  return run(dtype, pool, POOL_AVERAGE, x, x, y);
}

int ck_average_pool_backward(ck_dtype dtype, const ck_pool2d *pool, const void *g, void *dx) {
  return run(dtype, pool, POOL_AVERAGE_BACKWARD, g, g, dx);
}
