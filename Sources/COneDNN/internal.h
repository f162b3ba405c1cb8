#ifndef APUS_CONEDNN_INTERNAL_H
#define APUS_CONEDNN_INTERNAL_H

#include <copenmp.h>
#include <oneapi/dnnl/dnnl.h>
#include <stdatomic.h>

#include "conednn.h"

// Versions: 2.x passes pointers to descriptor structs and builds a primitive by way of an operation descriptor;
// 3.x has opaque descriptors and builds directly. These names are all the rest of the shim needs to know of it.
#if DNNL_VERSION_MAJOR >= 3
#define APUS_DNN_V3 1
typedef const_dnnl_memory_desc_t MemoryRef;
#define MEMORY_REF(layout) ((MemoryRef)(layout)->memory)
#else
#define APUS_DNN_V3 0
typedef const dnnl_memory_desc_t *MemoryRef;
#define MEMORY_REF(layout) (&(layout)->memory)
#endif

// The functions of the library used here. It is loaded when it is first needed, not with the program: a program that
// never multiplies large matrices starts without it, and libgomp comes in by openmp.c's door.
#define DNN_COMMON(F) \
  F(engine_create) F(stream_create) F(version) F(memory_create) F(memory_destroy) F(memory_get_memory_desc) \
  F(memory_set_data_handle) F(memory_desc_equal) F(memory_desc_get_size) \
  F(primitive_attr_create) F(primitive_attr_destroy) \
  F(primitive_attr_set_scratchpad_mode) F(primitive_create) F(primitive_destroy) F(primitive_execute) \
  F(primitive_desc_destroy) F(primitive_desc_query) F(primitive_desc_query_md) F(reorder_primitive_desc_create)
#if APUS_DNN_V3
#define DNN_FUNCTIONS(F) \
  DNN_COMMON(F) F(memory_desc_clone) F(memory_desc_create_with_strides) F(memory_desc_create_with_tag) \
  F(memory_desc_destroy) F(memory_desc_query) F(matmul_primitive_desc_create) F(convolution_forward_primitive_desc_create) \
  F(convolution_backward_data_primitive_desc_create) F(convolution_backward_weights_primitive_desc_create)
#else
#define DNN_FUNCTIONS(F) \
  DNN_COMMON(F) F(memory_desc_init_by_strides) F(memory_desc_init_by_tag) F(primitive_desc_create) F(matmul_desc_init) \
  F(dilated_convolution_forward_desc_init) F(dilated_convolution_backward_data_desc_init) \
  F(dilated_convolution_backward_weights_desc_init)
#endif

struct DnnLibrary {
#define FIELD(name) __typeof__(&dnnl_##name) name;
  DNN_FUNCTIONS(FIELD)
#undef FIELD
};
/// Filled in by `dnnReady`.
extern struct DnnLibrary dnn;

struct apus_dnn_layout {
  atomic_int references;
  dnnl_memory_desc_t memory;
  uint64_t hash;
  size_t bytes;
  int rank;
  bool plain, strided, padded;
  int64_t channelBlock;
  int64_t dims[APUS_DNN_MAX_RANK], strides[APUS_DNN_MAX_RANK];
};

enum { kMaxOperands = 5 };

struct apus_dnn_op {
  atomic_int references;
  dnnl_primitive_t primitive;
  int count;
  int arguments[kMaxOperands];
  struct apus_dnn_layout *layouts[kMaxOperands];
  size_t scratchBytes;
  /// Memory objects for one run at a time, and one more for the scratchpad; `busy` says whether they are taken.
  dnnl_memory_t memories[kMaxOperands + 1];
  atomic_flag busy;
  char kernel[96];
};

/// What tells one operation from another. Zeroed before it is filled, so that it can be compared as memory.
typedef struct {
  int64_t family, kind;
  int64_t threads;
  union {
    apus_dnn_conv conv;
    struct {
      int64_t n, bias;
    } matmul;
  } what;
  struct apus_dnn_layout *layouts[3];
} OpKey;

enum { kFamilyReorder = 1, kFamilyConvolution, kFamilyMatmul };

/// Records a message for this thread and returns the status.
apus_dnn_status dnnFail(apus_dnn_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));
/// Turns the library's status into ours, recording "what: why".
apus_dnn_status dnnCheck(dnnl_status_t status, const char *what);

/// Loads the library. Everything that makes a layout or a set of attributes calls it first; other functions are only
/// reached with what those made.
apus_dnn_status dnnReady(void);
// They hold no state on a CPU with OpenMP: one of each serves every thread, for ever.
extern dnnl_engine_t dnnEngine;
extern dnnl_stream_t dnnStream;

/// Takes a copy of a library descriptor.
apus_dnn_status dnnLayoutFrom(MemoryRef memory, apus_dnn_layout_t *result);
/// A float32 descriptor with the layout left to the library. Release with `dnnDescriptorDestroy`.
apus_dnn_status dnnDescriptorAny(int rank, const int64_t *dims, dnnl_memory_desc_t *result);
void dnnDescriptorDestroy(dnnl_memory_desc_t *memory);

/// Returns a retained operation for the key, or null.
apus_dnn_op_t dnnCacheFind(const OpKey *key);
/// Adds a new operation; returns a retained one (another thread's, if that came first).
apus_dnn_op_t dnnCacheInsert(const OpKey *key, apus_dnn_op_t op);
/// A zeroed key of that family for the calling thread.
OpKey dnnKey(int family, int kind);

/// Compiles a primitive from its descriptor (which it takes over), asking it for the layouts of the named arguments.
apus_dnn_status dnnOpCreate(
    dnnl_primitive_desc_t descriptor, const int *arguments, int count, apus_dnn_op_t *result);
/// Attributes every primitive here has: scratchpad by the caller.
apus_dnn_status dnnAttributes(dnnl_primitive_attr_t *result);

/// The descriptor of an operand: the given layout's, or "any" of these sizes when null. `owned` says to destroy it.
typedef struct {
  dnnl_memory_desc_t any;
  MemoryRef ref;
  bool owned;
} Operand;
apus_dnn_status dnnOperand(
    const char *name, apus_dnn_layout_t layout, int rank, const int64_t *dims, Operand *result);
void dnnOperandDestroy(Operand *operand);

#endif
