// Sums of squares at one instruction set, in double precision: of a run, and of columns.
#define CK_NORM(S)                                                                                                   \
  static double N(squares_##S)(int64_t n, const void *input, double by) {                                            \
    typedef ck_##S V __attribute__((ext_vector_type(8), aligned(sizeof(ck_##S))));                                   \
    typedef double D __attribute__((ext_vector_type(8), aligned(8)));                                                \
    const ck_##S *x = input;                                                                                         \
    D a = (D)(0.0), b = a;                                                                                           \
    int64_t i = 0;                                                                                                   \
    for (; i + 16 <= n; i += 16) {                                                                                   \
      const D v = __builtin_convertvector(*(const V *)(x + i), D) * by;                                              \
      const D w = __builtin_convertvector(*(const V *)(x + i + 8), D) * by;                                          \
      a += v * v;                                                                                                    \
      b += w * w;                                                                                                    \
    }                                                                                                                \
    a += b;                                                                                                          \
    double total = 0;                                                                                                \
    for (int l = 0; l < 8; l++) total += a[l];                                                                       \
    for (; i < n; i++) total += ((double)x[i] * by) * ((double)x[i] * by);                                           \
    return total;                                                                                                    \
  }                                                                                                                  \
  static void N(column_squares_##S)(int64_t rows, int64_t width, int64_t stride, const void *input, double *sums) {  \
    const ck_##S *x = input;                                                                                         \
    for (int64_t j = 0; j < width; j++) sums[j] = 0;                                                                 \
    for (int64_t r = 0; r < rows; r++)                                                                               \
      CK_VECTORIZE for (int64_t j = 0; j < width; j++) {                                                             \
        const double v = (double)x[r * stride + j];                                                                  \
        sums[j] += v * v;                                                                                            \
      }                                                                                                              \
  }

CK_NORM(f32)
CK_NORM(f64)

static const struct norm_table N(norm_table) = {{{N(squares_f32), N(column_squares_f32)},
                                                 {N(squares_f64), N(column_squares_f64)}}};

#undef CK_NORM
