// Binary, comparing and three-operand element-wise kernels at one instruction set.

// K(OP, dtype, result dtype, cost, expression in x and y)
#define CK_BINARY_WRAPPING(K, S)                                          \
  K(ADD, S, S, FAST, (ck_w_##S)x + (ck_w_##S)y)                           \
  K(SUBTRACT, S, S, FAST, (ck_w_##S)x - (ck_w_##S)y)                      \
  K(MULTIPLY, S, S, FAST, (ck_w_##S)x *(ck_w_##S)y)                       \
  K(MAXIMUM, S, S, FAST, x > y ? x : y)                                   \
  K(MINIMUM, S, S, FAST, x < y ? x : y)                                   \
  K(AND, S, S, FAST, x &y)                                                \
  K(OR, S, S, FAST, x | y)                                                \
  K(XOR, S, S, FAST, x ^ y)                                               \
  K(DIVIDE, S, S, SLOW, ck_divide_##S(x, y))                              \
  K(REMAINDER, S, S, SLOW, ck_remainder_##S(x, y))                        \
  K(POWER, S, S, SLOW, ck_power_##S(x, y))

#define CK_BINARY_FLOAT(K, S)                                             \
  K(ADD, S, S, FAST, x + y)                                               \
  K(SUBTRACT, S, S, FAST, x - y)                                          \
  K(MULTIPLY, S, S, FAST, x *y)                                           \
  K(DIVIDE, S, S, FAST, x / y)                                            \
  K(MAXIMUM, S, S, FAST, ck_maximum_##S(x, y))                            \
  K(MINIMUM, S, S, FAST, ck_minimum_##S(x, y))

#define CK_BINARY_LOGICAL(K, S)                                           \
  K(LOGICAL_AND, S, b, FAST, (x != 0) & (y != 0))                         \
  K(LOGICAL_OR, S, b, FAST, (x != 0) | (y != 0))                          \
  K(LOGICAL_XOR, S, b, FAST, (x != 0) ^ (y != 0))

#define CK_BINARY_LIST(K)                                                 \
  K(ADD, b, b, FAST, x | y)                                               \
  K(MULTIPLY, b, b, FAST, x &y)                                           \
  K(MAXIMUM, b, b, FAST, x | y)                                           \
  K(MINIMUM, b, b, FAST, x &y)                                            \
  K(AND, b, b, FAST, x &y)                                                \
  K(OR, b, b, FAST, x | y)                                                \
  K(XOR, b, b, FAST, x ^ y)                                               \
  CK_BINARY_LOGICAL(K, b)                                                 \
  CK_BINARY_WRAPPING(K, u8)                                               \
  CK_BINARY_LOGICAL(K, u8)                                                \
  CK_BINARY_WRAPPING(K, i32)                                              \
  CK_BINARY_LOGICAL(K, i32)                                               \
  CK_BINARY_WRAPPING(K, i64)                                              \
  CK_BINARY_LOGICAL(K, i64)                                               \
  CK_BINARY_FLOAT(K, f32)                                                 \
  K(POWER, f32, f32, MATH, ck_powf(x, y))                                 \
  K(ATAN2, f32, f32, SLOW, atan2f(x, y))                                  \
  CK_BINARY_LOGICAL(K, f32)                                               \
  CK_BINARY_FLOAT(K, f64)                                                 \
  K(REMAINDER, f64, f64, SLOW, ck_remainder_f64(x, y))                    \
  K(POWER, f64, f64, SLOW, pow(x, y))                                     \
  K(ATAN2, f64, f64, SLOW, atan2(x, y))                                   \
  CK_BINARY_LOGICAL(K, f64)

#define CK_COMPARE_TYPE(K, S)                                             \
  K(EQUAL, S, b, FAST, x == y)                                            \
  K(NOT_EQUAL, S, b, FAST, x != y)                                        \
  K(LESS, S, b, FAST, x < y)                                              \
  K(LESS_EQUAL, S, b, FAST, x <= y)                                       \
  K(GREATER, S, b, FAST, x > y)                                           \
  K(GREATER_EQUAL, S, b, FAST, x >= y)

// bool compares as uint8 does.
#define CK_COMPARE_LIST(K) \
  CK_COMPARE_TYPE(K, u8) CK_COMPARE_TYPE(K, i32) CK_COMPARE_TYPE(K, i64) CK_COMPARE_TYPE(K, f32) CK_COMPARE_TYPE(K, f64)

// One mode of one kernel: X and Y say how element i of each operand is read, SIZE_A and SIZE_B whether it advances.
#define CK_BINARY_RANGE(OP, S, R, COST, EXPRESSION, MODE, PRELUDE, X, Y)                                             \
  static void N(OP##_##S##_##MODE##_range)(int64_t n, const void *left, const void *right, void *out) {              \
    const ck_##S *a = left, *b = right;                                                                              \
    ck_##R *result = out;                                                                                            \
    PRELUDE;                                                                                                         \
    CK_LOOP_##COST for (int64_t i = 0; i < n; i++) {                                                                 \
      const ck_##S x = X, y = Y;                                                                                     \
      result[i] = (ck_##R)(EXPRESSION);                                                                              \
    }                                                                                                                \
  }
// The function that callers get: splits large calls.
#define CK_BINARY_ENTRY(OP, S, R, COST, MODE, SIZE_A, SIZE_B)                                                        \
  static void N(OP##_##S##_##MODE)(int64_t n, const void *left, const void *right, void *out) {                      \
    if (n <= CK_GRAIN_##COST) {                                                                                      \
      N(OP##_##S##_##MODE##_range)(n, left, right, out);                                                             \
      return;                                                                                                        \
    }                                                                                                                \
    ck_split_binary(N(OP##_##S##_##MODE##_range), n, left, right, out, (SIZE_A) * (int64_t)sizeof(ck_##S),           \
                    (SIZE_B) * (int64_t)sizeof(ck_##S), sizeof(ck_##R), CK_GRAIN_##COST);                            \
  }

#define CK_BINARY_MODE(OP, S, R, COST, EXPRESSION, MODE, PRELUDE, X, Y, SIZE_A, SIZE_B)                              \
  CK_BINARY_RANGE(OP, S, R, COST, EXPRESSION, MODE, PRELUDE, X, Y)                                                   \
  CK_BINARY_ENTRY(OP, S, R, COST, MODE, SIZE_A, SIZE_B)

#define CK_BINARY_DEFINE(OP, S, R, COST, EXPRESSION)                                                                 \
  CK_BINARY_MODE(OP, S, R, COST, EXPRESSION, vv, , a[i], b[i], 1, 1)                                                 \
  CK_BINARY_MODE(OP, S, R, COST, EXPRESSION, vs, const ck_##S right0 = *b, a[i], right0, 1, 0)                       \
  CK_BINARY_MODE(OP, S, R, COST, EXPRESSION, sv, const ck_##S left0 = *a, left0, b[i], 0, 1)

CK_BINARY_LIST(CK_BINARY_DEFINE)
CK_COMPARE_LIST(CK_BINARY_DEFINE)

// float32 remainder: runs with a hard case among them go through the C library.
#define CK_REMAINDER(MODE, PRELUDE, X, Y, SIZE_A, SIZE_B)                                                            \
  static void N(REMAINDER_f32_##MODE##_range)(int64_t n, const void *left, const void *right, void *out) {           \
    const float *a = left, *b = right;                                                                               \
    float *result = out;                                                                                             \
    PRELUDE;                                                                                                         \
    for (int64_t start = 0; start < n; start += 256) {                                                               \
      const int64_t end = CK_MIN(start + 256, n);                                                                    \
      uint32_t hard = 0;                                                                                             \
      CK_VECTORIZE for (int64_t i = start; i < end; i++) hard |= !ck_remainder_is_easy(X, Y);                        \
      if (hard) {                                                                                                    \
        for (int64_t i = start; i < end; i++) result[i] = ck_remainder_f32(X, Y);                                    \
      } else {                                                                                                       \
        CK_VECTORIZE for (int64_t i = start; i < end; i++) result[i] = ck_easy_remainder(X, Y);                      \
      }                                                                                                              \
    }                                                                                                                \
  }                                                                                                                  \
  CK_BINARY_ENTRY(REMAINDER, f32, f32, MATH, MODE, SIZE_A, SIZE_B)

CK_REMAINDER(vv, , a[i], b[i], 1, 1)
CK_REMAINDER(vs, const float right0 = *b, a[i], right0, 1, 0)
CK_REMAINDER(sv, const float left0 = *a, left0, b[i], 0, 1)

// Common exponents need no library call.
#define CK_POWER_SCALAR(S)                                                                                           \
  static void N(POWER_SCALAR_##S##_range)(int64_t n, const void *left, const void *right, void *out) {               \
    const ck_##S *a = left, y = *(const ck_##S *)right;                                                              \
    ck_##S *result = out;                                                                                            \
    if (y == 2) {                                                                                                    \
      CK_VECTORIZE for (int64_t i = 0; i < n; i++) result[i] = a[i] * a[i];                                          \
    } else if (y == 3) {                                                                                             \
      CK_VECTORIZE for (int64_t i = 0; i < n; i++) result[i] = a[i] * a[i] * a[i];                                   \
    } else if (y == 1) {                                                                                             \
      CK_VECTORIZE for (int64_t i = 0; i < n; i++) result[i] = a[i];                                                 \
    } else if (y == -1) {                                                                                            \
      CK_VECTORIZE for (int64_t i = 0; i < n; i++) result[i] = 1 / a[i];                                             \
    } else if (y == (ck_##S)0.5) {                                                                                   \
      CK_VECTORIZE for (int64_t i = 0; i < n; i++) {                                                                 \
        const ck_##S x = a[i], root = __builtin_elementwise_sqrt(x) + 0;                                             \
        result[i] = x == -(ck_##S)INFINITY ? (ck_##S)INFINITY : root;                                                \
      }                                                                                                              \
    } else {                                                                                                         \
      N(POWER_##S##_vs_range)(n, left, right, out);                                                                  \
    }                                                                                                                \
  }                                                                                                                  \
  static void N(POWER_SCALAR_##S)(int64_t n, const void *left, const void *right, void *out) {                       \
    ck_split_binary(N(POWER_SCALAR_##S##_range), n, left, right, out, sizeof(ck_##S), 0, sizeof(ck_##S),             \
                    CK_GRAIN_MATH);                                                                                  \
  }

CK_POWER_SCALAR(f32)
CK_POWER_SCALAR(f64)

#define CK_BINARY_ENTRIES(OP, S)                            \
  {{N(OP##_##S##_vv_range), N(OP##_##S##_vv)},              \
   {N(OP##_##S##_vs_range), N(OP##_##S##_vs)},              \
   {N(OP##_##S##_sv_range), N(OP##_##S##_sv)}}
#define CK_BINARY_ROW(OP, S, R, COST, EXPRESSION) [CK_##OP][CK_IX_##S] = CK_BINARY_ENTRIES(OP, S),
#define CK_COMPARE_ROW(OP, S, R, COST, EXPRESSION) [CK_##OP - CK_EQUAL][CK_IX_##S] = CK_BINARY_ENTRIES(OP, S),

// a * b + c and c - a * b with every mix of vectors and scalars; V is the bit set of vectors. The product is rounded: what
// a fused program computes must not differ from its operations one by one, as it would where the product overflows or
// underflows.
#define CK_TERNARY_MIX(OP, S, V, EXPRESSION)                                                                         \
  static void N(OP##_##S##_##V)(int64_t n, const void *first, const void *second, const void *third, void *out) {    \
    _Pragma("clang fp contract(off)")                                                                                \
    const ck_##S *a = first, *b = second, *c = third;                                                                \
    const ck_##S a0 = *a, b0 = *b, c0 = *c;                                                                          \
    (void)a0, (void)b0, (void)c0;                                                                                    \
    ck_##S *result = out;                                                                                            \
    CK_VECTORIZE for (int64_t i = 0; i < n; i++) {                                                                   \
      const ck_##S x = (V & 1) ? a[i] : a0, y = (V & 2) ? b[i] : b0, z = (V & 4) ? c[i] : c0;                        \
      result[i] = EXPRESSION;                                                                                        \
    }                                                                                                                \
  }
#define CK_TERNARY_DEFINE(OP, S, E)                                                               \
  CK_TERNARY_MIX(OP, S, 1, E) CK_TERNARY_MIX(OP, S, 2, E) CK_TERNARY_MIX(OP, S, 3, E)             \
  CK_TERNARY_MIX(OP, S, 4, E) CK_TERNARY_MIX(OP, S, 5, E) CK_TERNARY_MIX(OP, S, 6, E)             \
  CK_TERNARY_MIX(OP, S, 7, E)
#define CK_TERNARY_ROW(OP, S)                                                                     \
  {0, N(OP##_##S##_1), N(OP##_##S##_2), N(OP##_##S##_3), N(OP##_##S##_4), N(OP##_##S##_5),        \
   N(OP##_##S##_6), N(OP##_##S##_7)}

CK_TERNARY_DEFINE(MULTIPLY_ADD, f32, x *y + z)
CK_TERNARY_DEFINE(MULTIPLY_ADD, f64, x *y + z)
CK_TERNARY_DEFINE(NEGATIVE_MULTIPLY_ADD, f32, z - x * y)
CK_TERNARY_DEFINE(NEGATIVE_MULTIPLY_ADD, f64, z - x * y)

// A row for the general kernel, then the special one over it: the later initialiser wins.
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Winitializer-overrides"
static const struct binary_table N(binary_table) = {
    .binary = {CK_BINARY_LIST(CK_BINARY_ROW)
               CK_BINARY_ROW(REMAINDER, f32, f32, MATH, )
               [CK_POWER][CK_IX_f32][CK_VECTOR_SCALAR] = {N(POWER_SCALAR_f32_range), N(POWER_SCALAR_f32)},
               [CK_POWER][CK_IX_f64][CK_VECTOR_SCALAR] = {N(POWER_SCALAR_f64_range), N(POWER_SCALAR_f64)}},
    .compare = {CK_COMPARE_LIST(CK_COMPARE_ROW)},
    .ternary = {{CK_TERNARY_ROW(MULTIPLY_ADD, f32), CK_TERNARY_ROW(MULTIPLY_ADD, f64)},
                {CK_TERNARY_ROW(NEGATIVE_MULTIPLY_ADD, f32), CK_TERNARY_ROW(NEGATIVE_MULTIPLY_ADD, f64)}},
};
#pragma clang diagnostic pop

#undef CK_BINARY_WRAPPING
#undef CK_BINARY_FLOAT
#undef CK_BINARY_LOGICAL
#undef CK_BINARY_LIST
#undef CK_COMPARE_TYPE
#undef CK_COMPARE_LIST
#undef CK_BINARY_RANGE
#undef CK_BINARY_ENTRY
#undef CK_BINARY_MODE
#undef CK_REMAINDER
#undef CK_BINARY_DEFINE
#undef CK_POWER_SCALAR
#undef CK_BINARY_ENTRIES
#undef CK_BINARY_ROW
#undef CK_COMPARE_ROW
#undef CK_TERNARY_MIX
#undef CK_TERNARY_DEFINE
#undef CK_TERNARY_ROW
