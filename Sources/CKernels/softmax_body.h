// Softmax and its logarithm at one instruction set.
#include "lanes_body.h"

// Sum of e^(x - top) over a row, whose terms are written to `keep`.
#define CK_SOFTMAX(S)                                                                                                \
  CK_LANES(max, S, ck_##S, -(ck_##S)INFINITY, CK_ITSELF, CK_GREATER_OF)                                              \
  CK_LANES(sum, S, double, 0, CK_ITSELF, CK_PLUS)                                                                    \
  CK_LANES_SUM(dot, S, CK_TERM_PRODUCT)                                                                              \
  CK_LANES_SUM(total, S, CK_TERM_VALUE)                                                                              \
  static double N(sum_of_exp_##S)(int64_t n, const ck_##S *x, ck_##S top, ck_##S *keep) {                            \
    double sum = 0;                                                                                                  \
    for (int64_t start = 0; start < n; start += SOFTMAX_TILE) {                                                      \
      int64_t count = CK_MIN(n - start, SOFTMAX_TILE);                                                               \
      ck_##S *out = keep + start;                                                                                    \
      CK_EXP_LOOP_##S for (int64_t i = 0; i < count; i++) out[i] = CK_EXP_##S(x[start + i] - top);                   \
      sum += N(sum_##S)(count, out);                                                                                 \
    }                                                                                                                \
    return sum;                                                                                                      \
  }                                                                                                                  \
  /* The same less 1, the term of one of the largest: exact where the others are small beside it. */                 \
  static double N(rest_of_exp_##S)(int64_t n, const ck_##S *x, ck_##S top) {                                         \
    ck_##S scratch[SOFTMAX_TILE];                                                                                    \
    double sum = 0;                                                                                                  \
    int64_t largest = 0;                                                                                             \
    for (int64_t start = 0; start < n; start += SOFTMAX_TILE) {                                                      \
      int64_t count = CK_MIN(n - start, SOFTMAX_TILE);                                                               \
      int32_t ties = 0;                                                                                              \
      CK_EXP_LOOP_##S for (int64_t i = 0; i < count; i++) {                                                          \
        const ck_##S d = x[start + i] - top, e = CK_EXP_##S(d);                                                      \
        scratch[i] = d == 0 ? 0 : e;                                                                                 \
        ties += d == 0;                                                                                              \
      }                                                                                                              \
      sum += N(sum_##S)(count, scratch);                                                                             \
      largest += ties;                                                                                               \
    }                                                                                                                \
    return sum + (double)(largest - 1);                                                                              \
  }                                                                                                                  \
  static void N(softmax_rows_##S)(bool logarithm, int64_t rows, int64_t n, const void *input, void *output) {        \
    for (int64_t row = 0; row < rows; row++) {                                                                       \
      const ck_##S *x = (const ck_##S *)input + row * n;                                                             \
      ck_##S *y = (ck_##S *)output + row * n;                                                                        \
      const ck_##S top = N(max_##S)(n, x);                                                                           \
      if (logarithm) {                                                                                               \
        const ck_##S log_sum = (ck_##S)log1p(N(rest_of_exp_##S)(n, x, top));                                         \
        CK_VECTORIZE for (int64_t i = 0; i < n; i++) y[i] = (x[i] - top) - log_sum;                                  \
      } else {                                                                                                       \
        const ck_##S factor = (ck_##S)(1 / N(sum_of_exp_##S)(n, x, top, y));                                         \
        CK_VECTORIZE for (int64_t i = 0; i < n; i++) y[i] = y[i] * factor;                                           \
      }                                                                                                              \
    }                                                                                                                \
  }                                                                                                                  \
  /* Columns first..<first + width of one [n, inner] matrix; width is at most SOFTMAX_TILE. */                       \
  static void N(softmax_columns_##S)(bool logarithm, int64_t n, int64_t inner, int64_t width, const void *input,     \
                                     void *output) {                                                                 \
    const ck_##S *x = input;                                                                                         \
    ck_##S *y = output;                                                                                              \
    ck_##S top[SOFTMAX_TILE], sum[SOFTMAX_TILE], largest[SOFTMAX_TILE];                                              \
    CK_VECTORIZE for (int64_t j = 0; j < width; j++) top[j] = x[j], sum[j] = 0, largest[j] = 0;                      \
    for (int64_t r = 1; r < n; r++)                                                                                  \
      CK_VECTORIZE for (int64_t j = 0; j < width; j++) top[j] = CK_GREATER_OF(top[j], x[r * inner + j]);             \
    for (int64_t r = 0; r < n; r++)                                                                                  \
      CK_EXP_LOOP_##S for (int64_t j = 0; j < width; j++) {                                                          \
        const ck_##S d = x[r * inner + j] - top[j], e = CK_EXP_##S(d);                                               \
        y[r * inner + j] = logarithm ? d : e;                                                                        \
        /* The largest apart, so that small terms beside them are not lost. */                                      \
        sum[j] += d == 0 ? 0 : e;                                                                                    \
        largest[j] += d == 0 ? 1 : 0;                                                                                \
      }                                                                                                              \
    CK_EXP_LOOP_##S for (int64_t j = 0; j < width; j++)                                                              \
      sum[j] = logarithm ? CK_LOG1P_##S(sum[j] + (largest[j] - 1)) : 1 / (sum[j] + largest[j]);                      \
    for (int64_t r = 0; r < n; r++)                                                                                  \
      CK_VECTORIZE for (int64_t j = 0; j < width; j++) {                                                             \
        const ck_##S v = y[r * inner + j];                                                                           \
        y[r * inner + j] = logarithm ? v - sum[j] : v * sum[j];                                                      \
      }                                                                                                              \
  }                                                                                                                  \
  static void N(backward_rows_##S)(bool logarithm, int64_t rows, int64_t n, const void *value, const void *gradient, \
                                   void *output) {                                                                   \
    for (int64_t row = 0; row < rows; row++) {                                                                       \
      const ck_##S *y = (const ck_##S *)value + row * n, *g = (const ck_##S *)gradient + row * n;                    \
      ck_##S *dx = (ck_##S *)output + row * n;                                                                       \
      if (logarithm) {                                                                                               \
        const ck_##S sum = (ck_##S)N(total_##S)(n, g, g, 0);                                                         \
        CK_EXP_LOOP_##S for (int64_t i = 0; i < n; i++) dx[i] = g[i] - CK_EXP_##S(y[i]) * sum;                       \
      } else {                                                                                                       \
        const ck_##S sum = (ck_##S)N(dot_##S)(n, g, y, 0);                                                           \
        CK_VECTORIZE for (int64_t i = 0; i < n; i++) dx[i] = y[i] * (g[i] - sum);                                    \
      }                                                                                                              \
    }                                                                                                                \
  }                                                                                                                  \
  static void N(backward_columns_##S)(bool logarithm, int64_t n, int64_t inner, int64_t width, const void *value,    \
                                      const void *gradient, void *output) {                                          \
    const ck_##S *y = value, *g = gradient;                                                                          \
    ck_##S *dx = output;                                                                                             \
    ck_##S sum[SOFTMAX_TILE];                                                                                        \
    CK_VECTORIZE for (int64_t j = 0; j < width; j++) sum[j] = 0;                                                     \
    for (int64_t r = 0; r < n; r++)                                                                                  \
      CK_VECTORIZE for (int64_t j = 0; j < width; j++) {                                                             \
        const int64_t i = r * inner + j;                                                                             \
        sum[j] += logarithm ? g[i] : g[i] * y[i];                                                                    \
      }                                                                                                              \
    for (int64_t r = 0; r < n; r++)                                                                                  \
      CK_EXP_LOOP_##S for (int64_t j = 0; j < width; j++) {                                                          \
        const int64_t i = r * inner + j;                                                                             \
        dx[i] = logarithm ? g[i] - CK_EXP_##S(y[i]) * sum[j] : y[i] * (g[i] - sum[j]);                               \
      }                                                                                                              \
  }

CK_SOFTMAX(f32)
CK_SOFTMAX(f64)

#define CK_SOFTMAX_ROW(S) \
  {N(softmax_rows_##S), N(softmax_columns_##S), N(backward_rows_##S), N(backward_columns_##S)}
static const struct softmax_table N(softmax_table) = {{CK_SOFTMAX_ROW(f32), CK_SOFTMAX_ROW(f64)}};

#undef CK_SOFTMAX
#undef CK_SOFTMAX_ROW
#undef CK_LANES
#undef CK_LANES_SUM
