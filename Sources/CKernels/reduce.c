// Reductions over the middle of [outer, length, inner]: how the work is cut.
//
// The cutting depends on the shape alone, never on the number of threads, so results don't either.
#include "lanes.h"

#include <stdlib.h>

struct reduce_kernel {
  int64_t cell_size;
  void (*rows)(int64_t rows, int64_t length, const void *x, void *out);
  void (*columns)(int64_t rows, int64_t width, int64_t stride, const void *x, void *cells);
  void (*block)(int64_t n, const void *x, void *cell);
  void (*initial)(int64_t n, void *cells);
  void (*combine)(int64_t n, void *cells, const void *more);
  void (*finish)(int64_t n, const void *cells, void *out);
};
struct reduce_table {
  struct reduce_kernel kernels[CK_IX_COUNT][CK_REDUCE_ALL + 1];
};

enum { TILE = 512, TILE_ROWS = 128, ARG_TILE = 256 };

#define CK_BODY "reduce_body.h"
#include "levels.h"

CK_TABLES(struct reduce_table, reduce_table);

// Input elements that one unit of divided work covers.
enum { BLOCK = 8 * CK_LANES_BLOCK };

struct reduction {
  const struct reduce_kernel *kernel;
  int64_t outer, length, inner, size, out_size;
  const char *x;
  char *out;
  // Where one result is gathered from several units: cells of unit (o, part) start at (o * parts + part) * inner.
  char *cells;
  int64_t parts, part_length, tiles;
};

static void rows_range(void *context, int64_t begin, int64_t end) {
  const struct reduction *r = context;
  r->kernel->rows(end - begin, r->length, r->x + begin * r->length * r->size, r->out + begin * r->out_size);
}

static void blocks_range(void *context, int64_t begin, int64_t end) {
  const struct reduction *r = context;
  for (int64_t unit = begin; unit < end; unit++) {
    int64_t o = unit / r->parts, start = unit % r->parts * r->part_length;
    int64_t count = CK_MIN(r->part_length, r->length - start);
    r->kernel->block(count, r->x + (o * r->length + start) * r->size, r->cells + unit * r->kernel->cell_size);
  }
}

// Units are (outer, tile of columns); each goes through all rows.
static void tiles_range(void *context, int64_t begin, int64_t end) {
  const struct reduction *r = context;
  double cells[TILE];
  for (int64_t unit = begin; unit < end; unit++) {
    int64_t o = unit / r->tiles, first = unit % r->tiles * TILE, width = CK_MIN(r->inner - first, TILE);
    const char *x = r->x + (o * r->length * r->inner + first) * r->size;
    char *out = r->out + (o * r->inner + first) * r->out_size;
    if (!r->kernel->initial) {
      r->kernel->columns(r->length, width, r->inner, x, out);
      continue;
    }
    r->kernel->initial(width, cells);
    r->kernel->columns(r->length, width, r->inner, x, cells);
    r->kernel->finish(width, cells, out);
  }
}

// Units are (outer, block of rows); each goes through all columns.
static void row_blocks_range(void *context, int64_t begin, int64_t end) {
  const struct reduction *r = context;
  for (int64_t unit = begin; unit < end; unit++) {
    int64_t o = unit / r->parts, start = unit % r->parts * r->part_length;
    int64_t count = CK_MIN(r->part_length, r->length - start);
    char *cells = r->cells + unit * r->inner * r->kernel->cell_size;
    r->kernel->initial(r->inner, cells);
    r->kernel->columns(count, r->inner, r->inner, r->x + (o * r->length + start) * r->inner * r->size, cells);
  }
}

static int run_in_parts(struct reduction *r, int64_t part_length, ck_range_body body) {
  r->part_length = part_length;
  r->parts = (r->length + part_length - 1) / part_length;
  int64_t stride = r->inner * r->kernel->cell_size;
  r->cells = malloc((size_t)(r->outer * r->parts * stride));
  if (!r->cells) return CK_NO_MEMORY;
  ck_parallel_for(r->outer * r->parts, 1, body, r);
  for (int64_t o = 0; o < r->outer; o++) {
    char *cells = r->cells + o * r->parts * stride;
    for (int64_t part = 1; part < r->parts; part++) r->kernel->combine(r->inner, cells, cells + part * stride);
    r->kernel->finish(r->inner, cells, r->out + o * r->inner * r->out_size);
  }
  free(r->cells);
  return CK_OK;
}

static int64_t grain_for(int64_t unit_elements) { return CK_MAX(1, BLOCK / CK_MAX(1, unit_elements)); }

int ck_reduce(ck_reduction op, ck_dtype dtype, int64_t outer, int64_t length, int64_t inner, const void *x, void *out) {
  bool logical = op == CK_REDUCE_ANY || op == CK_REDUCE_ALL;
  bool index = op == CK_REDUCE_ARGMAX || op == CK_REDUCE_ARGMIN;
  if (dtype == CK_BOOL && (op == CK_REDUCE_SUM || op == CK_REDUCE_PRODUCT)) return CK_UNSUPPORTED;
  int column = ck_arithmetic_index(dtype == CK_BOOL ? CK_UINT8 : dtype);
  if (column < 0 || (unsigned)op > CK_REDUCE_ALL) return CK_UNSUPPORTED;
  if (outer <= 0 || inner <= 0) return CK_OK;
  if (length <= 0 && (index || op == CK_REDUCE_MAX || op == CK_REDUCE_MIN)) return CK_BAD_SHAPE;
  if (length < 0) return CK_BAD_SHAPE;

  int64_t size = ck_dtype_size(dtype);
  struct reduction r = {.kernel = &CK_TABLE(reduce_table)->kernels[column][op],
                        .outer = outer, .length = length, .inner = inner, .size = size,
                        .out_size = index ? 8 : logical ? 1 : size, .x = x, .out = out};
  if (inner == 1) {
    // Few long rows are cut; many are shared out.
    if (r.kernel->block && outer < 16 && length >= 2 * BLOCK) return run_in_parts(&r, BLOCK, blocks_range);
    ck_parallel_for(outer, grain_for(length), rows_range, &r);
    return CK_OK;
  }
  r.tiles = (inner + TILE - 1) / TILE;
  int64_t units = outer * r.tiles, tile_elements = length * CK_MIN(inner, TILE);
  if (r.kernel->block && units < 16 && outer * length * inner >= 2 * BLOCK && length >= 256) {
    int64_t part_length = CK_MAX(TILE_ROWS, BLOCK / inner);
    return run_in_parts(&r, part_length, row_blocks_range);
  }
  ck_parallel_for(units, grain_for(tile_elements), tiles_range, &r);
  return CK_OK;
}
