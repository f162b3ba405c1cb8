// Compiles CK_BODY once per instruction set. No include guard: each family includes it once with its own CK_BODY.
#define CK_LEVEL baseline
#define CK_LEVEL_INDEX 0
#include CK_BODY
#undef CK_LEVEL
#undef CK_LEVEL_INDEX

#if CK_HAS_LEVELS
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#define CK_LEVEL avx2
#define CK_LEVEL_INDEX 1
#include CK_BODY
#undef CK_LEVEL
#undef CK_LEVEL_INDEX
#pragma clang attribute pop

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,f16c"))), \
                             apply_to = function)
#define CK_LEVEL avx512
#define CK_LEVEL_INDEX 2
#include CK_BODY
#undef CK_LEVEL
#undef CK_LEVEL_INDEX
#pragma clang attribute pop
#endif
