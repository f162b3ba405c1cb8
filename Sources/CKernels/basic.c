// Select, fill and arithmetic progressions: lookup and splitting.
#include "internal.h"

typedef void (*iota_fn)(int64_t begin, int64_t end, const void *start, const void *step, void *out);

// First index: log2 of the element size.
struct basic_table {
  ck_select_fn select[4][4];
  ck_unary_fn fill[4];
  iota_fn iota[CK_IX_COUNT];
};

#define CK_BODY "basic_body.h"
#include "levels.h"

CK_TABLES(struct basic_table, basic_table);

static int size_index(int64_t element_size) {
  switch (element_size) {
    case 1: return 0;
    case 2: return 1;
    case 4: return 2;
    case 8: return 3;
    default: return -1;
  }
}

// MARK: Select

ck_select_fn ck_select_serial(int64_t element_size, ck_mode mode) {
  int index = size_index(element_size);
  if (index < 0 || (unsigned)mode > CK_SCALAR_SCALAR) return NULL;
  return CK_TABLE(basic_table)->select[index][mode];
}

struct select_call {
  ck_select_fn kernel;
  const uint8_t *condition;
  const char *a, *b;
  char *out;
  int64_t size, size_a, size_b;
};

static void select_range(void *context, int64_t begin, int64_t end) {
  const struct select_call *c = context;
  c->kernel(end - begin, c->condition + begin, c->a + begin * c->size_a, c->b + begin * c->size_b,
            c->out + begin * c->size);
}

static void select_wide_range(void *context, int64_t begin, int64_t end) {
  const struct select_call *c = context;
  for (int64_t i = begin; i < end; i++)
    memmove(c->out + i * c->size, c->condition[i] ? c->a + i * c->size_a : c->b + i * c->size_b, (size_t)c->size);
}

int ck_select(int64_t element_size, ck_mode mode, int64_t n, const uint8_t *condition, const void *a, const void *b,
              void *out) {
  if ((unsigned)mode > CK_SCALAR_SCALAR) return CK_UNSUPPORTED;
  bool scalar_a = mode == CK_SCALAR_VECTOR || mode == CK_SCALAR_SCALAR;
  bool scalar_b = mode == CK_VECTOR_SCALAR || mode == CK_SCALAR_SCALAR;
  struct select_call call = {ck_select_serial(element_size, mode), condition, a, b, out, element_size,
                             scalar_a ? 0 : element_size, scalar_b ? 0 : element_size};
  if (n <= 0) return CK_OK;
  if (call.kernel)
    ck_parallel_for(n, CK_GRAIN_LIGHT, select_range, &call);
  else if (element_size == 16)
    ck_parallel_for(n, CK_GRAIN_LIGHT, select_wide_range, &call);
  else
    return CK_UNSUPPORTED;
  return CK_OK;
}

// MARK: Fill

struct fill_call {
  const void *value;
  char *out;
  int64_t size;
};

static void fill_range(void *context, int64_t begin, int64_t end) {
  const struct fill_call *c = context;
  ck_fill_serial(c->size, end - begin, c->value, c->out + begin * c->size);
}

void ck_fill_serial(int64_t element_size, int64_t n, const void *value, void *out) {
  int index = size_index(element_size);
  if (index >= 0)
    CK_TABLE(basic_table)->fill[index](n, value, out);
  else
    for (int64_t i = 0; i < n; i++) memcpy((char *)out + i * element_size, value, (size_t)element_size);
}

int ck_fill(int64_t element_size, int64_t n, const void *value, void *out) {
  if (size_index(element_size) < 0 && element_size != 16) return CK_UNSUPPORTED;
  struct fill_call call = {value, out, element_size};
  ck_parallel_for(n, 4 * CK_GRAIN_LIGHT / element_size, fill_range, &call);
  return CK_OK;
}

// MARK: Progressions

struct iota_call {
  iota_fn kernel;
  const void *start, *step;
  void *out;
};

static void iota_range(void *context, int64_t begin, int64_t end) {
  const struct iota_call *c = context;
  c->kernel(begin, end, c->start, c->step, c->out);
}

int ck_iota(ck_dtype dtype, int64_t n, const void *start, const void *step, void *out) {
  int column = ck_arithmetic_index(dtype);
  struct iota_call call = {column < 0 ? NULL : CK_TABLE(basic_table)->iota[column], start, step, out};
  if (!call.kernel) return CK_UNSUPPORTED;
  ck_parallel_for(n, CK_GRAIN_LIGHT, iota_range, &call);
  return CK_OK;
}
