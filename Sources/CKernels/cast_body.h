// Casts at one instruction set.

#if CK_LEVEL_INDEX > 0 || defined(__aarch64__)
CK_INLINE float N(half_value)(uint16_t h) {
  _Float16 x;
  memcpy(&x, &h, 2);
  return (float)x;
}
CK_INLINE uint16_t N(half_bits)(float x) {
  _Float16 y = (_Float16)x;
  uint16_t h;
  memcpy(&h, &y, 2);
  return h;
}
#else
CK_INLINE float N(half_value)(uint16_t h) { return ck_f16_to_f32_bits(h); }
CK_INLINE uint16_t N(half_bits)(float x) { return ck_f32_to_f16_bits(x); }
#endif

// Same type of element: a copy.
#define CK_COPY(S, BYTES) \
  static void N(S##_to_##S)(int64_t n, const void *source, void *out) { memmove(out, source, (size_t)n * BYTES); }

#define CK_CAST(S, T, EXPRESSION)                                                        \
  static void N(S##_to_##T)(int64_t n, const void *source, void *out) {                  \
    const ck_##S *in = source;                                                           \
    ck_##T *result = out;                                                                \
    CK_VECTORIZE for (int64_t i = 0; i < n; i++) {                                       \
      const ck_##S x = in[i];                                                            \
      result[i] = EXPRESSION;                                                            \
    }                                                                                    \
  }

// An integer that no double holds, rounded to an odd one of its neighbours: rounding that again gives what rounding the
// integer would.
#ifndef CK_ODD_DOUBLES
#define CK_ODD_DOUBLES
CK_INLINE double ck_odd_signed(int64_t x) {
  const bool exact = x >= -((int64_t)1 << 53) && x <= (int64_t)1 << 53;
  return exact ? (double)x : (double)((x >> 16) | ((x & 0xFFFF) != 0)) * 65536.0;
}
CK_INLINE double ck_odd_unsigned(uint64_t x) {
  const bool exact = x <= (uint64_t)1 << 53;
  return exact ? (double)x : (double)((x >> 16) | ((x & 0xFFFF) != 0)) * 65536.0;
}
#endif

// From integers (and bool): to integers wrapping, to floats through the nearest type that holds them.
#define CK_CAST_INT(S, T) CK_CAST(S, T, (ck_##T)x)
#define CK_CAST_REST(S, ODD)                                          \
  CK_CAST(S, b, x != 0)                                               \
  CK_CAST(S, f16, N(half_bits)(ck_round_to_odd(ODD(x))))              \
  CK_CAST(S, bf16, ck_f32_to_bf16(ck_round_to_odd(ODD(x))))           \
  CK_CAST(S, f32, (float)x)                                           \
  CK_CAST(S, f64, (double)x)

#define CK_FROM_b(M) M(b, u8) M(b, i8) M(b, i16) M(b, u16) M(b, i32) M(b, u32) M(b, i64) M(b, u64)
CK_FROM_b(CK_CAST_INT)
CK_COPY(b, 1)
CK_CAST(b, f16, x ? 0x3C00 : 0)
CK_CAST(b, bf16, x ? 0x3F80 : 0)
CK_CAST(b, f32, (float)x)
CK_CAST(b, f64, (double)x)

#define CK_FROM_u8(M) M(u8, i8) M(u8, i16) M(u8, u16) M(u8, i32) M(u8, u32) M(u8, i64) M(u8, u64)
#define CK_FROM_i8(M) M(i8, u8) M(i8, i16) M(i8, u16) M(i8, i32) M(i8, u32) M(i8, i64) M(i8, u64)
#define CK_FROM_i16(M) M(i16, u8) M(i16, i8) M(i16, u16) M(i16, i32) M(i16, u32) M(i16, i64) M(i16, u64)
#define CK_FROM_u16(M) M(u16, u8) M(u16, i8) M(u16, i16) M(u16, i32) M(u16, u32) M(u16, i64) M(u16, u64)
#define CK_FROM_i32(M) M(i32, u8) M(i32, i8) M(i32, i16) M(i32, u16) M(i32, u32) M(i32, i64) M(i32, u64)
#define CK_FROM_u32(M) M(u32, u8) M(u32, i8) M(u32, i16) M(u32, u16) M(u32, i32) M(u32, i64) M(u32, u64)
#define CK_FROM_i64(M) M(i64, u8) M(i64, i8) M(i64, i16) M(i64, u16) M(i64, i32) M(i64, u32) M(i64, u64)
#define CK_FROM_u64(M) M(u64, u8) M(u64, i8) M(u64, i16) M(u64, u16) M(u64, i32) M(u64, u32) M(u64, i64)
CK_FROM_u8(CK_CAST_INT) CK_COPY(u8, 1) CK_CAST_REST(u8, (double))
CK_FROM_i8(CK_CAST_INT) CK_COPY(i8, 1) CK_CAST_REST(i8, (double))
CK_FROM_i16(CK_CAST_INT) CK_COPY(i16, 2) CK_CAST_REST(i16, (double))
CK_FROM_u16(CK_CAST_INT) CK_COPY(u16, 2) CK_CAST_REST(u16, (double))
CK_FROM_i32(CK_CAST_INT) CK_COPY(i32, 4) CK_CAST_REST(i32, (double))
CK_FROM_u32(CK_CAST_INT) CK_COPY(u32, 4) CK_CAST_REST(u32, (double))
CK_FROM_i64(CK_CAST_INT) CK_COPY(i64, 8) CK_CAST_REST(i64, ck_odd_signed)
CK_FROM_u64(CK_CAST_INT) CK_COPY(u64, 8) CK_CAST_REST(u64, ck_odd_unsigned)

#define CK_CAST_FROM_FLOAT(S, P, LOAD)           \
  CK_CAST(S, b, LOAD != 0)                       \
  CK_CAST(S, u8, ck_##P##_to_u8(LOAD))           \
  CK_CAST(S, i8, ck_##P##_to_i8(LOAD))           \
  CK_CAST(S, i16, ck_##P##_to_i16(LOAD))         \
  CK_CAST(S, u16, ck_##P##_to_u16(LOAD))         \
  CK_CAST(S, i32, ck_##P##_to_i32(LOAD))         \
  CK_CAST(S, u32, ck_##P##_to_u32(LOAD))         \
  CK_CAST(S, i64, ck_##P##_to_i64(LOAD))         \
  CK_CAST(S, u64, ck_##P##_to_u64(LOAD))
CK_CAST_FROM_FLOAT(f16, f32, N(half_value)(x))
CK_COPY(f16, 2)
CK_CAST(f16, bf16, ck_f32_to_bf16(N(half_value)(x)))
CK_CAST(f16, f32, N(half_value)(x))
CK_CAST(f16, f64, (double)N(half_value)(x))
CK_CAST_FROM_FLOAT(bf16, f32, ck_bf16_to_f32(x))
CK_COPY(bf16, 2)
CK_CAST(bf16, f16, N(half_bits)(ck_bf16_to_f32(x)))
CK_CAST(bf16, f32, ck_bf16_to_f32(x))
CK_CAST(bf16, f64, (double)ck_bf16_to_f32(x))
CK_CAST_FROM_FLOAT(f32, f32, x)
CK_COPY(f32, 4)
CK_CAST(f32, f16, N(half_bits)(x))
CK_CAST(f32, bf16, ck_f32_to_bf16(x))
CK_CAST(f32, f64, (double)x)
CK_CAST_FROM_FLOAT(f64, f64, x)
CK_COPY(f64, 8)
CK_CAST(f64, f16, N(half_bits)(ck_round_to_odd(x)))
CK_CAST(f64, bf16, ck_f32_to_bf16(ck_round_to_odd(x)))
CK_CAST(f64, f32, (float)x)

// In the order of ck_dtype.
#define CK_CAST_ROW(S)                                                                                        \
  {N(S##_to_b), N(S##_to_u8), N(S##_to_i8), N(S##_to_i16), N(S##_to_u16), N(S##_to_i32), N(S##_to_u32),        \
   N(S##_to_i64), N(S##_to_u64), N(S##_to_f16), N(S##_to_bf16), N(S##_to_f32), N(S##_to_f64)}

static const struct cast_table N(cast_table) = {
    {CK_CAST_ROW(b), CK_CAST_ROW(u8), CK_CAST_ROW(i8), CK_CAST_ROW(i16), CK_CAST_ROW(u16), CK_CAST_ROW(i32),
     CK_CAST_ROW(u32), CK_CAST_ROW(i64), CK_CAST_ROW(u64), CK_CAST_ROW(f16), CK_CAST_ROW(bf16), CK_CAST_ROW(f32),
     CK_CAST_ROW(f64)}};

#undef CK_COPY
#undef CK_CAST
#undef CK_CAST_INT
#undef CK_CAST_REST
#undef CK_FROM_b
#undef CK_FROM_u8
#undef CK_FROM_i8
#undef CK_FROM_i16
#undef CK_FROM_u16
#undef CK_FROM_i32
#undef CK_FROM_u32
#undef CK_FROM_i64
#undef CK_FROM_u64
#undef CK_CAST_FROM_FLOAT
#undef CK_CAST_ROW
