// Pooling of plain planes (block 1) for one element type CK_S at one instruction set, vectorised along a result row:
// for each position in the window, a pass over the columns whose window has that position inside the image.

#define CK_INDEX CK_PASTE(index, CK_S)

// out[i] = x[2 i]. Pairs are read and split in registers, as far as `available` elements of x reach: left alone, the
// compiler gathers, which is several times slower.
static void M(every_second)(int64_t n, int64_t available, const T *x, T *out) {
  enum { L = CK_PASTE(CK_PASTE(lanes, CK_S), CK_LEVEL) };
  typedef T pairs __attribute__((ext_vector_type(2 * L), aligned(sizeof(T))));
  typedef T half __attribute__((ext_vector_type(L), aligned(sizeof(T))));
  int64_t i = 0;
  for (; i + L <= n && 2 * (i + L) <= available; i += L) *(half *)(out + i) = (*(const pairs *)(x + 2 * i)).even;
  for (; i < n; i++) out[i] = x[2 * i];
}

// STATEMENT sees `ow`, a result column in from..<to (at most COLUMN_TILE of them), `at`, the offset of its pixel in the
// plane, and `v`, the value of x there.
#define CK_COLUMNS(STATEMENT)                                                                                     \
  for (int64_t kh = rows.first; kh < rows.last; kh++)                                                             \
    for (int64_t kw = 0; kw < p->kernel_width; kw++) {                                                            \
      const struct span span = columns_inside(p, kw, from, to);                                                   \
      const int64_t base = (rows.start + kh * p->dilation_height) * p->width + kw * p->dilation_width -           \
                           p->padding_left;                                                                       \
      const int64_t step = p->stride_width;                                                                       \
      if (step == 1) {                                                                                            \
        CK_VECTORIZE for (int64_t ow = span.from; ow < span.to; ow++) {                                           \
          const int64_t at = base + ow;                                                                           \
          const T v = x[at];                                                                                      \
          (void)at;                                                                                               \
          STATEMENT;                                                                                              \
        }                                                                                                         \
      } else {                                                                                                    \
        T values[COLUMN_TILE];                                                                                    \
        const int64_t first = base + step * span.from, count = span.to - span.from;                               \
        if (step == 2)                                                                                            \
          M(every_second)(count, p->height * p->width - first, x + first, values);                                \
        else                                                                                                      \
          CK_NO_VECTORIZE for (int64_t i = 0; i < count; i++) values[i] = x[first + step * i];                    \
        CK_VECTORIZE for (int64_t ow = span.from; ow < span.to; ow++) {                                           \
          const int64_t at = base + step * ow;                                                                    \
          const T v = values[ow - span.from];                                                                     \
          (void)at;                                                                                               \
          STATEMENT;                                                                                              \
        }                                                                                                         \
      }                                                                                                           \
    }

#define CK_COLUMN_TILES                                                                                           \
  for (int64_t from = 0, to; to = CK_MIN(from + COLUMN_TILE, p->out_width), from < p->out_width; from = to)

static void M(max_row_plain)(const ck_pool2d *p, int64_t row, const T *x, T *y) {
  const struct window rows = row_window(p, row);
  CK_COLUMN_TILES {
    for (int64_t ow = from; ow < to; ow++) y[ow] = -(T)INFINITY;
    CK_COLUMNS(y[ow] = ((v > y[ow]) | (v != v)) ? v : y[ow])
  }
}

// found[ow - from]: offset of the first maximum in the plane, -1 for none; for at most COLUMN_TILE columns.
static void M(find_max_plain)(const ck_pool2d *p, struct window rows, int64_t from, int64_t to, const T *x,
                              CK_INDEX *found) {
  T best[COLUMN_TILE];
  for (int64_t ow = from; ow < to; ow++) best[ow - from] = -(T)INFINITY, found[ow - from] = -1;
  CK_COLUMNS(const T b = best[ow - from]; const CK_INDEX f = found[ow - from];
             const bool take = (v > b) | ((v != v) & (b == b)) | (f < 0); best[ow - from] = take ? v : b;
             found[ow - from] = take ? (CK_INDEX)at : f)
}

static void M(max_backward_plane_plain)(const ck_pool2d *p, const T *x, const T *g, T *dx) {
  CK_INDEX found[COLUMN_TILE];
  memset(dx, 0, sizeof(T) * (size_t)(p->height * p->width));
  for (int64_t oh = 0; oh < p->out_height; oh++)
    CK_COLUMN_TILES {
      M(find_max_plain)(p, row_window(p, oh), from, to, x, found);
      for (int64_t ow = from; ow < to; ow++)
        if (found[ow - from] >= 0) dx[found[ow - from]] += g[oh * p->out_width + ow];
    }
}

static void M(max_gather_row_plain)(const ck_pool2d *p, int64_t row, const T *x, const T *values, T *out) {
  CK_INDEX found[COLUMN_TILE];
  CK_COLUMN_TILES {
    M(find_max_plain)(p, row_window(p, row), from, to, x, found);
    for (int64_t ow = from; ow < to; ow++) out[ow] = found[ow - from] < 0 ? 0 : values[found[ow - from]];
  }
}

// out[ow - from] = in[ow - from] / what the window's average divides by, for columns from..<to.
static void M(divide_row)(const ck_pool2d *p, int64_t row, int64_t from, int64_t to, const T *in, T *out) {
  const struct window rows = row_window(p, row);
  const struct span whole = whole_columns(p, from, to);
  for (int64_t ow = from; ow < to; ow++) {
    const T divisor = (T)divisor_of(p, row, ow, rows, column_window(p, ow));
    out[ow - from] = in[ow - from] / divisor;
    if (ow != whole.from) continue;
    // The windows wholly inside the image share one divisor.
    CK_VECTORIZE for (int64_t i = whole.from + 1; i < whole.to; i++) out[i - from] = in[i - from] / divisor;
    ow = CK_MAX(ow, whole.to - 1);
  }
}

static void M(average_row_plain)(const ck_pool2d *p, int64_t row, const T *x, T *y) {
  const struct window rows = row_window(p, row);
  memset(y, 0, sizeof(T) * (size_t)p->out_width);
  CK_COLUMN_TILES {
    CK_COLUMNS(y[ow] += v)
    M(divide_row)(p, row, from, to, y + from, y + from);
  }
}

static void M(average_backward_plane_plain)(const ck_pool2d *p, const T *g, T *dx) {
  T share[COLUMN_TILE];
  memset(dx, 0, sizeof(T) * (size_t)(p->height * p->width));
  for (int64_t oh = 0; oh < p->out_height; oh++)
    CK_COLUMN_TILES {
      const struct window rows = row_window(p, oh);
      M(divide_row)(p, oh, from, to, g + oh * p->out_width + from, share);
      for (int64_t kh = rows.first; kh < rows.last; kh++)
        for (int64_t kw = 0; kw < p->kernel_width; kw++) {
          const struct span span = columns_inside(p, kw, from, to);
          T *row = dx + (rows.start + kh) * p->width + kw - p->padding_left;
          CK_NO_VECTORIZE for (int64_t ow = span.from; ow < span.to; ow++)
            row[ow * p->stride_width] += share[ow - from];
        }
    }
}

#undef CK_COLUMNS
#undef CK_COLUMN_TILES
#undef CK_INDEX
