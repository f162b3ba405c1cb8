#ifndef APUS_CONEDNN_H
#define APUS_CONEDNN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// A plain-C door to oneDNN's CPU engine, the same over library versions 2.x and 3.x.
//
// A *layout* says how an operand's elements lie in memory: plain (row-major), strided, or one of the library's blocked
// forms, which only the library understands. An *operation* is a compiled kernel for fixed sizes and layouts; making one
// costs 0.1–2 ms, so they are kept in a cache, least recently used first out, and are shared by reference count.
//
// Nothing here aborts: a function that can fail returns a status, and `apus_dnn_error()` holds the calling thread's
// last message. All functions may be called from any thread, and one operation may run on several threads at a time
// (with different operands and scratchpads). Work runs on the OpenMP team of the calling thread.
//
// Operands are float32. Sizes must be positive: the caller deals with empty tensors.

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
  APUS_DNN_OK = 0,
  /// The request itself makes no sense: a size below one, a kernel larger than its padded input.
  APUS_DNN_INVALID = 1,
  /// The library has no kernel for this request with these layouts.
  APUS_DNN_UNSUPPORTED = 2,
  APUS_DNN_OUT_OF_MEMORY = 3,
  /// Any other failure the library reports.
  APUS_DNN_FAILED = 4,
} apus_dnn_status;

/// The message of the last failure on this thread.
const char *apus_dnn_error(void);

/// The library's version as major * 10000 + minor * 100 + patch, at run time; 0 when it can't be loaded.
int apus_dnn_version(void);

// ---------------------------------------------------------------------------------------------------------- layouts

typedef struct apus_dnn_layout *apus_dnn_layout_t;

enum { APUS_DNN_MAX_RANK = 12 };

/// A layout of the given sizes with these distances, counted in elements; `strides` null means row-major.
apus_dnn_status apus_dnn_layout_create(
    int rank, const int64_t *dims, const int64_t *strides, apus_dnn_layout_t *result);
/// The layout of [N,C,H,W] in which `block` channels lie together: 8 or 16 (nChw8c, nChw16c, padded to whole blocks),
/// C (channels-last), 1 (plain).
apus_dnn_status apus_dnn_layout_channels(const int64_t dims[4], int64_t block, apus_dnn_layout_t *result);
apus_dnn_layout_t apus_dnn_layout_retain(apus_dnn_layout_t layout);
void apus_dnn_layout_release(apus_dnn_layout_t layout);

bool apus_dnn_layout_equal(apus_dnn_layout_t a, apus_dnn_layout_t b);
/// The bytes an operand occupies, padding included.
size_t apus_dnn_layout_bytes(apus_dnn_layout_t layout);
/// Whether the elements lie row-major without gaps.
bool apus_dnn_layout_is_plain(apus_dnn_layout_t layout);
/// Whether every element has one distance per dimension (true of plain and transposed, false of blocked layouts).
bool apus_dnn_layout_is_strided(apus_dnn_layout_t layout);
/// Whether the memory holds padding beyond the elements, which must be, and stay, zero.
bool apus_dnn_layout_is_padded(apus_dnn_layout_t layout);
int apus_dnn_layout_rank(apus_dnn_layout_t layout);
/// Writes `rank` sizes, and the distances too if `strides` is not null. For blocked layouts they are between blocks.
void apus_dnn_layout_shape(apus_dnn_layout_t layout, int64_t *dims, int64_t *strides);

/// How many channels (dimension 1) of an [N,C,H,W] activation lie together, pixels outside them: 8 or 16 for the
/// layouts nChw8c and nChw16c, C for channels-last, 1 for plain; 0 for any other layout.
int64_t apus_dnn_layout_channel_block(apus_dnn_layout_t layout);

// ----------------------------------------------------------------------------------------------------------- threads

/// Sets how many threads OpenMP code started from this thread may use, and returns the number before. Operations are
/// compiled for the number in force when they are made, and must run under the same.
int apus_dnn_use_threads(int count);

// -------------------------------------------------------------------------------------------------------- operations

typedef struct apus_dnn_op *apus_dnn_op_t;

apus_dnn_op_t apus_dnn_op_retain(apus_dnn_op_t op);
void apus_dnn_op_release(apus_dnn_op_t op);

/// The number of operands `apus_dnn_run` expects, in the order each maker below documents.
int apus_dnn_op_operand_count(apus_dnn_op_t op);
/// The layout that operand must have; owned by the operation (retain it to keep it longer).
apus_dnn_layout_t apus_dnn_op_layout(apus_dnn_op_t op, int operand);
/// The scratchpad a run needs, aligned to 64 bytes; 0 when it needs none.
size_t apus_dnn_op_scratch_bytes(apus_dnn_op_t op);
/// The name of the kernel the library chose, such as "jit:avx2"; for logs and tests.
const char *apus_dnn_op_kernel(apus_dnn_op_t op);

/// Runs an operation. `operands` are `count` pointers aligned to at least 4, better 64 bytes. Outputs are written whole
/// (padding included) and may hold anything before. `scratch` may be null when none is needed.
apus_dnn_status apus_dnn_run(apus_dnn_op_t op, void *const *operands, int count, void *scratch);

/// How many operations the cache keeps (1,024 at first); 0 turns it off.
void apus_dnn_cache_set_capacity(size_t capacity);
size_t apus_dnn_cache_count(void);
/// How many operations were compiled, and how many requests the cache answered, since the process started.
void apus_dnn_cache_statistics(uint64_t *compiled, uint64_t *answered);

// ----------------------------------------------------------------------------------------------------------- reorder

/// Copies between layouts of equal sizes. Operands: source, destination.
apus_dnn_status apus_dnn_reorder(apus_dnn_layout_t source, apus_dnn_layout_t destination, apus_dnn_op_t *result);

// ------------------------------------------------------------------------------------------------------- convolution

typedef enum {
  /// Operands: input, weights, [bias,] output. Chooses kernels that need keep nothing for a gradient.
  APUS_DNN_CONV_INFERENCE = 0,
  /// The same when gradients will follow.
  APUS_DNN_CONV_TRAINING = 1,
  /// Operands: output gradient, weights, input gradient (written).
  APUS_DNN_CONV_BACKWARD_INPUT = 2,
  /// Operands: input, output gradient, weight gradient (written) [, bias gradient (written)].
  APUS_DNN_CONV_BACKWARD_WEIGHTS = 3,
} apus_dnn_conv_kind;

/// A 2-D convolution (cross-correlation): input [N,C,H,W], weights [O,C/g,kH,kW], bias [O], output [N,O,oH,oW] with
/// oH = (H + top + bottom − dilationH·(kH−1) − 1) / strideH + 1. A dilation of 1 means none.
/// All fields are 64-bit so that a value holds no padding bytes and can be hashed as memory.
typedef struct {
  int64_t batch, inputChannels, outputChannels, groups;
  int64_t height, width, kernelHeight, kernelWidth;
  int64_t strideHeight, strideWidth, dilationHeight, dilationWidth;
  int64_t padTop, padLeft, padBottom, padRight;
  /// Whether there is a bias (or bias gradient) operand: 0 or 1. Ignored by BACKWARD_INPUT.
  int64_t bias;
} apus_dnn_conv;

/// The output's height and width; INVALID (with a message) if the description is no convolution.
apus_dnn_status apus_dnn_conv_output_size(const apus_dnn_conv *conv, int64_t *height, int64_t *width);

/// Finds or compiles the operation. `input`, `weights` and `output` fix the layouts of those operands or of their
/// gradients; null lets the library choose the fastest (ask `apus_dnn_op_layout` what it chose).
/// With groups > 1, layouts of weights have five dimensions [g, O/g, C/g, kH, kW].
apus_dnn_status apus_dnn_convolution(
    apus_dnn_conv_kind kind, const apus_dnn_conv *conv, apus_dnn_layout_t input, apus_dnn_layout_t weights,
    apus_dnn_layout_t output, apus_dnn_op_t *result);

/// The row-major layouts of a convolution's operands, to reorder from and to.
apus_dnn_status apus_dnn_conv_plain_input(const apus_dnn_conv *conv, apus_dnn_layout_t *result);
apus_dnn_status apus_dnn_conv_plain_weights(const apus_dnn_conv *conv, apus_dnn_layout_t *result);
apus_dnn_status apus_dnn_conv_plain_output(const apus_dnn_conv *conv, apus_dnn_layout_t *result);

// ------------------------------------------------------------------------------------------------------------ matmul

/// output[…,m,n] = a[…,m,k] · b[…,k,n] + bias[n]. Layouts have equal rank (at least 2); a batch dimension of
/// size 1 in `a` or `b` repeats; transposes are strides. `b` may be null: the library then chooses its layout, worth it
/// when b is constant. Operands: a, b, [bias,] output.
apus_dnn_status apus_dnn_matmul(
    apus_dnn_layout_t a, apus_dnn_layout_t b, int64_t n, apus_dnn_layout_t output, bool bias,
    apus_dnn_op_t *result);

#ifdef __cplusplus
}
#endif

#endif
