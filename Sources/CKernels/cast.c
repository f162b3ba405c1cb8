// Casts between all dtypes.
#include "vmath.h"

typedef int8_t ck_i8;
typedef int16_t ck_i16;
typedef uint16_t ck_u16;
typedef uint32_t ck_u32;
typedef uint64_t ck_u64;
typedef uint16_t ck_f16, ck_bf16;  // bits

struct cast_table {
  ck_unary_fn kernels[13][13];
};

// What each kind of element is read as: all integers and floats as themselves, the half kinds as float.
CK_INLINE float ck_bf16_to_f32(uint16_t h) { return ck_float((uint32_t)h << 16); }

CK_INLINE uint16_t ck_f32_to_bf16(float x) {
  uint32_t u = ck_bits(x);
  uint32_t rounded = (u + 0x7FFFu + ((u >> 16) & 1)) >> 16;
  return (uint16_t)(x != x ? (u >> 16) | 0x40 : rounded);
}

// Integer arithmetic on the bits, for processors without conversion instructions (IEEE 754 binary16).
__attribute__((unused)) CK_INLINE float ck_f16_to_f32_bits(uint16_t h) {
  uint32_t sign = (uint32_t)(h & 0x8000) << 16, magnitude = h & 0x7FFFu;
  // Exponent and fraction moved into place, then rebiased by a product, which is right for subnormals too.
  float finite = ck_float(magnitude << 13) * 0x1p112f;
  uint32_t special = 0x7F800000u | (magnitude << 13);
  return ck_float(sign | (magnitude >= 0x7C00 ? special : ck_bits(finite)));
}

__attribute__((unused)) CK_INLINE uint16_t ck_f32_to_f16_bits(float x) {
  uint32_t u = ck_bits(x), sign = u & 0x80000000u, a = u ^ sign;
  // Normal results: rebias and round to even on the 13 dropped bits. The carry may run into the exponent, rightly.
  uint32_t normal = (a - (112u << 23) + 0xFFFu + ((a >> 13) & 1)) >> 13;
  // Subnormal results: adding 0.5 leaves them, rounded by the hardware, in the low bits.
  uint32_t subnormal = ck_bits(ck_float(a) + 0.5f) - 0x3F000000u;
  uint32_t h = a < (113u << 23) ? subnormal : normal;
  h = a >= 0x47800000u ? 0x7C00u : h;  // 65536 and above; what lies between 65520 and it was carried there
  h = a > 0x7F800000u ? 0x7E00u : h;
  return (uint16_t)((sign >> 16) | h);
}

// float with an odd last bit where inexact, so that a second rounding to fewer bits is a single rounding of x.
CK_INLINE float ck_round_to_odd(double x) {
  float f = (float)x;
  double back = (double)f;
  uint32_t u = ck_bits(f);
  bool away = __builtin_fabs(back) > __builtin_fabs(x);
  uint32_t odd = (u - (away ? 1u : 0u)) | 1u;
  return back == x || x != x ? f : ck_float(odd);
}

// Floating to integer: truncated, saturating, NaN to 0. LEAST and BEYOND are exact in the source type.
#define FLOAT_TO(S, T, LEAST, BEYOND, GREATEST)                                        \
  CK_INLINE ck_##T ck_##S##_to_##T(ck_##S x) {                                         \
    return x != x ? 0 : x <= LEAST ? (ck_##T)LEAST : x >= BEYOND ? GREATEST : (ck_##T)x; \
  }
#define FLOAT_TO_ALL(S)                                                    \
  FLOAT_TO(S, u8, 0, 256, UINT8_MAX)                                       \
  FLOAT_TO(S, i8, -128, 128, INT8_MAX)                                     \
  FLOAT_TO(S, i16, -32768, 32768, INT16_MAX)                               \
  FLOAT_TO(S, u16, 0, 65536, UINT16_MAX)                                   \
  FLOAT_TO(S, i32, -2147483648.0f, 2147483648.0f, INT32_MAX)               \
  FLOAT_TO(S, u32, 0, 4294967296.0f, UINT32_MAX)                           \
  FLOAT_TO(S, i64, -9223372036854775808.0f, 9223372036854775808.0f, INT64_MAX) \
  FLOAT_TO(S, u64, 0, 18446744073709551616.0f, UINT64_MAX)
FLOAT_TO_ALL(f32)
FLOAT_TO_ALL(f64)

#define CK_BODY "cast_body.h"
#include "levels.h"

CK_TABLES(struct cast_table, cast_table);

ck_unary_fn ck_cast_serial(ck_dtype from, ck_dtype to) {
  if ((unsigned)from > CK_FLOAT64 || (unsigned)to > CK_FLOAT64) return NULL;
  return CK_TABLE(cast_table)->kernels[from][to];
}

int ck_cast(ck_dtype from, ck_dtype to, int64_t n, const void *source, void *out) {
  ck_unary_fn kernel = ck_cast_serial(from, to);
  if (!kernel) return CK_UNSUPPORTED;
  ck_split_unary(kernel, n, source, out, ck_dtype_size(from), ck_dtype_size(to), CK_GRAIN_LIGHT);
  return CK_OK;
}
