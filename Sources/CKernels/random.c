// Counter-based random numbers: lookup and splitting. Formats are in the header.
#include "vmath.h"

enum { GROUP = 16 };

typedef void (*group_fn)(uint64_t key, uint64_t counter, void *out);
enum { BITS, UNIFORM_F32, UNIFORM_F64, NORMAL_F32, NORMAL_F64, RANDOM_COUNT };
struct random_table {
  group_fn groups[RANDOM_COUNT];
};

// 53 uniform bits.
CK_INLINE int64_t unit_bits(uint32_t high, uint32_t low) { return (int64_t)(((uint64_t)high << 32 | low) >> 11); }

#define CK_BODY "random_body.h"
#include "levels.h"

CK_TABLES(struct random_table, random_table);

struct random_call {
  group_fn group;
  uint64_t key, offset;
  int64_t n, group_elements, size;
  char *out;
};

static void groups_range(void *context, int64_t begin, int64_t end) {
  const struct random_call *c = context;
  for (int64_t unit = begin; unit < end; unit++) {
    int64_t first = unit * c->group_elements, count = CK_MIN(c->group_elements, c->n - first);
    uint64_t counter = c->offset + (uint64_t)unit * GROUP;
    char *out = c->out + first * c->size;
    if (count == c->group_elements) {
      c->group(c->key, counter, out);
    } else {
      double whole[4 * GROUP];
      c->group(c->key, counter, whole);
      memcpy(out, whole, (size_t)(count * c->size));
    }
  }
}

static void draw(int kind, uint64_t key, uint64_t offset, int64_t n, int64_t size, void *out) {
  int64_t group_elements = (size == 8 ? 2 : 4) * GROUP;
  struct random_call call = {CK_TABLE(random_table)->groups[kind], key, offset, n, group_elements, size, out};
  ck_parallel_for((n + group_elements - 1) / group_elements, CK_GRAIN_MATH / group_elements, groups_range, &call);
}

void ck_random_bits(uint64_t key, uint64_t offset, int64_t n, uint32_t *out) { draw(BITS, key, offset, n, 4, out); }

int ck_random_uniform(ck_dtype dtype, uint64_t key, uint64_t offset, int64_t n, void *out) {
  if (dtype != CK_FLOAT32 && dtype != CK_FLOAT64) return CK_UNSUPPORTED;
  draw(dtype == CK_FLOAT64 ? UNIFORM_F64 : UNIFORM_F32, key, offset, n, ck_dtype_size(dtype), out);
  return CK_OK;
}

int ck_random_normal(ck_dtype dtype, uint64_t key, uint64_t offset, int64_t n, void *out) {
  if (dtype != CK_FLOAT32 && dtype != CK_FLOAT64) return CK_UNSUPPORTED;
  draw(dtype == CK_FLOAT64 ? NORMAL_F64 : NORMAL_F32, key, offset, n, ck_dtype_size(dtype), out);
  return CK_OK;
}
