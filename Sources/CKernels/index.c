// Gathering and scattering by index tensors.
#include "internal.h"

struct indexing {
  int64_t size, outer, length, inner, count;
  bool wide;  // 64-bit indices
  const char *src;
  const void *index;
  char *dst;
  ck_binary_fn add;
  ck_dtype dtype;
  int64_t tile, tiles;
};

CK_INLINE int64_t index_at(const struct indexing *x, int64_t i) {
  return x->wide ? ((const int64_t *)x->index)[i] : ((const int32_t *)x->index)[i];
}

// Every index is looked at before memory is touched.
static int check(struct indexing *x, ck_dtype index_dtype, int64_t n, ck_index_error *error) {
  if (index_dtype != CK_INT32 && index_dtype != CK_INT64) return CK_UNSUPPORTED;
  if (x->outer < 0 || x->length < 0 || x->inner < 0 || x->count < 0) return CK_BAD_SHAPE;
  x->wide = index_dtype == CK_INT64;
  for (int64_t i = 0; i < n; i++) {
    int64_t value = index_at(x, i);
    if (value >= 0 && value < x->length) continue;
    if (error) *error = (ck_index_error){i, value};
    return CK_BAD_INDEX;
  }
  return CK_OK;
}

static bool size_is_known(int64_t size) { return size == 1 || size == 2 || size == 4 || size == 8 || size == 16; }

// MARK: Gather

static void gather_range(void *context, int64_t begin, int64_t end) {
  const struct indexing *x = context;
  int64_t row = x->inner * x->size;
  for (int64_t unit = begin; unit < end; unit++) {
    int64_t o = unit / x->count, j = unit % x->count;
    const char *from = x->src + (o * x->length + index_at(x, j)) * row;
    char *to = x->dst + unit * row;
    // Single elements are worth a store of their own.
    if (row == 4)
      memcpy(to, from, 4);
    else if (row == 8)
      memcpy(to, from, 8);
    else
      memcpy(to, from, (size_t)row);
  }
}

int ck_gather(int64_t element_size, ck_dtype index_dtype, int64_t outer, int64_t length, int64_t inner, int64_t count,
              const void *src, const void *index, void *dst, ck_index_error *error) {
  struct indexing x = {.size = element_size, .outer = outer, .length = length, .inner = inner, .count = count,
                       .src = src, .index = index, .dst = dst};
  if (!size_is_known(element_size)) return CK_UNSUPPORTED;
  int status = check(&x, index_dtype, count, error);
  if (status || inner == 0) return status;
  ck_parallel_for(outer * count, CK_MAX(1, CK_GRAIN_LIGHT / inner), gather_range, &x);
  return CK_OK;
}

#define TAKE_ROW(T)                                                                                      \
  static void take_row_##T(const struct indexing *x, int64_t first, const char *matrix, char *to) {      \
    const T *s = (const T *)(const void *)matrix;                                                        \
    T *d = (T *)(void *)to;                                                                              \
    for (int64_t i = 0; i < x->inner; i++) d[i] = s[index_at(x, first + i) * x->inner + i];              \
  }
typedef struct {
  uint64_t low, high;
} pair64;
TAKE_ROW(uint8_t)
TAKE_ROW(uint16_t)
TAKE_ROW(uint32_t)
TAKE_ROW(uint64_t)
TAKE_ROW(pair64)

static void take_range(void *context, int64_t begin, int64_t end) {
  const struct indexing *x = context;
  for (int64_t unit = begin; unit < end; unit++) {
    const char *matrix = x->src + unit / x->count * x->length * x->inner * x->size;
    char *to = x->dst + unit * x->inner * x->size;
    int64_t first = unit * x->inner;
    switch (x->size) {
      case 1: take_row_uint8_t(x, first, matrix, to); break;
      case 2: take_row_uint16_t(x, first, matrix, to); break;
      case 4: take_row_uint32_t(x, first, matrix, to); break;
      case 8: take_row_uint64_t(x, first, matrix, to); break;
      default: take_row_pair64(x, first, matrix, to); break;
    }
  }
}

int ck_take_along(int64_t element_size, ck_dtype index_dtype, int64_t outer, int64_t length, int64_t inner,
                  int64_t count, const void *src, const void *index, void *dst, ck_index_error *error) {
  struct indexing x = {.size = element_size, .outer = outer, .length = length, .inner = inner, .count = count,
                       .src = src, .index = index, .dst = dst};
  if (!size_is_known(element_size)) return CK_UNSUPPORTED;
  int status = check(&x, index_dtype, outer * count * inner, error);
  if (status || inner == 0) return status;
  ck_parallel_for(outer * count, CK_MAX(1, CK_GRAIN_MATH / inner), take_range, &x);
  return CK_OK;
}

// MARK: Scatter-add
//
// Work is divided over outer positions and tiles of the inner axis, which never share a destination, so duplicates add
// up in the order of the index whatever the number of threads.

#define ADD_ELEMENTS(S)                                                                                           \
  static void scatter_elements_##S(const struct indexing *x, const char *from, char *to) {                        \
    const ck_##S *s = (const ck_##S *)(const void *)from;                                                         \
    ck_w_##S *d = (ck_w_##S *)(void *)to;                                                                         \
    for (int64_t j = 0; j < x->count; j++) d[index_at(x, j)] += (ck_w_##S)s[j];                                   \
  }                                                                                                               \
  static void scatter_tile_##S(const struct indexing *x, int64_t o, int64_t first, int64_t width) {               \
    const ck_##S *s = (const ck_##S *)(const void *)x->src + o * x->count * x->inner;                             \
    ck_w_##S *d = (ck_w_##S *)(void *)x->dst + o * x->length * x->inner;                                          \
    for (int64_t j = 0; j < x->count; j++)                                                                        \
      for (int64_t i = first; i < first + width; i++)                                                             \
        d[index_at(x, (o * x->count + j) * x->inner + i) * x->inner + i] += (ck_w_##S)s[j * x->inner + i];        \
  }
typedef float ck_w_f32;
typedef double ck_w_f64;
ADD_ELEMENTS(u8)
ADD_ELEMENTS(i32)
ADD_ELEMENTS(i64)
ADD_ELEMENTS(f32)
ADD_ELEMENTS(f64)

static void scatter_range(void *context, int64_t begin, int64_t end) {
  const struct indexing *x = context;
  for (int64_t unit = begin; unit < end; unit++) {
    int64_t o = unit / x->tiles, first = unit % x->tiles * x->tile, width = CK_MIN(x->tile, x->inner - first);
    const char *from = x->src + (o * x->count * x->inner + first) * x->size;
    char *to = x->dst + (o * x->length * x->inner + first) * x->size;
    if (x->inner == 1) {
      switch (x->dtype) {
        case CK_UINT8: scatter_elements_u8(x, from, to); break;
        case CK_INT32: scatter_elements_i32(x, from, to); break;
        case CK_INT64: scatter_elements_i64(x, from, to); break;
        case CK_FLOAT32: scatter_elements_f32(x, from, to); break;
        default: scatter_elements_f64(x, from, to); break;
      }
      continue;
    }
    int64_t row = x->inner * x->size;
    for (int64_t j = 0; j < x->count; j++) {
      char *target = to + index_at(x, j) * row;
      x->add(width, target, from + j * row, target);
    }
  }
}

static void scatter_along_range(void *context, int64_t begin, int64_t end) {
  const struct indexing *x = context;
  for (int64_t unit = begin; unit < end; unit++) {
    int64_t o = unit / x->tiles, first = unit % x->tiles * x->tile, width = CK_MIN(x->tile, x->inner - first);
    switch (x->dtype) {
      case CK_UINT8: scatter_tile_u8(x, o, first, width); break;
      case CK_INT32: scatter_tile_i32(x, o, first, width); break;
      case CK_INT64: scatter_tile_i64(x, o, first, width); break;
      case CK_FLOAT32: scatter_tile_f32(x, o, first, width); break;
      default: scatter_tile_f64(x, o, first, width); break;
    }
  }
}

static int scatter(struct indexing *x, ck_dtype dtype, ck_dtype index_dtype, int64_t indices, ck_range_body body,
                   ck_index_error *error) {
  if (dtype == CK_BOOL || ck_arithmetic_index(dtype) < 0) return CK_UNSUPPORTED;
  int status = check(x, index_dtype, indices, error);
  if (status || x->inner == 0 || x->count == 0) return status;
  x->dtype = dtype;
  x->size = ck_dtype_size(dtype);
  x->add = ck_binary_serial(CK_ADD, dtype, CK_VECTOR_VECTOR);
  // A cache line's worth at least, and enough tiles for many threads where the inner axis allows.
  x->tile = CK_MIN(x->inner, CK_MAX(64, x->inner / 32));
  x->tiles = (x->inner + x->tile - 1) / x->tile;
  ck_parallel_for(x->outer * x->tiles, CK_MAX(1, CK_GRAIN_MATH / (x->tile * x->count)), body, x);
  return CK_OK;
}

int ck_scatter_add(ck_dtype dtype, ck_dtype index_dtype, int64_t outer, int64_t length, int64_t inner, int64_t count,
                   const void *src, const void *index, void *dst, ck_index_error *error) {
  struct indexing x = {.outer = outer, .length = length, .inner = inner, .count = count, .src = src, .index = index,
                       .dst = dst};
  return scatter(&x, dtype, index_dtype, count, scatter_range, error);
}

int ck_scatter_add_along(ck_dtype dtype, ck_dtype index_dtype, int64_t outer, int64_t length, int64_t inner,
                         int64_t count, const void *src, const void *index, void *dst, ck_index_error *error) {
  struct indexing x = {.outer = outer, .length = length, .inner = inner, .count = count, .src = src, .index = index,
                       .dst = dst};
  return scatter(&x, dtype, index_dtype, outer * count * inner, scatter_along_range, error);
}
