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
#define CK_SQUARED(v) ((v) * (v))

#endif
