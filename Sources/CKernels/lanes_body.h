// Reductions of a contiguous run in several vector accumulators, for inclusion in a body at one instruction set.

#if CK_LEVEL_INDEX == 2
#define CK_VECTOR_BYTES 64
#elif CK_LEVEL_INDEX == 1
#define CK_VECTOR_BYTES 32
#else
#define CK_VECTOR_BYTES 16
#endif

typedef float N(v_f32) __attribute__((ext_vector_type(CK_VECTOR_BYTES / 4), aligned(4)));
typedef double N(v_f64) __attribute__((ext_vector_type(CK_VECTOR_BYTES / 8), aligned(8)));
enum { N(lanes_f32) = CK_VECTOR_BYTES / 4, N(lanes_f64) = CK_VECTOR_BYTES / 8 };
#undef CK_VECTOR_BYTES

// Name(n, x): x[0] … x[n-1] combined, in the wider type A at the end. VALUE maps a loaded element (or vector) v.
// Rounding errors grow with n / 4 lanes: callers cut long runs into blocks of CK_LANES_BLOCK.
#define CK_LANES(NAME, S, A, IDENTITY, VALUE, COMBINE)                                               \
  __attribute__((unused)) static A N(NAME##_##S)(int64_t n, const ck_##S *x) {                       \
    typedef N(v_##S) V;                                                                              \
    enum { L = N(lanes_##S) };                                                                       \
    A total = IDENTITY;                                                                              \
    int64_t i = 0;                                                                                   \
    if (n >= L) {                                                                                    \
      V a0 = (V)((ck_##S)IDENTITY), a1 = a0, a2 = a0, a3 = a0;                                       \
      for (; i + 4 * L <= n; i += 4 * L) {                                                           \
        V v0 = *(const V *)(x + i), v1 = *(const V *)(x + i + L);                                    \
        V v2 = *(const V *)(x + i + 2 * L), v3 = *(const V *)(x + i + 3 * L);                        \
        a0 = COMBINE(a0, VALUE(v0));                                                                 \
        a1 = COMBINE(a1, VALUE(v1));                                                                 \
        a2 = COMBINE(a2, VALUE(v2));                                                                 \
        a3 = COMBINE(a3, VALUE(v3));                                                                 \
      }                                                                                              \
      for (; i + L <= n; i += L) {                                                                   \
        V v = *(const V *)(x + i);                                                                   \
        a0 = COMBINE(a0, VALUE(v));                                                                  \
      }                                                                                              \
      a0 = COMBINE(a0, a1);                                                                          \
      a2 = COMBINE(a2, a3);                                                                          \
      a0 = COMBINE(a0, a2);                                                                          \
      for (int l = 0; l < L; l++) {                                                                  \
        A v = a0[l];                                                                                 \
        total = COMBINE(total, v);                                                                   \
      }                                                                                              \
    }                                                                                                \
    for (; i < n; i++) {                                                                             \
      A v = VALUE(x[i]);                                                                             \
      total = COMBINE(total, v);                                                                     \
    }                                                                                                \
    return total;                                                                                    \
  }

// Name(n, x, z, c): sum of TERM(x[i], z[i], c), by blocks, in double. z may be x where TERM does not use it.
#define CK_LANES_SUM(NAME, S, TERM)                                                                  \
  __attribute__((unused)) static double N(NAME##_##S)(int64_t n, const ck_##S *x, const ck_##S *z, ck_##S c) { \
    typedef N(v_##S) V;                                                                              \
    enum { L = N(lanes_##S) };                                                                       \
    double total = 0;                                                                                \
    (void)z;                                                                                         \
    int64_t i = 0;                                                                                   \
    while (i + L <= n) {                                                                             \
      int64_t end = CK_MIN(n, i + CK_LANES_BLOCK);                                                   \
      V a0 = (V)((ck_##S)0), a1 = a0, a2 = a0, a3 = a0;                                              \
      const V k = (V)(c);                                                                            \
      (void)k;                                                                                       \
      for (; i + 4 * L <= end; i += 4 * L) {                                                         \
        a0 += TERM(*(const V *)(x + i), *(const V *)(z + i), k);                                     \
        a1 += TERM(*(const V *)(x + i + L), *(const V *)(z + i + L), k);                             \
        a2 += TERM(*(const V *)(x + i + 2 * L), *(const V *)(z + i + 2 * L), k);                     \
        a3 += TERM(*(const V *)(x + i + 3 * L), *(const V *)(z + i + 3 * L), k);                     \
      }                                                                                              \
      for (; i + L <= end; i += L) a0 += TERM(*(const V *)(x + i), *(const V *)(z + i), k);          \
      a0 = (a0 + a1) + (a2 + a3);                                                                    \
      for (int l = 0; l < L; l++) total += (double)a0[l];                                            \
    }                                                                                                \
    for (; i < n; i++) total += (double)(TERM(x[i], z[i], c));                                       \
    return total;                                                                                    \
  }
