// Pooling for one element type CK_S at one instruction set. The functions with a parameter `b` are inlined with a
// constant block, so that the loops over its lanes become vector operations.
#define M(name) CK_PASTE(CK_PASTE(name, CK_S), CK_LEVEL)
#define T CK_PASTE(ck, CK_S)

#include "pool_plain.h"

// Blocks the inlined functions are compiled for; another block goes through the last line.
#define CK_FOR_BLOCK(CALL)                                          \
  switch (p->block) {                                               \
    case 8: { enum { B = 8 }; CALL; break; }                        \
    case 16: { enum { B = 16 }; CALL; break; }                      \
    default: { const int64_t B = p->block; CALL; break; }           \
  }

// Steps through the positions of a window in row-major order: `at` is the offset of the pixel in the plane.
#define CK_WINDOW(ROWS, COLUMNS)                                                                \
  for (int64_t kh = (ROWS).first; kh < (ROWS).last; kh++)                                       \
    for (int64_t kw = (COLUMNS).first,                                                          \
                 at = (((ROWS).start + kh * p->dilation_height) * p->width + (COLUMNS).start +  \
                       kw * p->dilation_width) * b;                                             \
         kw < (COLUMNS).last; kw++, at += p->dilation_width * b)

// Lanes are gone through 16 at a time with the running values in registers.
#define CK_LANE_TILES for (int64_t first = 0, lanes; first < b && (lanes = CK_MIN(b - first, 16)); first += 16)
#define CK_EACH_LANE CK_VECTORIZE for (int64_t l = 0; l < lanes; l++)

CK_INLINE void M(max_row)(const ck_pool2d *p, int64_t b, int64_t row, const T *x, T *y) {
  struct window rows = row_window(p, row);
  for (int64_t ow = 0; ow < p->out_width; ow++, y += b) {
    struct window columns = column_window(p, ow);
    CK_LANE_TILES {
      T best[16];
      CK_EACH_LANE best[l] = -(T)INFINITY;
      CK_WINDOW(rows, columns) {
        const T *v = x + at + first;
        CK_EACH_LANE best[l] = ((v[l] > best[l]) | (v[l] != v[l])) ? v[l] : best[l];
      }
      CK_EACH_LANE y[first + l] = best[l];
    }
  }
}

// Offset of the pixel of the first maximum, for each of up to 16 lanes.
CK_INLINE void M(find_max)(const ck_pool2d *p, int64_t b, struct window rows, struct window columns, int64_t first,
                           int64_t lanes, const T *x, CK_PASTE(index, CK_S) *found) {
  T best[16];
  bool begun = false;
  CK_EACH_LANE best[l] = -(T)INFINITY, found[l] = -1;
  CK_WINDOW(rows, columns) {
    const T *v = x + at + first;
    const CK_PASTE(index, CK_S) here = (CK_PASTE(index, CK_S))at;
    if (!begun) {
      CK_EACH_LANE best[l] = v[l], found[l] = here;
      begun = true;
      continue;
    }
    CK_EACH_LANE {
      const bool take = (v[l] > best[l]) | ((v[l] != v[l]) & (best[l] == best[l]));
      best[l] = take ? v[l] : best[l];
      found[l] = take ? here : found[l];
    }
  }
}

CK_INLINE void M(max_backward_plane)(const ck_pool2d *p, int64_t b, const T *x, const T *g, T *dx) {
  memset(dx, 0, sizeof(T) * (size_t)(p->height * p->width * b));
  for (int64_t oh = 0; oh < p->out_height; oh++) {
    struct window rows = row_window(p, oh);
    for (int64_t ow = 0; ow < p->out_width; ow++, g += b) {
      struct window columns = column_window(p, ow);
      CK_LANE_TILES {
        CK_PASTE(index, CK_S) found[16];
        M(find_max)(p, b, rows, columns, first, lanes, x, found);
        CK_WINDOW(rows, columns) {
          T *d = dx + at + first;
          const CK_PASTE(index, CK_S) here = (CK_PASTE(index, CK_S))at;
          CK_EACH_LANE d[l] += found[l] == here ? g[first + l] : 0;
        }
      }
    }
  }
}

CK_INLINE void M(max_gather_row)(const ck_pool2d *p, int64_t b, int64_t row, const T *x, const T *values, T *out) {
  struct window rows = row_window(p, row);
  for (int64_t ow = 0; ow < p->out_width; ow++, out += b) {
    struct window columns = column_window(p, ow);
    CK_LANE_TILES {
      CK_PASTE(index, CK_S) found[16];
      M(find_max)(p, b, rows, columns, first, lanes, x, found);
      for (int64_t l = 0; l < lanes; l++) out[first + l] = found[l] < 0 ? 0 : values[found[l] + first + l];
    }
  }
}

CK_INLINE void M(average_row)(const ck_pool2d *p, int64_t b, int64_t row, const T *x, T *y) {
  struct window rows = row_window(p, row);
  for (int64_t ow = 0; ow < p->out_width; ow++, y += b) {
    struct window columns = column_window(p, ow);
    const T divisor = (T)divisor_of(p, row, ow, rows, columns);
    CK_LANE_TILES {
      T sum[16];
      CK_EACH_LANE sum[l] = 0;
      CK_WINDOW(rows, columns) {
        const T *v = x + at + first;
        CK_EACH_LANE sum[l] += v[l];
      }
      CK_EACH_LANE y[first + l] = sum[l] / divisor;
    }
  }
}

CK_INLINE void M(average_backward_plane)(const ck_pool2d *p, int64_t b, const T *g, T *dx) {
  memset(dx, 0, sizeof(T) * (size_t)(p->height * p->width * b));
  for (int64_t oh = 0; oh < p->out_height; oh++) {
    struct window rows = row_window(p, oh);
    for (int64_t ow = 0; ow < p->out_width; ow++, g += b) {
      struct window columns = column_window(p, ow);
      const T divisor = (T)divisor_of(p, oh, ow, rows, columns);
      CK_LANE_TILES {
        T share[16];
        CK_EACH_LANE share[l] = g[first + l] / divisor;
        CK_WINDOW(rows, columns) {
          T *d = dx + at + first;
          CK_EACH_LANE d[l] += share[l];
        }
      }
    }
  }
}

// Ranges of (plane, output row) or of planes.
#define CK_GEOMETRY                                                                                               \
  const int64_t in = p->height * p->width * p->block, out_row = p->out_width * p->block;                          \
  const int64_t out = out_row * p->out_height;                                                                    \
  (void)in, (void)out

static void M(max)(const ck_pool2d *p, int64_t begin, int64_t end, const void *input, const void *unused, void *y) {
  (void)unused;
  CK_GEOMETRY;
  for (int64_t unit = begin; unit < end; unit++) {
    const int64_t row = unit % p->out_height;
    const T *x = (const T *)input + unit / p->out_height * in;
    T *to = (T *)y + unit * out_row;
    if (p->block == 1)
      M(max_row_plain)(p, row, x, to);
    else
      CK_FOR_BLOCK(M(max_row)(p, B, row, x, to))
  }
}

static void M(max_gather)(const ck_pool2d *p, int64_t begin, int64_t end, const void *input, const void *v, void *y) {
  CK_GEOMETRY;
  for (int64_t unit = begin; unit < end; unit++) {
    const int64_t row = unit % p->out_height, plane = unit / p->out_height * in;
    const T *x = (const T *)input + plane, *values = (const T *)v + plane;
    T *to = (T *)y + unit * out_row;
    if (p->block == 1)
      M(max_gather_row_plain)(p, row, x, values, to);
    else
      CK_FOR_BLOCK(M(max_gather_row)(p, B, row, x, values, to))
  }
}

static void M(average)(const ck_pool2d *p, int64_t begin, int64_t end, const void *input, const void *unused, void *y) {
  (void)unused;
  CK_GEOMETRY;
  for (int64_t unit = begin; unit < end; unit++) {
    const int64_t row = unit % p->out_height;
    const T *x = (const T *)input + unit / p->out_height * in;
    T *to = (T *)y + unit * out_row;
    if (p->block == 1)
      M(average_row_plain)(p, row, x, to);
    else
      CK_FOR_BLOCK(M(average_row)(p, B, row, x, to))
  }
}

static void M(max_backward)(const ck_pool2d *p, int64_t begin, int64_t end, const void *input, const void *gradient,
                            void *output) {
  CK_GEOMETRY;
  for (int64_t plane = begin; plane < end; plane++) {
    const T *x = (const T *)input + plane * in, *g = (const T *)gradient + plane * out;
    T *dx = (T *)output + plane * in;
    if (p->block == 1)
      M(max_backward_plane_plain)(p, x, g, dx);
    else
      CK_FOR_BLOCK(M(max_backward_plane)(p, B, x, g, dx))
  }
}

static void M(average_backward)(const ck_pool2d *p, int64_t begin, int64_t end, const void *unused,
                                const void *gradient, void *output) {
  (void)unused;
  CK_GEOMETRY;
  for (int64_t plane = begin; plane < end; plane++) {
    const T *g = (const T *)gradient + plane * out;
    T *dx = (T *)output + plane * in;
    if (p->block == 1)
      M(average_backward_plane_plain)(p, g, dx);
    else
      CK_FOR_BLOCK(M(average_backward_plane)(p, B, g, dx))
  }
}
#undef CK_GEOMETRY

#undef M
#undef T
#undef CK_FOR_BLOCK
#undef CK_WINDOW
#undef CK_LANE_TILES
#undef CK_EACH_LANE
