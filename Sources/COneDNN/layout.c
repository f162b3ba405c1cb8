#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

static _Thread_local char lastError[512];

const char *apus_dnn_error(void) { return lastError; }

apus_dnn_status dnnFail(apus_dnn_status status, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(lastError, sizeof lastError, format, arguments);
  va_end(arguments);
  return status;
}

apus_dnn_status dnnCheck(dnnl_status_t status, const char *what) {
  switch (status) {
    case dnnl_success: return APUS_DNN_OK;
    case dnnl_unimplemented: return dnnFail(APUS_DNN_UNSUPPORTED, "%s: oneDNN has no kernel for this", what);
    case dnnl_out_of_memory: return dnnFail(APUS_DNN_OUT_OF_MEMORY, "%s: out of memory", what);
    case dnnl_invalid_arguments: return dnnFail(APUS_DNN_INVALID, "%s: oneDNN calls the arguments invalid", what);
    default: return dnnFail(APUS_DNN_FAILED, "%s: oneDNN failed with status %d", what, (int)status);
  }
}

static uint64_t mix(uint64_t hash, uint64_t value) { return (hash ^ value) * 0x9E3779B97F4A7C15u ^ (hash >> 29); }

#if APUS_DNN_V3
static int queryInt(MemoryRef memory, dnnl_query_t what) {
  int value = 0;
  return dnn.memory_desc_query(memory, what, &value) == dnnl_success ? value : 0;
}
static const int64_t *queryDims(MemoryRef memory, dnnl_query_t what) {
  dnnl_dims_t *value = NULL;
  return dnn.memory_desc_query(memory, what, &value) == dnnl_success ? *value : NULL;
}
#endif

/// Reads what callers may ask of a descriptor once, so that later questions cost nothing.
static void describe(struct apus_dnn_layout *layout) {
  MemoryRef memory = MEMORY_REF(layout);
  const int64_t *dims, *padded, *strides, *blocks, *blockDims;
  int blockCount;
  bool blocked;
#if APUS_DNN_V3
  dnnl_format_kind_t format = dnnl_format_kind_undef;
  dnn.memory_desc_query(memory, dnnl_query_format_kind, &format);
  blocked = format == dnnl_blocked;
  layout->rank = queryInt(memory, dnnl_query_ndims_s32);
  dims = queryDims(memory, dnnl_query_dims);
  padded = queryDims(memory, dnnl_query_padded_dims);
  strides = blocked ? queryDims(memory, dnnl_query_strides) : NULL;
  blockCount = blocked ? queryInt(memory, dnnl_query_inner_nblks_s32) : 0;
  blocks = blocked ? queryDims(memory, dnnl_query_inner_blks) : NULL;
  blockDims = blocked ? queryDims(memory, dnnl_query_inner_idxs) : NULL;
#else
  blocked = memory->format_kind == dnnl_blocked;
  layout->rank = memory->ndims;
  dims = memory->dims;
  padded = memory->padded_dims;
  strides = memory->format_desc.blocking.strides;
  blockCount = blocked ? memory->format_desc.blocking.inner_nblks : 0;
  blocks = memory->format_desc.blocking.inner_blks;
  blockDims = memory->format_desc.blocking.inner_idxs;
#endif
  layout->bytes = dnn.memory_desc_get_size(memory);
  layout->strided = blocked && blockCount == 0;
  layout->plain = layout->strided;
  layout->hash = mix(mix(1469598103934665603u, (uint64_t)layout->rank), layout->bytes);
  int64_t distance = 1;
  for (int i = layout->rank - 1; i >= 0; i--) {
    layout->dims[i] = dims[i];
    layout->strides[i] = blocked ? strides[i] : 0;
    if (padded[i] != dims[i]) layout->padded = true;
    if (dims[i] != 1 && layout->strides[i] != distance) layout->plain = false;
    distance *= dims[i];
    layout->hash = mix(mix(layout->hash, (uint64_t)dims[i]), (uint64_t)layout->strides[i]);
  }
  for (int i = 0; i < blockCount; i++) {
    layout->hash = mix(mix(layout->hash, (uint64_t)blocks[i]), (uint64_t)blockDims[i]);
  }
  if (layout->padded) layout->plain = layout->strided = false;
  if (layout->rank == 4 && blocked) {
    const int64_t *d = layout->dims, *s = layout->strides;
    if (layout->plain) {
      layout->channelBlock = 1;
    } else if (blockCount == 1 && blockDims[0] == 1) {
      int64_t b = blocks[0], area = d[2] * d[3] * b;
      if (s[3] == b && s[2] == d[3] * b && s[1] == area && s[0] == padded[1] / b * area) layout->channelBlock = b;
    } else if (
        layout->strided && s[1] == 1 && s[3] == d[1] && s[2] == d[3] * d[1] && (d[0] == 1 || s[0] == d[2] * s[2])) {
      layout->channelBlock = d[1];
    }
  }
}

apus_dnn_status dnnLayoutFrom(MemoryRef memory, apus_dnn_layout_t *result) {
  struct apus_dnn_layout *layout = calloc(1, sizeof *layout);
  if (layout == NULL) return dnnFail(APUS_DNN_OUT_OF_MEMORY, "layout: out of memory");
#if APUS_DNN_V3
  dnnl_status_t status = dnn.memory_desc_clone(&layout->memory, memory);
  if (status != dnnl_success) {
    free(layout);
    return dnnCheck(status, "layout");
  }
#else
  layout->memory = *memory;
#endif
  atomic_init(&layout->references, 1);
  describe(layout);
  *result = layout;
  return APUS_DNN_OK;
}

void dnnDescriptorDestroy(dnnl_memory_desc_t *memory) {
#if APUS_DNN_V3
  dnn.memory_desc_destroy(*memory);
#else
  (void)memory;
#endif
}

apus_dnn_status dnnDescriptorAny(int rank, const int64_t *dims, dnnl_memory_desc_t *result) {
  apus_dnn_status ready = dnnReady();
  if (ready != APUS_DNN_OK) return ready;
#if APUS_DNN_V3
  return dnnCheck(dnn.memory_desc_create_with_tag(result, rank, dims, dnnl_f32, dnnl_format_tag_any), "layout");
#else
  return dnnCheck(dnn.memory_desc_init_by_tag(result, rank, dims, dnnl_f32, dnnl_format_tag_any), "layout");
#endif
}

/// Makes a layout of a descriptor, which it takes over.
static apus_dnn_status takeDescriptor(dnnl_memory_desc_t *memory, apus_dnn_layout_t *result) {
#if APUS_DNN_V3
  apus_dnn_status made = dnnLayoutFrom(*memory, result);
#else
  apus_dnn_status made = dnnLayoutFrom(memory, result);
#endif
  dnnDescriptorDestroy(memory);
  return made;
}

apus_dnn_status apus_dnn_layout_create(
    int rank, const int64_t *dims, const int64_t *strides, apus_dnn_layout_t *result) {
  if (rank < 1 || rank > APUS_DNN_MAX_RANK) {
    return dnnFail(APUS_DNN_INVALID, "layout: rank %d is not between 1 and %d", rank, APUS_DNN_MAX_RANK);
  }
  int64_t rowMajor[APUS_DNN_MAX_RANK];
  int64_t distance = 1;
  for (int i = rank - 1; i >= 0; i--) {
    if (dims[i] < 1) {
      return dnnFail(APUS_DNN_INVALID, "layout: size %lld of dimension %d is below 1", (long long)dims[i], i);
    }
    rowMajor[i] = distance;
    if (__builtin_mul_overflow(distance, dims[i], &distance) || distance > INT64_MAX / 4) {
      return dnnFail(APUS_DNN_INVALID, "layout: more elements than memory can hold");
    }
  }
  apus_dnn_status ready = dnnReady();
  if (ready != APUS_DNN_OK) return ready;
  const int64_t *chosen = strides != NULL ? strides : rowMajor;
  dnnl_memory_desc_t memory;
#if APUS_DNN_V3
  dnnl_status_t status = dnn.memory_desc_create_with_strides(&memory, rank, dims, dnnl_f32, chosen);
#else
  dnnl_status_t status = dnn.memory_desc_init_by_strides(&memory, rank, dims, dnnl_f32, chosen);
#endif
  if (status != dnnl_success) return dnnCheck(status, "layout");
  return takeDescriptor(&memory, result);
}

apus_dnn_status apus_dnn_layout_channels(const int64_t dims[4], int64_t block, apus_dnn_layout_t *result) {
  if (block == 1) return apus_dnn_layout_create(4, dims, NULL, result);
  if (block == dims[1]) {
    const int64_t strides[4] = {dims[1] * dims[2] * dims[3], 1, dims[3] * dims[1], dims[1]};
    return apus_dnn_layout_create(4, dims, strides, result);
  }
  if (block != 8 && block != 16) {
    return dnnFail(APUS_DNN_UNSUPPORTED, "layout: no blocks of %lld channels", (long long)block);
  }
  apus_dnn_status ready = dnnReady();
  if (ready != APUS_DNN_OK) return ready;
  dnnl_format_tag_t tag = block == 8 ? dnnl_aBcd8b : dnnl_aBcd16b;
  dnnl_memory_desc_t memory;
#if APUS_DNN_V3
  dnnl_status_t status = dnn.memory_desc_create_with_tag(&memory, 4, dims, dnnl_f32, tag);
#else
  dnnl_status_t status = dnn.memory_desc_init_by_tag(&memory, 4, dims, dnnl_f32, tag);
#endif
  if (status != dnnl_success) return dnnCheck(status, "layout");
  return takeDescriptor(&memory, result);
}

apus_dnn_layout_t apus_dnn_layout_retain(apus_dnn_layout_t layout) {
  atomic_fetch_add_explicit(&layout->references, 1, memory_order_relaxed);
  return layout;
}

void apus_dnn_layout_release(apus_dnn_layout_t layout) {
  if (layout == NULL || atomic_fetch_sub_explicit(&layout->references, 1, memory_order_acq_rel) != 1) return;
  dnnDescriptorDestroy(&layout->memory);
  free(layout);
}

bool apus_dnn_layout_equal(apus_dnn_layout_t a, apus_dnn_layout_t b) {
  if (a == b) return true;
  if (a == NULL || b == NULL || a->hash != b->hash) return false;
  return dnn.memory_desc_equal(MEMORY_REF(a), MEMORY_REF(b)) != 0;
}

size_t apus_dnn_layout_bytes(apus_dnn_layout_t layout) { return layout->bytes; }
bool apus_dnn_layout_is_plain(apus_dnn_layout_t layout) { return layout->plain; }
bool apus_dnn_layout_is_strided(apus_dnn_layout_t layout) { return layout->strided; }
bool apus_dnn_layout_is_padded(apus_dnn_layout_t layout) { return layout->padded; }
int apus_dnn_layout_rank(apus_dnn_layout_t layout) { return layout->rank; }
int64_t apus_dnn_layout_channel_block(apus_dnn_layout_t layout) { return layout->channelBlock; }

void apus_dnn_layout_shape(apus_dnn_layout_t layout, int64_t *dims, int64_t *strides) {
  memcpy(dims, layout->dims, (size_t)layout->rank * sizeof *dims);
  if (strides != NULL) memcpy(strides, layout->strides, (size_t)layout->rank * sizeof *strides);
}

apus_dnn_status dnnOperand(
    const char *name, apus_dnn_layout_t layout, int rank, const int64_t *dims, Operand *result) {
  if (layout == NULL) {
    apus_dnn_status status = dnnDescriptorAny(rank, dims, &result->any);
    if (status != APUS_DNN_OK) return status;
#if APUS_DNN_V3
    result->ref = result->any;
#else
    result->ref = &result->any;
#endif
    result->owned = true;
    return APUS_DNN_OK;
  }
  bool same = layout->rank == rank;
  for (int i = 0; same && i < rank; i++) same = layout->dims[i] == dims[i];
  if (!same) return dnnFail(APUS_DNN_INVALID, "%s: the given layout's sizes are not the operand's", name);
  result->ref = MEMORY_REF(layout);
  result->owned = false;
  return APUS_DNN_OK;
}

void dnnOperandDestroy(Operand *operand) {
  if (operand->owned) dnnDescriptorDestroy(&operand->any);
  operand->owned = false;
}
