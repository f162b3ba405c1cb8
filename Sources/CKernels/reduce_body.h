// Reductions at one instruction set. A cell is where one result gathers: in the type A, at least as wide as the input.
#include "lanes_body.h"

// The integer counterpart of CK_LANES; integer operations are associative, so the compiler finds the lanes itself.
#define CK_RUN(NAME, S, A, IDENTITY, VALUE, COMBINE)               \
  static A N(NAME##_##S)(int64_t n, const ck_##S *x) {             \
    A total = IDENTITY;                                            \
    for (int64_t i = 0; i < n; i++) {                              \
      A v = (A)(VALUE(x[i]));                                      \
      total = (A)(COMBINE(total, v));                              \
    }                                                              \
    return total;                                                  \
  }

// T: in which a tile's columns gather.
#define CK_REDUCE(NAME, S, A, R, T, IDENTITY, VALUE, COMBINE)                                                           \
  static A N(NAME##_whole_##S)(int64_t n, const ck_##S *x) {                                                         \
    A total = IDENTITY;                                                                                              \
    for (int64_t i = 0; i < n; i += CK_LANES_BLOCK) {                                                                \
      A part = N(NAME##_##S)(CK_MIN(n - i, CK_LANES_BLOCK), x + i);                                                  \
      total = (A)(COMBINE(total, part));                                                                             \
    }                                                                                                                \
    return total;                                                                                                    \
  }                                                                                                                  \
  static void N(NAME##_rows_##S)(int64_t rows, int64_t length, const void *input, void *output) {                    \
    const ck_##S *x = input;                                                                                         \
    ck_##R *out = output;                                                                                            \
    for (int64_t row = 0; row < rows; row++) out[row] = (ck_##R)N(NAME##_whole_##S)(length, x + row * length);       \
  }                                                                                                                  \
  static void N(NAME##_block_##S)(int64_t n, const void *x, void *cell) {                                            \
    *(A *)cell = N(NAME##_whole_##S)(n, x);                                                                          \
  }                                                                                                                  \
  static void N(NAME##_initial_##S)(int64_t n, void *cells) {                                                        \
    A *c = cells;                                                                                                    \
    for (int64_t i = 0; i < n; i++) c[i] = IDENTITY;                                                                 \
  }                                                                                                                  \
  static void N(NAME##_combine_##S)(int64_t n, void *cells, const void *more) {                                      \
    A *c = cells;                                                                                                    \
    const A *m = more;                                                                                               \
    CK_VECTORIZE for (int64_t i = 0; i < n; i++) c[i] = (A)(COMBINE(c[i], m[i]));                                    \
  }                                                                                                                  \
  static void N(NAME##_finish_##S)(int64_t n, const void *cells, void *output) {                                     \
    const A *c = cells;                                                                                              \
    ck_##R *out = output;                                                                                            \
    CK_VECTORIZE for (int64_t i = 0; i < n; i++) out[i] = (ck_##R)c[i];                                              \
  }                                                                                                                  \
  /* One tile of columns: rows of `width` numbers, `stride` apart, into cells. */                                    \
  static void N(NAME##_tile_##S)(int64_t rows, int64_t width, int64_t stride, const ck_##S *x, A *cells) {           \
    ck_##T sum[TILE];                                                                                                \
    for (int64_t start = 0; start < rows; start += TILE_ROWS) {                                                      \
      int64_t end = CK_MIN(start + TILE_ROWS, rows), r = start;                                                      \
      CK_VECTORIZE for (int64_t j = 0; j < width; j++) sum[j] = (ck_##T)(VALUE(x[r * stride + j]));                  \
      for (r++; r + 4 <= end; r += 4) {                                                                              \
        const ck_##S *p = x + r * stride;                                                                            \
        CK_VECTORIZE for (int64_t j = 0; j < width; j++) {                                                           \
          const ck_##T u0 = VALUE(p[j]), u1 = VALUE(p[stride + j]);                                                  \
          const ck_##T u2 = VALUE(p[2 * stride + j]), u3 = VALUE(p[3 * stride + j]);                                 \
          const ck_##T u01 = (ck_##T)(COMBINE(u0, u1)), u23 = (ck_##T)(COMBINE(u2, u3));                             \
          const ck_##T u = (ck_##T)(COMBINE(u01, u23));                                                              \
          sum[j] = (ck_##T)(COMBINE(sum[j], u));                                                                     \
        }                                                                                                            \
      }                                                                                                              \
      for (; r < end; r++) {                                                                                         \
        CK_VECTORIZE for (int64_t j = 0; j < width; j++) {                                                           \
          const ck_##T u = VALUE(x[r * stride + j]);                                                                 \
          sum[j] = (ck_##T)(COMBINE(sum[j], u));                                                                     \
        }                                                                                                            \
      }                                                                                                              \
      CK_VECTORIZE for (int64_t j = 0; j < width; j++) {                                                             \
        const A u = (A)sum[j];                                                                                       \
        cells[j] = (A)(COMBINE(cells[j], u));                                                                        \
      }                                                                                                              \
    }                                                                                                                \
  }                                                                                                                  \
  static void N(NAME##_columns_##S)(int64_t rows, int64_t width, int64_t stride, const void *input, void *output) {  \
    const ck_##S *x = input;                                                                                         \
    A *cells = output;                                                                                               \
    int64_t fold = width < 64 && width == stride ? 256 / width : 1;                                                  \
    if (fold > 1 && rows >= 2 * fold) {                                                                              \
      /* Narrow rows: several of them make one long row of vector lanes, folded at the end. */                       \
      A wide[TILE];                                                                                                  \
      int64_t long_width = fold * width, long_rows = rows / fold;                                                    \
      N(NAME##_initial_##S)(long_width, wide);                                                                       \
      N(NAME##_tile_##S)(long_rows, long_width, long_width, x, wide);                                                \
      for (int64_t f = 0; f < fold; f++) N(NAME##_combine_##S)(width, cells, wide + f * width);                      \
      x += long_rows * long_width;                                                                                   \
      rows -= long_rows * fold;                                                                                      \
    }                                                                                                                \
    for (int64_t j = 0; rows > 0 && j < width; j += TILE)                                                            \
      N(NAME##_tile_##S)(rows, CK_MIN(width - j, TILE), stride, x + j, cells + j);                                   \
  }

// Index of the extreme element. BETTER(x, best) is strict, so the first of equals stays.
#define CK_ARG(NAME, EXTREME, S, BETTER)                                                                             \
  static void N(NAME##_rows_##S)(int64_t rows, int64_t length, const void *input, void *output) {                    \
    int64_t *out = output;                                                                                           \
    for (int64_t row = 0; row < rows; row++) {                                                                       \
      const ck_##S *x = (const ck_##S *)input + row * length;                                                        \
      const ck_##S best = N(EXTREME##_whole_##S)(length, x);                                                         \
      int64_t i = 0;                                                                                                 \
      for (; i + 64 <= length; i += 64) {                                                                            \
        unsigned found = 0;                                                                                          \
        for (int j = 0; j < 64; j++) found |= (x[i + j] == best) | (x[i + j] != x[i + j]);                           \
        if (found) break;                                                                                            \
      }                                                                                                              \
      while (i < length && !(x[i] == best || x[i] != x[i])) i++;                                                     \
      out[row] = i;                                                                                                  \
    }                                                                                                                \
  }                                                                                                                  \
  static void N(NAME##_columns_##S)(int64_t rows, int64_t width, int64_t stride, const void *input, void *output) {  \
    const ck_##S *x = input;                                                                                         \
    int64_t *out = output;                                                                                           \
    ck_##S best[ARG_TILE];                                                                                           \
    for (int64_t first = 0; first < width; first += ARG_TILE) {                                                      \
      int64_t count = CK_MIN(width - first, ARG_TILE);                                                               \
      for (int64_t j = 0; j < count; j++) best[j] = x[first + j], out[first + j] = 0;                                \
      for (int64_t r = 1; r < rows; r++) {                                                                           \
        const ck_##S *p = x + r * stride + first;                                                                    \
        CK_VECTORIZE for (int64_t j = 0; j < count; j++) {                                                           \
          const ck_##S v = p[j], b = best[j];                                                                        \
          const bool take = (BETTER(v, b)) | ((v != v) & (b == b));                                                  \
          best[j] = take ? v : b;                                                                                    \
          out[first + j] = take ? r : out[first + j];                                                                \
        }                                                                                                            \
      }                                                                                                              \
    }                                                                                                                \
  }

#define CK_IS_GREATER(v, b) ((v) > (b))
#define CK_IS_LESS(v, b) ((v) < (b))
#define CK_NONZERO(v) ((v) != 0)
#define CK_BIT_OR(a, v) ((a) | (v))
#define CK_BIT_AND(a, v) ((a) & (v))

#define CK_REDUCE_INT(S, LEAST, GREATEST)                                                \
  CK_RUN(sum, S, ck_w_##S, 0, CK_ITSELF, CK_PLUS)                                        \
  CK_RUN(product, S, ck_w_##S, 1, CK_ITSELF, CK_TIMES)                                   \
  CK_RUN(max, S, ck_##S, LEAST, CK_ITSELF, CK_GREATER_OF)                                \
  CK_RUN(min, S, ck_##S, GREATEST, CK_ITSELF, CK_LESSER_OF)                              \
  CK_REDUCE(sum, S, ck_w_##S, w_##S, w_##S, 0, CK_ITSELF, CK_PLUS)                              \
  CK_REDUCE(product, S, ck_w_##S, w_##S, w_##S, 1, CK_ITSELF, CK_TIMES)                         \
  CK_REDUCE(max, S, ck_##S, S, S, LEAST, CK_ITSELF, CK_GREATER_OF)                          \
  CK_REDUCE(min, S, ck_##S, S, S, GREATEST, CK_ITSELF, CK_LESSER_OF)
#define CK_REDUCE_FLOAT(S)                                                               \
  CK_LANES(sum, S, double, 0, CK_ITSELF, CK_PLUS)                                        \
  /* One after the other, in double: lanes would overflow, and meet as inf * 0, where the whole product does not. */ \
  CK_RUN(product, S, double, 1, CK_ITSELF, CK_TIMES)                                     \
  CK_LANES(max, S, ck_##S, -(ck_##S)INFINITY, CK_ITSELF, CK_GREATER_OF)                  \
  CK_LANES(min, S, ck_##S, (ck_##S)INFINITY, CK_ITSELF, CK_LESSER_OF)                    \
  CK_REDUCE(sum, S, double, S, S, 0, CK_ITSELF, CK_PLUS)                                    \
  CK_REDUCE(product, S, double, S, f64, 1, CK_ITSELF, CK_TIMES)                               \
  CK_REDUCE(max, S, ck_##S, S, S, -(ck_##S)INFINITY, CK_ITSELF, CK_GREATER_OF)              \
  CK_REDUCE(min, S, ck_##S, S, S, (ck_##S)INFINITY, CK_ITSELF, CK_LESSER_OF)
#define CK_REDUCE_LOGICAL(S)                                                             \
  CK_RUN(any, S, uint8_t, 0, CK_NONZERO, CK_BIT_OR)                                      \
  CK_RUN(all, S, uint8_t, 1, CK_NONZERO, CK_BIT_AND)                                     \
  CK_REDUCE(any, S, uint8_t, b, b, 0, CK_NONZERO, CK_BIT_OR)                                \
  CK_REDUCE(all, S, uint8_t, b, b, 1, CK_NONZERO, CK_BIT_AND)                               \
  CK_ARG(argmax, max, S, CK_IS_GREATER)                                                  \
  CK_ARG(argmin, min, S, CK_IS_LESS)

CK_REDUCE_INT(u8, 0, UINT8_MAX)
CK_REDUCE_INT(i32, INT32_MIN, INT32_MAX)
CK_REDUCE_INT(i64, INT64_MIN, INT64_MAX)
CK_REDUCE_FLOAT(f32)
CK_REDUCE_FLOAT(f64)
CK_REDUCE_LOGICAL(u8)
CK_REDUCE_LOGICAL(i32)
CK_REDUCE_LOGICAL(i64)
CK_REDUCE_LOGICAL(f32)
CK_REDUCE_LOGICAL(f64)

#define CK_CELLS(NAME, S, A)                                                                           \
  {sizeof(A), N(NAME##_rows_##S), N(NAME##_columns_##S), N(NAME##_block_##S), N(NAME##_initial_##S),   \
   N(NAME##_combine_##S), N(NAME##_finish_##S)}
#define CK_INDICES(NAME, S) {8, N(NAME##_rows_##S), N(NAME##_columns_##S), 0, 0, 0, 0}
#define CK_REDUCE_ROW(S, SUM, EXTREME)                                                                 \
  [CK_IX_##S] = {CK_CELLS(sum, S, SUM), CK_CELLS(product, S, SUM), CK_CELLS(max, S, EXTREME),          \
                 CK_CELLS(min, S, EXTREME), CK_INDICES(argmax, S), CK_INDICES(argmin, S),              \
                 CK_CELLS(any, S, uint8_t), CK_CELLS(all, S, uint8_t)},

static const struct reduce_table N(reduce_table) = {{
    CK_REDUCE_ROW(u8, uint8_t, uint8_t)
    CK_REDUCE_ROW(i32, int32_t, int32_t)
    CK_REDUCE_ROW(i64, int64_t, int64_t)
    CK_REDUCE_ROW(f32, double, float)
    CK_REDUCE_ROW(f64, double, double)
}};

#undef CK_RUN
#undef CK_REDUCE
#undef CK_ARG
#undef CK_IS_GREATER
#undef CK_IS_LESS
#undef CK_NONZERO
#undef CK_BIT_OR
#undef CK_BIT_AND
#undef CK_REDUCE_INT
#undef CK_REDUCE_FLOAT
#undef CK_REDUCE_LOGICAL
#undef CK_CELLS
#undef CK_INDICES
#undef CK_REDUCE_ROW
#undef CK_LANES
