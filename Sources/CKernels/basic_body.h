// Select, fill and arithmetic progressions at one instruction set.

#define CK_SELECT_MODE(T, MODE, A, B)                                                                            \
  static void N(select_##T##_##MODE)(int64_t n, const void *condition, const void *a, const void *b, void *out) { \
    const uint8_t *choose = condition;                                                                           \
    const T *left = a, *right = b;                                                                               \
    const T left0 = *left, right0 = *right;                                                                      \
    (void)left0, (void)right0;                                                                                   \
    T *result = out;                                                                                             \
    CK_VECTORIZE for (int64_t i = 0; i < n; i++) {                                                               \
      const T x = A, y = B;                                                                                      \
      result[i] = choose[i] ? x : y;                                                                             \
    }                                                                                                            \
  }
#define CK_SELECT(T)                              \
  CK_SELECT_MODE(T, vv, left[i], right[i])        \
  CK_SELECT_MODE(T, vs, left[i], right0)          \
  CK_SELECT_MODE(T, sv, left0, right[i])          \
  CK_SELECT_MODE(T, ss, left0, right0)
#define CK_SELECT_ROW(T) {N(select_##T##_vv), N(select_##T##_vs), N(select_##T##_sv), N(select_##T##_ss)}

#define CK_FILL(T)                                                                    \
  static void N(fill_##T)(int64_t n, const void *value, void *out) {                  \
    const T x = *(const T *)value;                                                    \
    T *result = out;                                                                  \
    CK_VECTORIZE for (int64_t i = 0; i < n; i++) result[i] = x;                       \
  }

#define CK_IOTA(S, EXPRESSION)                                                                                   \
  static void N(iota_##S)(int64_t begin, int64_t end, const void *start, const void *step, void *out) {          \
    const ck_##S first = *(const ck_##S *)start, by = *(const ck_##S *)step;                                     \
    ck_##S *result = out;                                                                                        \
    CK_VECTORIZE for (int64_t i = begin; i < end; i++) result[i] = (ck_##S)(EXPRESSION);                         \
  }

CK_SELECT(uint8_t)
CK_SELECT(uint16_t)
CK_SELECT(uint32_t)
CK_SELECT(uint64_t)
CK_FILL(uint8_t)
CK_FILL(uint16_t)
CK_FILL(uint32_t)
CK_FILL(uint64_t)
CK_IOTA(u8, (ck_w_u8)first + (ck_w_u8)i *(ck_w_u8)by)
CK_IOTA(i32, (ck_w_i32)first + (ck_w_i32)i *(ck_w_i32)by)
CK_IOTA(i64, (ck_w_i64)first + (ck_w_i64)i *(ck_w_i64)by)
CK_IOTA(f32, (double)first + (double)i * (double)by)
CK_IOTA(f64, first + (double)i * by)

static const struct basic_table N(basic_table) = {
    .select = {CK_SELECT_ROW(uint8_t), CK_SELECT_ROW(uint16_t), CK_SELECT_ROW(uint32_t), CK_SELECT_ROW(uint64_t)},
    .fill = {N(fill_uint8_t), N(fill_uint16_t), N(fill_uint32_t), N(fill_uint64_t)},
    .iota = {NULL, N(iota_u8), N(iota_i32), N(iota_i64), N(iota_f32), N(iota_f64)},
};

#undef CK_SELECT_MODE
#undef CK_SELECT
#undef CK_SELECT_ROW
#undef CK_FILL
#undef CK_IOTA
