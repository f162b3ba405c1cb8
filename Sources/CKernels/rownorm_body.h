// Layer norm and RMS norm over rows at one instruction set. `mean` NULL in the backward means RMS norm.
#include "lanes_body.h"

#define CK_ROWNORM(S)                                                                                                \
  CK_LANES_SUM(total, S, CK_TERM_VALUE)                                                                              \
  CK_LANES_SUM(deviation, S, CK_TERM_DEVIATION)                                                                      \
  CK_LANES_SUM(moment, S, CK_TERM_MOMENT)                                                                            \
  static void N(norm_rows_##S)(int64_t rows, int64_t n, bool centred, double epsilon, const void *input,             \
                               const void *scales, const void *shifts, void *output, void *means, void *rstds) {     \
    const ck_##S *scale = scales, *shift = shifts;                                                                   \
    for (int64_t row = 0; row < rows; row++) {                                                                       \
      const ck_##S *x = (const ck_##S *)input + row * n;                                                             \
      ck_##S *y = (ck_##S *)output + row * n;                                                                        \
      const ck_##S mean = centred ? (ck_##S)(N(total_##S)(n, x, x, 0) / (double)n) : 0;                              \
      const ck_##S rstd = (ck_##S)(1 / sqrt(N(deviation_##S)(n, x, x, mean) / (double)n + epsilon));                 \
      if (scale && shift) {                                                                                          \
        CK_VECTORIZE for (int64_t i = 0; i < n; i++) y[i] = (x[i] - mean) * rstd * scale[i] + shift[i];              \
      } else if (scale) {                                                                                            \
        CK_VECTORIZE for (int64_t i = 0; i < n; i++) y[i] = (x[i] - mean) * rstd * scale[i];                         \
      } else if (shift) {                                                                                            \
        CK_VECTORIZE for (int64_t i = 0; i < n; i++) y[i] = (x[i] - mean) * rstd + shift[i];                         \
      } else {                                                                                                       \
        CK_VECTORIZE for (int64_t i = 0; i < n; i++) y[i] = (x[i] - mean) * rstd;                                    \
      }                                                                                                              \
      if (means) ((ck_##S *)means)[row] = mean;                                                                      \
      if (rstds) ((ck_##S *)rstds)[row] = rstd;                                                                      \
    }                                                                                                                \
  }                                                                                                                  \
  static void N(norm_backward_rows_##S)(int64_t rows, int64_t n, const void *input, const void *gradient,            \
                                        const void *means, const void *rstds, const void *scales, void *output,      \
                                        double *dscale, double *dshift, void *scratch) {                             \
    const ck_##S *scale = scales;                                                                                    \
    for (int64_t row = 0; row < rows; row++) {                                                                       \
      const ck_##S *x = (const ck_##S *)input + row * n, *g = (const ck_##S *)gradient + row * n;                    \
      const ck_##S mean = means ? ((const ck_##S *)means)[row] : 0, rstd = ((const ck_##S *)rstds)[row];             \
      if (dscale) {                                                                                                  \
        CK_VECTORIZE for (int64_t i = 0; i < n; i++) dscale[i] += (double)(g[i] * ((x[i] - mean) * rstd));           \
      }                                                                                                              \
      if (dshift) {                                                                                                  \
        CK_VECTORIZE for (int64_t i = 0; i < n; i++) dshift[i] += (double)g[i];                                      \
      }                                                                                                              \
      if (!output) continue;                                                                                         \
      const ck_##S *h = g;                                                                                           \
      if (scale) {                                                                                                   \
        ck_##S *product = scratch;                                                                                   \
        CK_VECTORIZE for (int64_t i = 0; i < n; i++) product[i] = g[i] * scale[i];                                   \
        h = product;                                                                                                 \
      }                                                                                                              \
      ck_##S *dx = (ck_##S *)output + row * n;                                                                       \
      const ck_##S a = means ? (ck_##S)(N(total_##S)(n, h, h, 0) / (double)n) : 0;                                   \
      const ck_##S b = (ck_##S)(N(moment_##S)(n, h, x, mean) * rstd * rstd / (double)n);                             \
      CK_VECTORIZE for (int64_t i = 0; i < n; i++) dx[i] = rstd * ((h[i] - a) - (x[i] - mean) * b);                  \
    }                                                                                                                \
  }

CK_ROWNORM(f32)
CK_ROWNORM(f64)

static const struct rownorm_table N(rownorm_table) = {{{N(norm_rows_f32), N(norm_backward_rows_f32)},
                                                       {N(norm_rows_f64), N(norm_backward_rows_f64)}}};

#undef CK_ROWNORM
#undef CK_LANES
#undef CK_LANES_SUM
