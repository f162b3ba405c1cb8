// Pooling at one instruction set, for both element types.
#include "lanes_body.h"

#define CK_S f32
#include "pool_type.h"
#undef CK_S
#define CK_S f64
#include "pool_type.h"
#undef CK_S

#define CK_POOL_ROW(S)                                                                             \
  {N(max_##S), N(max_backward_##S), N(max_gather_##S), N(average_##S), N(average_backward_##S)}
static const struct pool_table N(pool_table) = {{CK_POOL_ROW(f32), CK_POOL_ROW(f64)}};
#undef CK_POOL_ROW
#undef CK_LANES
#undef CK_LANES_SUM
