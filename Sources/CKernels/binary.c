// Binary, comparing and three-operand element-wise kernels: scalar definitions and lookup.
#include "vmath.h"

struct binary_kernel {
  ck_binary_fn range, entry;
};
struct binary_table {
  struct binary_kernel binary[CK_LOGICAL_XOR + 1][CK_IX_COUNT][3];
  struct binary_kernel compare[CK_GREATER_EQUAL - CK_EQUAL + 1][CK_IX_COUNT][3];
  ck_ternary_fn ternary[2][2][8];
};

#define CK_LOOP_FAST CK_VECTORIZE
#define CK_LOOP_MATH CK_VECTORIZE
#define CK_LOOP_SLOW CK_NO_VECTORIZE

CK_INLINE uint8_t ck_divide_u8(uint8_t x, uint8_t y) { return y == 0 ? 0 : x / y; }
CK_INLINE uint8_t ck_remainder_u8(uint8_t x, uint8_t y) { return y == 0 ? 0 : x % y; }
CK_INLINE uint8_t ck_power_u8(uint8_t x, uint8_t y) {
  uint8_t result = 1;
  for (; y; y >>= 1, x = (uint8_t)(x * x))
    if (y & 1) result = (uint8_t)(result * x);
  return result;
}

// Division by -1 is negation: the quotient of the least number would overflow.
#define INTEGER_DEFINITIONS(S)                                                \
  CK_INLINE ck_##S ck_divide_##S(ck_##S x, ck_##S y) {                        \
    if (y == 0) return 0;                                                     \
    return y == -1 ? (ck_##S)(0 - (ck_w_##S)x) : x / y;                       \
  }                                                                           \
  CK_INLINE ck_##S ck_remainder_##S(ck_##S x, ck_##S y) {                     \
    if (y == 0 || y == -1) return 0;                                          \
    ck_##S r = x % y;                                                         \
    return r != 0 && (r < 0) != (y < 0) ? r + y : r;                          \
  }                                                                           \
  CK_INLINE ck_##S ck_power_##S(ck_##S x, ck_##S y) {                         \
    if (y < 0) return x == 1 ? 1 : x == -1 ? ((y & 1) ? -1 : 1) : 0;          \
    ck_w_##S base = (ck_w_##S)x, result = 1;                                  \
    for (; y; y >>= 1, base *= base)                                          \
      if (y & 1) result *= base;                                              \
    return (ck_##S)result;                                                    \
  }
INTEGER_DEFINITIONS(i32)
INTEGER_DEFINITIONS(i64)

// A zero has the divisor's sign as well.
#define FLOAT_REMAINDER(S, FMOD, COPYSIGN)                                    \
  CK_INLINE ck_##S ck_remainder_##S(ck_##S x, ck_##S y) {                     \
    ck_##S r = FMOD(x, y);                                                    \
    if (r == 0) return COPYSIGN(r, y);                                        \
    return (r < 0) != (y < 0) ? r + y : r;                                    \
  }
FLOAT_REMAINDER(f32, fmodf, copysignf)
FLOAT_REMAINDER(f64, fmod, copysign)

#define CK_BODY "binary_body.h"
#include "levels.h"

CK_TABLES(struct binary_table, binary_table);

static const struct binary_kernel *find(ck_op op, ck_dtype dtype, ck_mode mode) {
  int column = ck_arithmetic_index(dtype);
  if (column < 0 || (int)op < 0 || op > CK_LOGICAL_XOR || (unsigned)mode > CK_SCALAR_VECTOR) return NULL;
  return &CK_TABLE(binary_table)->binary[op][column][mode];
}

static const struct binary_kernel *find_comparison(ck_op op, ck_dtype dtype, ck_mode mode) {
  int column = ck_arithmetic_index(dtype == CK_BOOL ? CK_UINT8 : dtype);
  if (column < 0 || op < CK_EQUAL || op > CK_GREATER_EQUAL || (unsigned)mode > CK_SCALAR_VECTOR) return NULL;
  return &CK_TABLE(binary_table)->compare[op - CK_EQUAL][column][mode];
}

ck_binary_fn ck_binary(ck_op op, ck_dtype dtype, ck_mode mode) {
  const struct binary_kernel *kernel = find(op, dtype, mode);
  return kernel ? kernel->entry : NULL;
}

ck_binary_fn ck_binary_serial(ck_op op, ck_dtype dtype, ck_mode mode) {
  const struct binary_kernel *kernel = find(op, dtype, mode);
  return kernel ? kernel->range : NULL;
}

ck_binary_fn ck_compare(ck_op op, ck_dtype dtype, ck_mode mode) {
  const struct binary_kernel *kernel = find_comparison(op, dtype, mode);
  return kernel ? kernel->entry : NULL;
}

ck_binary_fn ck_compare_serial(ck_op op, ck_dtype dtype, ck_mode mode) {
  const struct binary_kernel *kernel = find_comparison(op, dtype, mode);
  return kernel ? kernel->range : NULL;
}

ck_ternary_fn ck_ternary_serial(ck_op op, ck_dtype dtype, int vectors) {
  if ((op != CK_MULTIPLY_ADD && op != CK_NEGATIVE_MULTIPLY_ADD) || vectors < 1 || vectors > 7) return NULL;
  if (dtype != CK_FLOAT32 && dtype != CK_FLOAT64) return NULL;
  return CK_TABLE(binary_table)->ternary[op == CK_NEGATIVE_MULTIPLY_ADD][dtype == CK_FLOAT64][vectors];
}
