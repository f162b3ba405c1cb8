// Combining operations shared by the reductions; each works on scalars and on vectors.
#ifndef CK_LANES_H
#define CK_LANES_H

#include "internal.h"

// Elements after which partial results are combined in a wider type.
#define CK_LANES_BLOCK 4096

#define CK_PLUS(a, v) ((a) + (v))
#define CK_TIMES(a, v) ((a) * (v))
// NaN enters by (v != v), and stays since nothing compares greater.
#define CK_GREATER_OF(a, v) ((((v) > (a)) | ((v) != (v))) ? (v) : (a))
#define CK_LESSER_OF(a, v) ((((v) < (a)) | ((v) != (v))) ? (v) : (a))
#define CK_ITSELF(v) (v)

// Terms of sums.
#define CK_TERM_VALUE(v, w, c) (v)
#define CK_TERM_SQUARE(v, w, c) ((v) * (v))
#define CK_TERM_DEVIATION(v, w, c) (((v) - (c)) * ((v) - (c)))
#define CK_TERM_PRODUCT(v, w, c) ((v) * (w))
#define CK_TERM_MOMENT(v, w, c) ((v) * ((w) - (c)))

// exp over f32 vectorises, over f64 it is the C library's.
#define CK_EXP_LOOP_f32 CK_VECTORIZE
#define CK_EXP_LOOP_f64 CK_NO_VECTORIZE
#define CK_EXP_f32 ck_expf
#define CK_EXP_f64 exp

#endif
