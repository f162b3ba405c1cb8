// Batch norm at one instruction set, for both element types.
#define CK_S f32
#include "batchnorm_type.h"
#undef CK_S
#define CK_S f64
#include "batchnorm_type.h"
#undef CK_S

static const struct batchnorm_table N(batchnorm_table) = {
    {{CK_PASTE(CK_PASTE(statistics, f32), CK_LEVEL), CK_PASTE(CK_PASTE(apply, f32), CK_LEVEL),
      CK_PASTE(CK_PASTE(gradient_sums, f32), CK_LEVEL), CK_PASTE(CK_PASTE(gradient_apply, f32), CK_LEVEL)},
     {CK_PASTE(CK_PASTE(statistics, f64), CK_LEVEL), CK_PASTE(CK_PASTE(apply, f64), CK_LEVEL),
      CK_PASTE(CK_PASTE(gradient_sums, f64), CK_LEVEL), CK_PASTE(CK_PASTE(gradient_apply, f64), CK_LEVEL)}}};
