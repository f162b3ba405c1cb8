// Unary element-wise kernels at one instruction set.

#if CK_LEVEL_INDEX > 0 || defined(__aarch64__)
#define CK_HAVE_FMA true
#else
#define CK_HAVE_FMA false
#endif

// K(OP, dtype, result dtype, cost, expression in x)
#define CK_UNARY_INT(K, S)                                    \
  K(NEGATE, S, S, FAST, (ck_##S)(0 - (ck_w_##S)x))            \
  K(ABS, S, S, FAST, x < 0 ? (ck_##S)(0 - (ck_w_##S)x) : x)   \
  K(SIGN, S, S, FAST, (ck_##S)((x > 0) - (x < 0)))            \
  K(RELU, S, S, FAST, x < 0 ? 0 : x)                          \
  K(LOGICAL_NOT, S, b, FAST, x == 0)                          \
  K(NOT, S, S, FAST, (ck_##S)~x)                              \
  K(SQUARE, S, S, FAST, (ck_##S)((ck_w_##S)x * (ck_w_##S)x))

#define CK_UNARY_FLOAT(K, S)                                                          \
  K(NEGATE, S, S, FAST, -x)                                                           \
  K(ABS, S, S, FAST, __builtin_elementwise_abs(x))                                    \
  K(SIGN, S, S, FAST, x != x ? x : (ck_##S)(x > 0) - (ck_##S)(x < 0))                 \
  K(RELU, S, S, FAST, x <= 0 ? 0 : x)                                                 \
  K(LOGICAL_NOT, S, b, FAST, x == 0)                                                  \
  K(ISNAN, S, b, FAST, x != x)                                                        \
  K(SQUARE, S, S, FAST, x *x)                                                         \
  K(FLOOR, S, S, FAST, __builtin_elementwise_floor(x))                                \
  K(CEIL, S, S, FAST, __builtin_elementwise_ceil(x))                                  \
  K(ROUND, S, S, FAST, __builtin_elementwise_roundeven(x))                            \
  K(TRUNC, S, S, FAST, __builtin_elementwise_trunc(x))                                \
  K(SQRT, S, S, FAST, __builtin_elementwise_sqrt(x))                                  \
  K(RSQRT, S, S, FAST, (ck_##S)1 / __builtin_elementwise_sqrt(x))                     \
  K(RECIPROCAL, S, S, FAST, (ck_##S)1 / x)

#define CK_UNARY_LIST(K)                          \
  K(LOGICAL_NOT, b, b, FAST, x == 0)              \
  K(NOT, b, b, FAST, x == 0)                      \
  CK_UNARY_INT(K, u8)                             \
  CK_UNARY_INT(K, i32)                            \
  CK_UNARY_INT(K, i64)                            \
  CK_UNARY_FLOAT(K, f32)                          \
  CK_UNARY_FLOAT(K, f64)                          \
  K(EXP, f32, f32, MATH, ck_expf(x))              \
  K(LOG, f32, f32, MATH, ck_logf(x))              \
  K(LOG1P, f32, f32, MATH, ck_log1pf(x))          \
  K(EXPM1, f32, f32, MATH, ck_expm1f(x))          \
  K(TANH, f32, f32, MATH, ck_tanhf(x))            \
  K(ERF, f32, f32, MATH, ck_erff(x))              \
  K(SIGMOID, f32, f32, MATH, ck_sigmoidf(x))      \
  K(SILU, f32, f32, MATH, ck_siluf(x))            \
  K(GELU_TANH, f32, f32, MATH, ck_gelu_tanhf(x))  \
  K(GELU_ERF, f32, f32, MATH, ck_gelu_erff(x))    \
  K(SOFTPLUS, f32, f32, MATH, ck_softplusf(x))    \
  K(EXP, f64, f64, SLOW, exp(x))                  \
  K(LOG, f64, f64, SLOW, log(x))                  \
  K(LOG1P, f64, f64, SLOW, log1p(x))              \
  K(EXPM1, f64, f64, SLOW, expm1(x))              \
  K(SIN, f64, f64, SLOW, sin(x))                  \
  K(COS, f64, f64, SLOW, cos(x))                  \
  K(TANH, f64, f64, SLOW, tanh(x))                \
  K(ERF, f64, f64, SLOW, erf(x))                  \
  K(SIGMOID, f64, f64, SLOW, ck_sigmoid(x))       \
  K(SILU, f64, f64, SLOW, ck_silu(x))             \
  K(GELU_TANH, f64, f64, SLOW, ck_gelu_tanh(x))   \
  K(GELU_ERF, f64, f64, SLOW, ck_gelu_erf(x))     \
  K(SOFTPLUS, f64, f64, SLOW, ck_softplus(x))     \
  K(NORMAL_CDF, f32, f32, MATH, ck_normal_cdff(x)) \
  K(NORMAL_PDF, f32, f32, MATH, ck_normal_pdff(x)) \
  K(NORMAL_CDF, f64, f64, SLOW, ck_normal_cdf(x)) \
  K(NORMAL_PDF, f64, f64, SLOW, ck_normal_pdf(x))

// Two functions a kernel: one for a range, one that callers get, which splits large calls.
#define CK_UNARY_ENTRY(OP, S, R, COST)                                                     \
  static void N(OP##_##S)(int64_t n, const void *a, void *out) {                           \
    if (n <= CK_GRAIN_##COST) {                                                            \
      N(OP##_##S##_range)(n, a, out);                                                      \
      return;                                                                              \
    }                                                                                      \
    ck_split_unary(N(OP##_##S##_range), n, a, out, sizeof(ck_##S), sizeof(ck_##R), CK_GRAIN_##COST); \
  }

#define CK_UNARY_DEFINE(OP, S, R, COST, EXPRESSION)                                        \
  static void N(OP##_##S##_range)(int64_t n, const void *a, void *out) {                   \
    const ck_##S *in = a;                                                                  \
    ck_##R *result = out;                                                                  \
    CK_LOOP_##COST for (int64_t i = 0; i < n; i++) {                                       \
      const ck_##S x = in[i];                                                              \
      result[i] = (ck_##R)(EXPRESSION);                                                    \
    }                                                                                      \
  }                                                                                        \
  CK_UNARY_ENTRY(OP, S, R, COST)

CK_UNARY_LIST(CK_UNARY_DEFINE)

// float32 sine and cosine: runs with an argument beyond the fast reduction's limit are gone through one by one, those
// arguments by the C library. What its neighbours are decides nothing about a result.
#define CK_SINE_DEFINE(OP, QUARTER, LIBRARY)                                               \
  static void N(OP##_f32_range)(int64_t n, const void *a, void *out) {                     \
    const float *in = a;                                                                   \
    float *result = out;                                                                   \
    for (int64_t start = 0; start < n; start += 256) {                                     \
      int64_t end = CK_MIN(start + 256, n);                                                \
      uint32_t outside = 0;                                                                \
      CK_VECTORIZE for (int64_t i = start; i < end; i++)                                   \
        outside |= !(__builtin_fabsf(in[i]) <= CK_SINCOS_LIMIT);                           \
      if (outside) {                                                                       \
        for (int64_t i = start; i < end; i++) {                                            \
          const float x = in[i];                                                           \
          const bool near = __builtin_fabsf(x) <= CK_SINCOS_LIMIT;                         \
          result[i] = near ? ck_sin_shifted(x, QUARTER, CK_HAVE_FMA) : LIBRARY(x);         \
        }                                                                                  \
      } else {                                                                             \
        CK_VECTORIZE for (int64_t i = start; i < end; i++)                                 \
          result[i] = ck_sin_shifted(in[i], QUARTER, CK_HAVE_FMA);                         \
      }                                                                                    \
    }                                                                                      \
  }                                                                                        \
  CK_UNARY_ENTRY(OP, f32, f32, MATH)

CK_SINE_DEFINE(SIN, 0, sinf)
CK_SINE_DEFINE(COS, 1, cosf)

#define CK_UNARY_ROW(OP, S, R, COST, EXPRESSION) \
  [CK_##OP - CK_NEGATE][CK_IX_##S] = {N(OP##_##S##_range), N(OP##_##S)},

static const struct unary_table N(unary_table) = {{
    CK_UNARY_LIST(CK_UNARY_ROW)
    CK_UNARY_ROW(SIN, f32, f32, MATH, )
    CK_UNARY_ROW(COS, f32, f32, MATH, )
}};

#undef CK_HAVE_FMA
#undef CK_UNARY_INT
#undef CK_UNARY_FLOAT
#undef CK_UNARY_LIST
#undef CK_UNARY_ENTRY
#undef CK_UNARY_DEFINE
#undef CK_UNARY_ROW
#undef CK_SINE_DEFINE
