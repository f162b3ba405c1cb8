// Vector kernels of the CPU engine.
//
// Conventions that hold for every function here:
//  - Tensors are dense and row-major unless strides are named; counts and strides are in elements.
//  - Every kernel splits its work by `ck_parallel_for`, so it runs on several threads only inside a team section.
//  - Results do not depend on the number of threads.
//  - Functions that return `int` return CK_OK (0) or one of the other `ck_status` codes; on a non-zero return the
//    output is unspecified but nothing outside it was touched.
//  - Pointers need only the alignment of the element type. Inputs and outputs may be the same pointer (exactly equal,
//    same element size) for all element-wise kernels; otherwise they must not overlap.
#ifndef CKERNELS_H
#define CKERNELS_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma clang assume_nonnull begin

// MARK: Types

typedef enum ck_dtype {
  CK_BOOL = 0,  // one byte, 0 or 1
  CK_UINT8 = 1,
  CK_INT8 = 2,
  CK_INT16 = 3,
  CK_UINT16 = 4,
  CK_INT32 = 5,
  CK_UINT32 = 6,
  CK_INT64 = 7,
  CK_UINT64 = 8,
  CK_FLOAT16 = 9,
  CK_BFLOAT16 = 10,
  CK_FLOAT32 = 11,
  CK_FLOAT64 = 12,
} ck_dtype;

typedef enum ck_status {
  CK_OK = 0,
  CK_UNSUPPORTED = 1,  // no kernel for this operation and dtype
  CK_BAD_INDEX = 2,    // an index is outside its axis
  CK_BAD_SHAPE = 3,    // an empty maximum, a rank above 32, a malformed pooling window or fused program
  CK_NO_MEMORY = 4,
} ck_status;

/// One code space for element-wise operations, so that a fused program names them as the plain kernels do.
typedef enum ck_op {
  // Binary; both operands and the result have the same dtype (logical ones give CK_BOOL).
  CK_ADD = 0,        // bool: or
  CK_SUBTRACT = 1,   // not for bool
  CK_MULTIPLY = 2,   // bool: and
  CK_DIVIDE = 3,     // integers: truncated toward zero, x / 0 = 0; not for bool
  CK_REMAINDER = 4,  // the sign of the divisor (Python's %), a zero's too; integers: x % 0 = 0; not for bool
  CK_POWER = 5,      // integers wrap; a negative exponent gives 0 unless the base is 1 or -1; not for bool
  CK_MAXIMUM = 6,    // NaN in either operand gives NaN; -0 is below 0
  CK_MINIMUM = 7,
  CK_ATAN2 = 8,       // floating point only
  CK_AND = 9,         // bitwise: bool and integers
  CK_OR = 10,
  CK_XOR = 11,
  CK_LOGICAL_AND = 12,  // of (x != 0); any arithmetic dtype to bool
  CK_LOGICAL_OR = 13,
  CK_LOGICAL_XOR = 14,

  // Comparisons; the result is CK_BOOL.
  CK_EQUAL = 32,
  CK_NOT_EQUAL = 33,
  CK_LESS = 34,
  CK_LESS_EQUAL = 35,
  CK_GREATER = 36,
  CK_GREATER_EQUAL = 37,

  // Unary for integers and floating point.
  CK_NEGATE = 64,
  CK_ABS = 65,
  CK_SIGN = 66,  // NaN stays NaN
  CK_RELU = 67,  // NaN stays NaN
  // Unary for every arithmetic dtype, to bool.
  CK_LOGICAL_NOT = 68,
  CK_ISNAN = 69,  // floating point only
  // Bitwise complement; bool: logical.
  CK_NOT = 70,
  CK_SQUARE = 71,  // integers and floating point
  // Unary for floating point only.
  CK_FLOOR = 80,
  CK_CEIL = 81,
  CK_ROUND = 82,  // half to even
  CK_TRUNC = 83,
  CK_EXP = 84,
  CK_LOG = 85,
  CK_LOG1P = 86,
  CK_EXPM1 = 87,
  CK_SQRT = 88,
  CK_RSQRT = 89,
  CK_SIN = 90,
  CK_COS = 91,
  CK_TANH = 92,
  CK_ERF = 93,
  CK_RECIPROCAL = 94,
  CK_SIGMOID = 95,
  CK_SILU = 96,       // x * sigmoid(x)
  CK_GELU_TANH = 97,  // x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))
  CK_GELU_ERF = 98,   // x/2 (1 + erf(x / sqrt 2))
  CK_SOFTPLUS = 99,   // log(1 + e^x)
  CK_NORMAL_CDF = 100,  // the standard normal distribution's function
  CK_NORMAL_PDF = 101,  // its density, e^(-x^2/2) / sqrt(2 pi)

  // In fused programs only.
  CK_SELECT = 128,           // sources: condition (bool), a, b
  CK_CAST = 129,             // from `from_dtype` to `dtype`
  CK_MULTIPLY_ADD = 130,     // a * b + c, floating point, the product rounded
  CK_NEGATIVE_MULTIPLY_ADD = 131,  // c - a * b
  CK_COPY = 132,
} ck_op;

/// Which operands are vectors of n elements and which are one element.
typedef enum ck_mode {
  CK_VECTOR_VECTOR = 0,
  CK_VECTOR_SCALAR = 1,
  CK_SCALAR_VECTOR = 2,
  CK_SCALAR_SCALAR = 3,  // ck_select only
} ck_mode;

int64_t ck_dtype_size(ck_dtype dtype);

/// "baseline", "avx2" or "avx512": the instruction set the kernels run with. The environment variable APUS_CPU lowers
/// it; it is read once.
const char *ck_cpu_level(void);

// MARK: Threads

typedef void (*ck_range_body)(void *_Nullable context, int64_t begin, int64_t end);

/// Number of threads of the team: OMP_NUM_THREADS, or the number of CPUs this process may run on.
int ck_threads(void);
void ck_set_threads(int count);

/// A team section: between enter and exit kernels called on this thread may use the team. libgomp keeps one team per
/// calling thread, so only a thread that owns one (see ck_compute_run) should enter. Sections nest.
void ck_team_enter(void);
void ck_team_exit(void);
bool ck_in_team(void);

/// Calls `body` on disjoint ranges that cover 0..<total. Ranges run on several threads if the caller is in a team
/// section and total > grain, each thread getting at least about `grain`; otherwise `body(context, 0, total)` runs here.
void ck_parallel_for(int64_t total, int64_t grain, ck_range_body body, void *_Nullable context);

/// Runs `function(context)` inside a team section: here on the program's first thread, for all other threads on the
/// compute thread, waiting for it. Callers are served one at a time. Inside such a function it runs at once. The compute
/// thread starts with its first job.
void ck_compute_run(void (*function)(void *_Nullable), void *_Nullable context);
bool ck_on_compute_thread(void);

// MARK: Element-wise

typedef void (*ck_binary_fn)(int64_t n, const void *a, const void *b, void *out);
typedef void (*ck_unary_fn)(int64_t n, const void *a, void *out);

/// Kernels for bool, uint8, int32, int64, float32, float64; NULL where the operation is not defined for the dtype.
/// Look up once, call often. Large calls split over the team by themselves.
ck_binary_fn _Nullable ck_binary(ck_op op, ck_dtype dtype, ck_mode mode);
/// CK_EQUAL … CK_GREATER_EQUAL; `out` is bool.
ck_binary_fn _Nullable ck_compare(ck_op op, ck_dtype dtype, ck_mode mode);
ck_unary_fn _Nullable ck_unary(ck_op op, ck_dtype dtype);

/// out = condition ? a : b. `element_size` is 1, 2, 4, 8 or 16 bytes; `mode` says which of a and b are one element.
int ck_select(int64_t element_size, ck_mode mode, int64_t n, const uint8_t *condition, const void *a, const void *b,
              void *out);

/// Between any two of the 13 dtypes. To float16/bfloat16: round to nearest even. Floating to integer: truncates,
/// saturates, NaN gives 0. Integer to integer wraps. To bool: x != 0.
int ck_cast(ck_dtype from, ck_dtype to, int64_t n, const void *source, void *out);

/// `value` points to one element.
int ck_fill(int64_t element_size, int64_t n, const void *value, void *out);

/// out[i] = start + i * step; both point to one element of `dtype` (arithmetic dtypes but bool).
int ck_iota(ck_dtype dtype, int64_t n, const void *start, const void *step, void *out);

// MARK: Reductions

typedef enum ck_reduction {
  CK_REDUCE_SUM = 0,
  CK_REDUCE_PRODUCT = 1,
  CK_REDUCE_MAX = 2,  // NaN wins
  CK_REDUCE_MIN = 3,
  CK_REDUCE_ARGMAX = 4,  // int64 out; the first of equals; the first NaN wins
  CK_REDUCE_ARGMIN = 5,
  CK_REDUCE_ANY = 6,  // any arithmetic dtype in, bool out
  CK_REDUCE_ALL = 7,
} ck_reduction;

/// x is [outer, length, inner], out is [outer, inner]. Sums and products keep the dtype (integers wrap; not for bool).
/// An empty axis gives 0, 1, false, true for sum, product, any, all, and CK_BAD_SHAPE for the others.
int ck_reduce(ck_reduction op, ck_dtype dtype, int64_t outer, int64_t length, int64_t inner, const void *x, void *out);

/// sqrt(sum x^2) over the middle axis of [outer, length, inner]; float32, float64. No square overflows or vanishes on the
/// way; of nothing it is 0.
int ck_norm(ck_dtype dtype, int64_t outer, int64_t length, int64_t inner, const void *x, void *out);

/// Softmax (or its logarithm) over the middle axis of [outer, n, inner]; float32, float64. In place is safe.
int ck_softmax(ck_dtype dtype, bool logarithm, int64_t outer, int64_t n, int64_t inner, const void *x, void *y);
/// dx = y (g - sum(g y)), or for the logarithm dx = g - e^y sum(g).
int ck_softmax_backward(ck_dtype dtype, bool logarithm, int64_t outer, int64_t n, int64_t inner, const void *y,
                        const void *g, void *dx);

// MARK: Moving data

/// dst (dense, `shape`) = view of src. Strides are in elements, may be 0 (broadcast) or negative; `src` is the address
/// of the view's element [0, …, 0]. `element_size` is 1, 2, 4, 8 or 16; rank at most 32.
int ck_copy_strided(int64_t element_size, int64_t rank, const int64_t *shape, const void *src,
                    const int64_t *src_strides, void *dst);
/// The mirror: view of dst = src (dense). Where the view's elements overlap, the result is one of the writes.
int ck_scatter_strided(int64_t element_size, int64_t rank, const int64_t *shape, const void *src, void *dst,
                       const int64_t *dst_strides);

/// Where an out-of-range index was found.
typedef struct ck_index_error {
  int64_t position;  // in the index tensor
  int64_t value;
} ck_index_error;

/// All index kernels check every index before they touch memory: CK_BAD_INDEX and `error` (may be NULL) for the first
/// one outside 0..<length. `index_dtype` is CK_INT32 or CK_INT64.

/// dst[o, j, i] = src[o, index[j], i]: src [outer, length, inner], index [count], dst [outer, count, inner].
int ck_gather(int64_t element_size, ck_dtype index_dtype, int64_t outer, int64_t length, int64_t inner, int64_t count,
              const void *src, const void *index, void *dst, ck_index_error *_Nullable error);
/// dst[o, index[j], i] += src[o, j, i]: src [outer, count, inner], dst [outer, length, inner] is accumulated into.
/// Arithmetic dtypes but bool. Duplicates add up in index order.
int ck_scatter_add(ck_dtype dtype, ck_dtype index_dtype, int64_t outer, int64_t length, int64_t inner, int64_t count,
                   const void *src, const void *index, void *dst, ck_index_error *_Nullable error);
/// dst[o, j, i] = src[o, index[o, j, i], i]: index and dst [outer, count, inner].
int ck_take_along(int64_t element_size, ck_dtype index_dtype, int64_t outer, int64_t length, int64_t inner,
                  int64_t count, const void *src, const void *index, void *dst, ck_index_error *_Nullable error);
/// dst[o, index[o, j, i], i] += src[o, j, i].
int ck_scatter_add_along(ck_dtype dtype, ck_dtype index_dtype, int64_t outer, int64_t length, int64_t inner,
                         int64_t count, const void *src, const void *index, void *dst,
                         ck_index_error *_Nullable error);

// MARK: Pooling

/// Images are [planes, height, width, block], results [planes, out_height, out_width, block]. Plain NCHW: planes = N*C,
/// block = 1. Channel-blocked: planes = N*C/block, block = 8 or 16 (any block works; those are fast).
/// Windows start at out * stride - padding; the caller chooses out_height/out_width (floor or ceiling).
typedef struct ck_pool2d {
  int64_t planes, block;
  int64_t height, width, out_height, out_width;
  int64_t kernel_height, kernel_width, stride_height, stride_width;
  int64_t padding_top, padding_left, padding_bottom, padding_right;
  int64_t dilation_height, dilation_width;  // maximum pooling; must be 1 for average pooling
  bool count_include_pad;                   // average: divide by the window clipped to the padded image
} ck_pool2d;

/// float32, float64. NaN counts as the maximum; padding counts as minus infinity.
int ck_max_pool(ck_dtype dtype, const ck_pool2d *pool, const void *x, void *y);
/// Adds each g to the first maximum of its window in row-major order; dx is overwritten. `x` is the forward input.
int ck_max_pool_backward(ck_dtype dtype, const ck_pool2d *pool, const void *x, const void *g, void *dx);
/// out = v at the position of the first maximum of x in each window (0 for an all-padding window): the backward's adjoint.
int ck_max_pool_gather(ck_dtype dtype, const ck_pool2d *pool, const void *x, const void *v, void *out);
int ck_average_pool(ck_dtype dtype, const ck_pool2d *pool, const void *x, void *y);
int ck_average_pool_backward(ck_dtype dtype, const ck_pool2d *pool, const void *g, void *dx);

// MARK: Normalisation (float32, float64)

/// x is [batch, channels, spatial] for block = 1, else [batch, ceil(channels/block), spatial, block] where lanes beyond
/// `channels` are padding: they hold 0 and are written as 0. Per-channel vectors always have `channels` elements.
typedef struct ck_channels {
  int64_t batch, channels, spatial, block;
} ck_channels;

/// y = (x - mean) / sqrt(variance + epsilon) * scale + shift with the statistics of x (variance biased), which are
/// written to `mean` and `variance`. NULL scale means 1, NULL shift 0. In place is safe.
int ck_batch_norm_training(ck_dtype dtype, const ck_channels *layout, double epsilon, const void *x,
                           const void *_Nullable scale, const void *_Nullable shift, void *y, void *mean,
                           void *variance);
/// The same with given statistics.
int ck_batch_norm_inference(ck_dtype dtype, const ck_channels *layout, double epsilon, const void *x,
                            const void *mean, const void *variance, const void *_Nullable scale,
                            const void *_Nullable shift, void *y);
/// Gradients given the forward's x and statistics. `training` says whether the statistics depended on x.
/// Any of dx, dscale, dshift may be NULL.
int ck_batch_norm_backward(ck_dtype dtype, const ck_channels *layout, double epsilon, bool training, const void *x,
                           const void *g, const void *mean, const void *variance, const void *_Nullable scale,
                           void *_Nullable dx, void *_Nullable dscale, void *_Nullable dshift);

/// Over the last axis of [rows, n]; scale and shift have n elements (NULL: 1 and 0). mean and rstd (1/sqrt(variance +
/// epsilon)), one per row, are written where not NULL.
int ck_layer_norm(ck_dtype dtype, int64_t rows, int64_t n, double epsilon, const void *x,
                  const void *_Nullable scale, const void *_Nullable shift, void *y, void *_Nullable mean,
                  void *_Nullable rstd);
int ck_layer_norm_backward(ck_dtype dtype, int64_t rows, int64_t n, const void *x, const void *g, const void *mean,
                           const void *rstd, const void *_Nullable scale, void *_Nullable dx, void *_Nullable dscale,
                           void *_Nullable dshift);
/// y = x / sqrt(mean(x^2) + epsilon) * scale.
int ck_rms_norm(ck_dtype dtype, int64_t rows, int64_t n, double epsilon, const void *x, const void *_Nullable scale,
                void *y, void *_Nullable rstd);
int ck_rms_norm_backward(ck_dtype dtype, int64_t rows, int64_t n, const void *x, const void *g, const void *rstd,
                         const void *_Nullable scale, void *_Nullable dx, void *_Nullable dscale);

// MARK: Random numbers

/// Philox4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011). Block b of a
/// stream is the cipher of counter (lo32(offset + b), hi32(offset + b), 0, 0) under key (lo32, hi32).
/// 32-bit draws take four elements from a block, 64-bit draws two; the caller advances `offset` by the blocks used.
/// out[i] = lane i % 4 of block i / 4.
void ck_random_bits(uint64_t key, uint64_t offset, int64_t n, uint32_t *out);
/// [0, 1). float32: (lane >> 8) * 2^-24. float64: ((lane 2j << 32 | lane 2j+1) >> 11) * 2^-53.
int ck_random_uniform(ck_dtype dtype, uint64_t key, uint64_t offset, int64_t n, void *out);
/// Standard normal by Box-Muller on consecutive pairs of uniforms (u1, u2), u1 raised by one step so that it is in
/// (0, 1]: sqrt(-2 ln u1) cos(2 pi u2), sqrt(-2 ln u1) sin(2 pi u2).
int ck_random_normal(ck_dtype dtype, uint64_t key, uint64_t offset, int64_t n, void *out);

// MARK: Fused element-wise programs

typedef enum ck_place {
  CK_PLACE_NONE = 0,
  CK_PLACE_REGISTER = 1,   // a tile of scratch
  CK_PLACE_INPUT = 2,      // inputs[index], n elements, or one if flagged scalar
  CK_PLACE_IMMEDIATE = 3,  // immediates[index]
  CK_PLACE_OUTPUT = 4,     // outputs[index]; destination only (read it back through a register)
} ck_place;

typedef struct ck_operand {
  ck_place place;
  int32_t index;
} ck_operand;

typedef struct ck_instruction {
  ck_op op;
  ck_dtype dtype;       // of the operands (of a and b for CK_SELECT, of the result for CK_CAST)
  ck_dtype from_dtype;  // CK_CAST only
  ck_operand sources[3];
  ck_operand destination;
} ck_instruction;

/// A straight-line program run over tiles of the element index; all values stay in cache between instructions.
typedef struct ck_fused_program {
  const ck_instruction *instructions;
  int32_t instruction_count;  // at most 256
  int32_t register_count;
  int32_t input_count;
  int32_t output_count;
  int32_t immediate_count;
  /// One dtype and one flag (1: a single element, used for every position) per input; one dtype per output.
  const ck_dtype *_Nullable input_dtypes;
  const uint8_t *_Nullable input_is_scalar;
  const ck_dtype *output_dtypes;
  /// Bits of each immediate in its instruction's dtype, in the low bytes.
  const uint64_t *_Nullable immediates;
} ck_fused_program;

/// CK_OK if every instruction has a kernel and its operands exist and are written before they are read.
int ck_fused_check(const ck_fused_program *program);
/// Outputs may be the same pointer as an input of the same element size. Checks as above first.
int ck_fused_run(const ck_fused_program *program, const void *_Nonnull const *_Nullable inputs,
                 void *_Nonnull const *_Nonnull outputs, int64_t n);

#pragma clang assume_nonnull end

#ifdef __cplusplus
}
#endif

#endif
