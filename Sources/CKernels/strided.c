// Copies between strided and dense memory. Both directions are one copy with two sets of strides.
#include "internal.h"

// Tiles of a transposition, in bytes read in a row and written in a row.
enum { MAX_RANK = 32, PIECE = 65536, TALL_BYTES = 256, WIDE_BYTES = 128 };

struct axis {
  int64_t count, from, to;  // extent; strides in source and destination, in elements
};

struct copy {
  int64_t size, rank, pieces;
  struct axis axes[MAX_RANK];
  const char *src;
  char *dst;
  struct axis wide, tall;  // transposition: the axis dense in the destination, the one dense in the source
  int64_t tall_blocks, tall_side, wide_side;
};

typedef struct {
  uint64_t low, high;
} pair64;

#define ROW_OF(T)                                                                                       \
  static void row_##T(int64_t n, const char *from, int64_t from_step, char *to, int64_t to_step) {      \
    const T *s = (const T *)(const void *)from;                                                         \
    T *d = (T *)(void *)to;                                                                             \
    if (from_step == 0 && to_step == 1) {                                                               \
      const T value = *s;                                                                               \
      for (int64_t i = 0; i < n; i++) d[i] = value;                                                     \
    } else if (to_step == 1) {                                                                          \
      for (int64_t i = 0; i < n; i++) d[i] = s[i * from_step];                                          \
    } else {                                                                                            \
      for (int64_t i = 0; i < n; i++) d[i * to_step] = s[i * from_step];                                \
    }                                                                                                   \
  }

#define TILE_OF(T)                                                                                      \
  static void tile_##T(int64_t tall, int64_t wide, const char *from, int64_t wide_from, char *to, int64_t tall_to) { \
    const T *CK_RESTRICT s = (const T *)(const void *)from;                                             \
    T *CK_RESTRICT d = (T *)(void *)to;                                                                 \
    for (int64_t i = 0; i < tall; i++)                                                                  \
      for (int64_t j = 0; j < wide; j++) d[i * tall_to + j] = s[j * wide_from + i];                     \
  }
ROW_OF(uint8_t)
ROW_OF(uint16_t)
ROW_OF(uint32_t)
ROW_OF(uint64_t)
ROW_OF(pair64)
TILE_OF(uint8_t)
TILE_OF(uint16_t)
TILE_OF(uint64_t)
TILE_OF(pair64)

// 4 x 4 blocks of 32-bit elements, the common case, transposed in registers.
typedef uint32_t quad __attribute__((ext_vector_type(4), aligned(4)));

static void tile_quads(int64_t tall, int64_t wide, const char *from, int64_t wide_from, char *to, int64_t tall_to) {
  const uint32_t *s = (const uint32_t *)(const void *)from;
  uint32_t *d = (uint32_t *)(void *)to;
  for (int64_t j = 0; j + 4 <= wide; j += 4)
    for (int64_t i = 0; i + 4 <= tall; i += 4) {
      const uint32_t *p = s + j * wide_from + i;
      quad a = *(const quad *)p, b = *(const quad *)(p + wide_from);
      quad c = *(const quad *)(p + 2 * wide_from), e = *(const quad *)(p + 3 * wide_from);
      quad ab_low = __builtin_shufflevector(a, b, 0, 4, 1, 5), ab_high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
      quad ce_low = __builtin_shufflevector(c, e, 0, 4, 1, 5), ce_high = __builtin_shufflevector(c, e, 2, 6, 3, 7);
      uint32_t *q = d + i * tall_to + j;
      *(quad *)q = __builtin_shufflevector(ab_low, ce_low, 0, 1, 4, 5);
      *(quad *)(q + tall_to) = __builtin_shufflevector(ab_low, ce_low, 2, 3, 6, 7);
      *(quad *)(q + 2 * tall_to) = __builtin_shufflevector(ab_high, ce_high, 0, 1, 4, 5);
      *(quad *)(q + 3 * tall_to) = __builtin_shufflevector(ab_high, ce_high, 2, 3, 6, 7);
    }
  int64_t whole_wide = wide / 4 * 4, whole_tall = tall / 4 * 4;
  for (int64_t i = 0; i < tall; i++)
    for (int64_t j = i < whole_tall ? whole_wide : 0; j < wide; j++) d[i * tall_to + j] = s[j * wide_from + i];
}

static void copy_row(int64_t size, int64_t n, const char *from, int64_t from_step, char *to, int64_t to_step) {
  if (from_step == 1 && to_step == 1) {
    memcpy(to, from, (size_t)(n * size));
    return;
  }
  switch (size) {
    case 1: row_uint8_t(n, from, from_step, to, to_step); break;
    case 2: row_uint16_t(n, from, from_step, to, to_step); break;
    case 4: row_uint32_t(n, from, from_step, to, to_step); break;
    case 8: row_uint64_t(n, from, from_step, to, to_step); break;
    default: row_pair64(n, from, from_step, to, to_step); break;
  }
}

static void copy_tile(int64_t size, int64_t tall, int64_t wide, const char *from, int64_t wide_from, char *to,
                      int64_t tall_to) {
  switch (size) {
    case 1: tile_uint8_t(tall, wide, from, wide_from, to, tall_to); break;
    case 2: tile_uint16_t(tall, wide, from, wide_from, to, tall_to); break;
    case 4: tile_quads(tall, wide, from, wide_from, to, tall_to); break;
    case 8: tile_uint64_t(tall, wide, from, wide_from, to, tall_to); break;
    default: tile_pair64(tall, wide, from, wide_from, to, tall_to); break;
  }
}

// A position in the first `rank` axes that steps through them in order.
struct walker {
  int64_t at[MAX_RANK], from, to;
};

static void walk_to(struct walker *w, const struct axis *axes, int64_t rank, int64_t index) {
  w->from = w->to = 0;
  for (int64_t a = rank - 1; a >= 0; a--) {
    w->at[a] = index % axes[a].count;
    index /= axes[a].count;
    w->from += w->at[a] * axes[a].from;
    w->to += w->at[a] * axes[a].to;
  }
}

static void walk_on(struct walker *w, const struct axis *axes, int64_t rank) {
  for (int64_t a = rank - 1; a >= 0; a--) {
    w->from += axes[a].from;
    w->to += axes[a].to;
    if (++w->at[a] < axes[a].count) return;
    w->at[a] = 0;
    w->from -= axes[a].from * axes[a].count;
    w->to -= axes[a].to * axes[a].count;
  }
}

// Units are (row, piece of the row).
static void rows_range(void *context, int64_t begin, int64_t end) {
  const struct copy *c = context;
  struct axis last = c->axes[c->rank - 1];
  struct walker w;
  walk_to(&w, c->axes, c->rank - 1, begin / c->pieces);
  for (int64_t unit = begin, piece = begin % c->pieces; unit < end; unit++) {
    int64_t start = piece * PIECE, n = c->pieces == 1 ? last.count : CK_MIN(PIECE, last.count - start);
    copy_row(c->size, n, c->src + (w.from + start * last.from) * c->size, last.from,
             c->dst + (w.to + start * last.to) * c->size, last.to);
    if (++piece < c->pieces) continue;
    piece = 0;
    walk_on(&w, c->axes, c->rank - 1);
  }
}

// Units are (position in the other axes, block of the tall axis).
static void tiles_range(void *context, int64_t begin, int64_t end) {
  const struct copy *c = context;
  struct walker w;
  for (int64_t unit = begin; unit < end; unit++) {
    walk_to(&w, c->axes, c->rank, unit / c->tall_blocks);
    int64_t i = unit % c->tall_blocks * c->tall_side, tall = CK_MIN(c->tall_side, c->tall.count - i);
    for (int64_t j = 0; j < c->wide.count; j += c->wide_side) {
      int64_t wide = CK_MIN(c->wide_side, c->wide.count - j);
      copy_tile(c->size, tall, wide, c->src + (w.from + i + j * c->wide.from) * c->size, c->wide.from,
                c->dst + (w.to + i * c->tall.to + j) * c->size, c->tall.to);
    }
  }
}

// Leaves out axes of one element, and joins neighbours that are one axis in both memories.
static void simplify(struct copy *c) {
  int64_t rank = 0;
  for (int64_t a = 0; a < c->rank; a++) {
    struct axis axis = c->axes[a];
    if (axis.count == 1) continue;
    struct axis *before = rank > 0 ? &c->axes[rank - 1] : NULL;
    if (before && before->from == axis.from * axis.count && before->to == axis.to * axis.count) {
      before->count *= axis.count;
      before->from = axis.from;
      before->to = axis.to;
    } else {
      c->axes[rank++] = axis;
    }
  }
  if (rank == 0) c->axes[rank++] = (struct axis){1, 1, 1};
  c->rank = rank;
}

static void remove_axis(struct copy *c, int64_t a) {
  c->rank--;
  for (; a < c->rank; a++) c->axes[a] = c->axes[a + 1];
}

// If different axes are dense in source and destination, takes both out of `axes`.
static bool take_transposition(struct copy *c) {
  int64_t wide = -1, tall = -1;
  for (int64_t a = 0; a < c->rank; a++) {
    if (c->axes[a].to == 1 && c->axes[a].from != 1) wide = a;
    if (c->axes[a].from == 1 && c->axes[a].to != 1) tall = a;
  }
  if (wide < 0 || tall < 0 || c->axes[wide].from == 0 || c->axes[tall].to == 0) return false;
  if (c->axes[wide].count < 4 || c->axes[tall].count < 4) return false;
  c->wide = c->axes[wide];
  c->tall = c->axes[tall];
  remove_axis(c, CK_MAX(wide, tall));
  remove_axis(c, CK_MIN(wide, tall));
  return true;
}

static int run(struct copy *c) {
  if (c->size != 1 && c->size != 2 && c->size != 4 && c->size != 8 && c->size != 16) return CK_UNSUPPORTED;
  int64_t total = 1;
  for (int64_t a = 0; a < c->rank; a++) total *= c->axes[a].count;
  if (total <= 0) return CK_OK;
  simplify(c);
  if (take_transposition(c)) {
    c->tall_side = CK_MAX(4, TALL_BYTES / c->size);
    c->wide_side = CK_MAX(4, WIDE_BYTES / c->size);
    c->tall_blocks = (c->tall.count + c->tall_side - 1) / c->tall_side;
    int64_t unit = CK_MIN(c->tall.count, c->tall_side) * c->wide.count;
    ck_parallel_for(total / (c->tall.count * c->wide.count) * c->tall_blocks, CK_MAX(1, CK_GRAIN_LIGHT / unit),
                    tiles_range, c);
    return CK_OK;
  }
  int64_t length = c->axes[c->rank - 1].count, rows = total / length;
  c->pieces = rows < 64 && length > PIECE ? (length + PIECE - 1) / PIECE : 1;
  int64_t unit = c->pieces > 1 ? PIECE : length;
  ck_parallel_for(rows * c->pieces, CK_MAX(1, CK_GRAIN_LIGHT / unit), rows_range, c);
  return CK_OK;
}

// `strides` of the strided side go to one member of each axis, the dense ones to the other.
static int start(struct copy *c, int64_t rank, const int64_t *shape, const int64_t *strides, bool from_strided) {
  if (rank < 0 || rank > MAX_RANK) return CK_BAD_SHAPE;
  c->rank = rank;
  int64_t dense = 1;
  for (int64_t a = rank - 1; a >= 0; a--) {
    c->axes[a] = (struct axis){shape[a], from_strided ? strides[a] : dense, from_strided ? dense : strides[a]};
    dense *= shape[a];
  }
  return run(c);
}

int ck_copy_strided(int64_t element_size, int64_t rank, const int64_t *shape, const void *src,
                    const int64_t *src_strides, void *dst) {
  struct copy c = {.size = element_size, .src = src, .dst = dst};
  return start(&c, rank, shape, src_strides, true);
}

int ck_scatter_strided(int64_t element_size, int64_t rank, const int64_t *shape, const void *src, void *dst,
                       const int64_t *dst_strides) {
  struct copy c = {.size = element_size, .src = src, .dst = dst};
  return start(&c, rank, shape, dst_strides, false);
}
