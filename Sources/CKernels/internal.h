// What the kernel files share. A family `x` has x.c, which includes levels.h, and x_body.h, the code compiled once for
// every instruction set; names in a body are wrapped in N() so that each compilation gets its own.
#ifndef CK_INTERNAL_H
#define CK_INTERNAL_H

#include "ckernels.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#define CK_PASTE_(a, b) a##_##b
#define CK_PASTE(a, b) CK_PASTE_(a, b)
#define N(name) CK_PASTE(name, CK_LEVEL)

#define CK_INLINE static inline __attribute__((always_inline))
#define CK_RESTRICT __restrict

#if defined(__x86_64__)
#define CK_HAS_LEVELS 1
#else
#define CK_HAS_LEVELS 0
#endif

// 0 baseline, 1 avx2, 2 avx512; set before main.
extern int ck_level_index;

// The compilation of `name` for this processor. Each family defines its tables per level.
#if CK_HAS_LEVELS
#define CK_TABLES(type, name) \
  static const type *const name##_tables[3] = {&name##_baseline, &name##_avx2, &name##_avx512}
#else
#define CK_TABLES(type, name) static const type *const name##_tables[1] = {&name##_baseline}
#endif
#define CK_TABLE(name) (name##_tables[ck_level_index])

// Exact aliasing of an output with an input is allowed, partial overlap is not: so no iteration depends on another,
// which run-time overlap checks would not find out for equal pointers.
#define CK_VECTORIZE _Pragma("clang loop vectorize(assume_safety) interleave(enable)")
#define CK_NO_VECTORIZE _Pragma("clang loop vectorize(disable)")

#define CK_MIN(a, b) ((a) < (b) ? (a) : (b))
#define CK_MAX(a, b) ((a) > (b) ? (a) : (b))

// Elements of light (memory-bound) work below which a fork-join of the team costs more than it saves.
#define CK_GRAIN_LIGHT 24576
#define CK_GRAIN_FAST CK_GRAIN_LIGHT
#define CK_GRAIN_MATH 8192
#define CK_GRAIN_SLOW 2048

// Position of an arithmetic dtype in kernel tables: bool, uint8, int32, int64, float32, float64; -1 for the others.
enum { CK_IX_b, CK_IX_u8, CK_IX_i32, CK_IX_i64, CK_IX_f32, CK_IX_f64, CK_IX_COUNT };
CK_INLINE int ck_arithmetic_index(ck_dtype dtype) {
  switch (dtype) {
    case CK_BOOL: return CK_IX_b;
    case CK_UINT8: return CK_IX_u8;
    case CK_INT32: return CK_IX_i32;
    case CK_INT64: return CK_IX_i64;
    case CK_FLOAT32: return CK_IX_f32;
    case CK_FLOAT64: return CK_IX_f64;
    default: return -1;
  }
}

typedef uint8_t ck_b, ck_u8;
typedef int32_t ck_i32;
typedef int64_t ck_i64;
typedef float ck_f32;
typedef double ck_f64;
// Unsigned partners, in which arithmetic wraps.
typedef uint8_t ck_w_u8;
typedef uint32_t ck_w_i32;
typedef uint64_t ck_w_i64;

// Kernels that never start threads, for use inside another kernel's range. NULL where undefined.
ck_binary_fn ck_binary_serial(ck_op op, ck_dtype dtype, ck_mode mode);
ck_binary_fn ck_compare_serial(ck_op op, ck_dtype dtype, ck_mode mode);
ck_unary_fn ck_unary_serial(ck_op op, ck_dtype dtype);
ck_unary_fn ck_cast_serial(ck_dtype from, ck_dtype to);
typedef void (*ck_select_fn)(int64_t n, const void *condition, const void *a, const void *b, void *out);
ck_select_fn ck_select_serial(int64_t element_size, ck_mode mode);
typedef void (*ck_ternary_fn)(int64_t n, const void *a, const void *b, const void *c, void *out);
/// `vectors` has bit 0, 1, 2 set for a, b, c being vectors.
ck_ternary_fn ck_ternary_serial(ck_op op, ck_dtype dtype, int vectors);
void ck_fill_serial(int64_t element_size, int64_t n, const void *value, void *out);

// Splits a kernel call over the team; sizes in bytes per element, 0 for a scalar operand.
void ck_split_binary(ck_binary_fn kernel, int64_t n, const void *a, const void *b, void *out, int64_t size_a,
                     int64_t size_b, int64_t size_out, int64_t grain);
void ck_split_unary(ck_unary_fn kernel, int64_t n, const void *a, void *out, int64_t size_a, int64_t size_out,
                    int64_t grain);

#endif
