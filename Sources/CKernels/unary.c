// Unary element-wise kernels: lookup.
#include "internal.h"
#include "vmath.h"

enum { UNARY_COUNT = CK_NORMAL_PDF - CK_NEGATE + 1 };

struct unary_kernel {
  ck_unary_fn range, entry;
};
struct unary_table {
  struct unary_kernel kernels[UNARY_COUNT][CK_IX_COUNT];
};

// clang's division of work between these: library calls are not worth vectorising.
#define CK_LOOP_FAST CK_VECTORIZE
#define CK_LOOP_MATH CK_VECTORIZE
#define CK_LOOP_SLOW CK_NO_VECTORIZE

// |x| and the sign of unsigned numbers compare with 0 in vain.
#pragma clang diagnostic ignored "-Wtautological-compare"

#define CK_BODY "unary_body.h"
#include "levels.h"

CK_TABLES(struct unary_table, unary_table);

static const struct unary_kernel *find(ck_op op, ck_dtype dtype) {
  int column = ck_arithmetic_index(dtype);
  if (column < 0 || (int)op < CK_NEGATE || op > CK_NORMAL_PDF) return NULL;
  return &CK_TABLE(unary_table)->kernels[op - CK_NEGATE][column];
}

ck_unary_fn ck_unary(ck_op op, ck_dtype dtype) {
  const struct unary_kernel *kernel = find(op, dtype);
  return kernel ? kernel->entry : NULL;
}

ck_unary_fn ck_unary_serial(ck_op op, ck_dtype dtype) {
  const struct unary_kernel *kernel = find(op, dtype);
  return kernel ? kernel->range : NULL;
}
