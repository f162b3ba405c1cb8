// Batch norm over plain and channel-blocked activations: how the work is cut.
#include "internal.h"

#include <stdlib.h>

enum {
  LANES = 1024,     // most lanes of a row
  CHUNK_ROWS = 64,  // rows accumulated before sums go to double precision
};

// Channels that are worked on together, and where their numbers are. Three shapes of layout come to this:
//   [batch, channels, spatial]          lanes 1, rows of 64 lanes along the spatial axis
//   [batch, groups, spatial, block]     lanes = block, rows of as many pixels as fit 64 lanes
//   [batch, channels] (spatial 1), or a block above 64: lanes = up to 1024 neighbouring channels
struct group {
  int64_t rows, width, stride, tail, lanes;
  int64_t offset, sample;    // of the first element; from one sample to the next
  int64_t channel, channels; // first channel, and how many of the lanes are channels (the rest is padding)
};

// A range of samples with all their rows, or a range of one sample's rows.
struct chunk {
  int64_t sample, sample_end, row, row_end;
};

static struct chunk chunk_at(const struct group *g, int64_t sample, int64_t row, int64_t end) {
  if (g->rows > CHUNK_ROWS) return (struct chunk){sample, sample + 1, row, CK_MIN(row + CHUNK_ROWS, g->rows)};
  int64_t samples = CHUNK_ROWS / (g->rows + (g->tail > 0 ? 1 : 0) + (g->rows + g->tail == 0));
  return (struct chunk){sample, CK_MIN(sample + CK_MAX(samples, 1), end), 0, g->rows};
}

static struct chunk first_chunk(const struct group *g, int64_t begin, int64_t end) { return chunk_at(g, begin, 0, end); }

static struct chunk next_chunk(const struct group *g, struct chunk c, int64_t end) {
  return c.row_end < g->rows ? chunk_at(g, c.sample, c.row_end, end) : chunk_at(g, c.sample_end, 0, end);
}

// Numbers a channel has in the chunk.
static double chunk_count(const struct group *g, const struct chunk *c) {
  int64_t lanes = (c->row_end - c->row) * g->width + (c->row_end == g->rows ? g->tail : 0);
  return (double)(lanes / g->lanes * (c->sample_end - c->sample));
}

static void merge_statistics(int64_t n, double *mean, double *squares, double seen, const double *more_mean,
                             const double *more_squares, double count) {
  double total = seen + count;
  for (int64_t l = 0; l < n; l++) {
    double delta = more_mean[l] - mean[l];
    mean[l] += delta * (count / total);
    squares[l] += more_squares[l] + delta * delta * (seen * count / total);
  }
}

struct batchnorm_kernels {
  void (*statistics)(const struct group *g, int64_t begin, int64_t end, const void *x, double *mean, double *squares);
  void (*apply)(const struct group *g, int64_t begin, int64_t end, const void *x, const double *mean,
                const double *factor, const double *shift, void *y);
  void (*gradient_sums)(const struct group *g, int64_t begin, int64_t end, const void *x, const void *dy,
                        const double *mean, double *sum, double *moment);
  void (*gradient_apply)(const struct group *g, int64_t begin, int64_t end, const void *x, const void *dy,
                         const double *mean, const double *factor, const double *slope, const double *shift, void *dx);
};
struct batchnorm_table {
  struct batchnorm_kernels kernels[2];
};

#define CK_BODY "batchnorm_body.h"
#include "levels.h"

CK_TABLES(struct batchnorm_table, batchnorm_table);

struct call {
  const struct batchnorm_kernels *kernels;
  ck_dtype dtype;
  ck_channels layout;
  int64_t groups, tiles;         // of channels; of lanes within a group
  int64_t parts, part_samples;   // of the batch, where statistics are gathered; by shape alone
  const void *x, *dy;
  void *out;
  double *vectors[4];            // per padded channel: coefficients; mean first
  double *partial[2];            // [parts, padded channels]
  int64_t padded;
};

static struct group group_at(const struct call *c, int64_t index) {
  const ck_channels *l = &c->layout;
  int64_t block = l->block, of = index / c->tiles, first = index % c->tiles * LANES;
  struct group g = {.offset = of * l->spatial * block + first, .sample = c->groups * l->spatial * block};
  g.channel = of * block + first;
  if (block > 64) {
    g.lanes = g.width = CK_MIN(block - first, LANES);
    g.stride = block;
    g.rows = l->spatial;
  } else {
    g.lanes = block;
    g.width = g.stride = 64 / block * block;
    g.rows = l->spatial * block / g.width;
    g.tail = l->spatial * block % g.width;
  }
  g.channels = CK_MAX(0, CK_MIN(g.lanes, l->channels - g.channel));
  return g;
}

static void statistics_range(void *context, int64_t begin, int64_t end) {
  const struct call *c = context;
  for (int64_t unit = begin; unit < end; unit++) {
    int64_t part = unit % c->parts, first = part * c->part_samples;
    int64_t last = CK_MIN(first + c->part_samples, c->layout.batch);
    struct group g = group_at(c, unit / c->parts);
    double *a = c->partial[0] + part * c->padded + g.channel, *b = c->partial[1] + part * c->padded + g.channel;
    if (c->dy)
      c->kernels->gradient_sums(&g, first, last, c->x, c->dy, c->vectors[0] + g.channel, a, b);
    else
      c->kernels->statistics(&g, first, last, c->x, a, b);
  }
}

// Units are (group, sample), samples fastest, so that a range sets up each group's coefficients once.
static void apply_range(void *context, int64_t begin, int64_t end) {
  const struct call *c = context;
  int64_t batch = c->layout.batch;
  while (begin < end) {
    int64_t index = begin / batch, first = begin % batch, last = CK_MIN(batch, first + (end - begin));
    struct group g = group_at(c, index);
    const double *v[4];
    for (int i = 0; i < 4; i++) v[i] = c->vectors[i] + g.channel;
    if (c->dy)
      c->kernels->gradient_apply(&g, first, last, c->x, c->dy, v[0], v[1], v[2], v[3], c->out);
    else
      c->kernels->apply(&g, first, last, c->x, v[0], v[1], v[3], c->out);
    begin += last - first;
  }
}

static int prepare(struct call *c, ck_dtype dtype, const ck_channels *layout) {
  if (dtype != CK_FLOAT32 && dtype != CK_FLOAT64) return CK_UNSUPPORTED;
  if (layout->block < 1 || layout->channels < 0 || layout->batch < 0 || layout->spatial < 0) return CK_BAD_SHAPE;
  c->kernels = &CK_TABLE(batchnorm_table)->kernels[dtype == CK_FLOAT64];
  c->dtype = dtype;
  c->layout = *layout;
  if (layout->block == 1 && layout->spatial == 1) c->layout.block = CK_MAX(layout->channels, 1);
  c->groups = (layout->channels + c->layout.block - 1) / c->layout.block;
  c->tiles = c->layout.block > 64 ? (c->layout.block + LANES - 1) / LANES : 1;
  c->padded = c->groups * c->layout.block;
  int64_t units = CK_MAX(1, c->groups * c->tiles);
  int64_t work = layout->batch * layout->spatial * c->padded;
  c->parts = CK_MAX(1, CK_MIN(CK_MIN(layout->batch, (8 + units - 1) / units), work / 4096));
  c->part_samples = (layout->batch + c->parts - 1) / c->parts;
  if (c->part_samples > 0) c->parts = (layout->batch + c->part_samples - 1) / c->part_samples;
  double *memory = calloc((size_t)(c->padded * (4 + 2 * c->parts) + 1), sizeof(double));
  if (!memory) return CK_NO_MEMORY;
  for (int i = 0; i < 4; i++) c->vectors[i] = memory + i * c->padded;
  for (int i = 0; i < 2; i++) c->partial[i] = memory + (4 + i * c->parts) * c->padded;
  return CK_OK;
}

static void gather(struct call *c) {
  int64_t units = c->groups * c->tiles * c->parts;
  int64_t elements = c->layout.batch * c->layout.spatial * c->padded / CK_MAX(units, 1);
  ck_parallel_for(units, CK_MAX(1, CK_GRAIN_LIGHT / CK_MAX(elements, 1)), statistics_range, c);
}

static void apply(struct call *c) {
  int64_t elements = CK_MAX(1, c->layout.spatial * CK_MIN(c->layout.block, LANES));
  ck_parallel_for(c->groups * c->tiles * c->layout.batch, CK_MAX(1, CK_GRAIN_LIGHT / elements), apply_range, c);
}

static double load(const struct call *c, const void *vector, int64_t i, double otherwise) {
  if (!vector) return otherwise;
  return c->dtype == CK_FLOAT64 ? ((const double *)vector)[i] : (double)((const float *)vector)[i];
}

static void store(const struct call *c, void *vector, int64_t i, double value) {
  if (!vector) return;
  if (c->dtype == CK_FLOAT64)
    ((double *)vector)[i] = value;
  else
    ((float *)vector)[i] = (float)value;
}

#include "batchnorm_scaled.h"

// Whether the fast sums, in the element type, held a channel's squares.
static bool is_ordinary(const struct call *c, double mean, double variance, double epsilon) {
  double least = c->dtype == CK_FLOAT64 ? 1e-280 : 1e-30;
  return fabs(mean) < (double)INFINITY && variance < (double)INFINITY && variance + epsilon > least;
}

int ck_batch_norm_training(ck_dtype dtype, const ck_channels *layout, double epsilon, const void *x, const void *scale,
                           const void *shift, void *y, void *mean, void *variance) {
  struct call c = {.x = x, .out = y};
  int status = prepare(&c, dtype, layout);
  if (status) return status;
  gather(&c);
  bool all_ordinary = true;
  double per_sample = (double)layout->spatial;
  for (int64_t i = 0; i < layout->channels; i++) {
    double m = 0, squares = 0, seen = 0;
    for (int64_t part = 0; part < c.parts; part++) {
      int64_t samples = CK_MIN(c.part_samples, layout->batch - part * c.part_samples);
      double count = per_sample * (double)samples;
      if (count <= 0) continue;
      merge_statistics(1, &m, &squares, seen, c.partial[0] + part * c.padded + i, c.partial[1] + part * c.padded + i,
                       count);
      seen += count;
    }
    double v = squares / seen;
    store(&c, mean, i, m);
    store(&c, variance, i, v);
    c.vectors[0][i] = m;
    c.vectors[1][i] = load(&c, scale, i, 1) / sqrt(v + epsilon);
    c.vectors[2][i] = v;
    c.vectors[3][i] = load(&c, shift, i, 0);
    all_ordinary &= is_ordinary(&c, m, v, epsilon);
  }
  apply(&c);
  for (int64_t i = 0; i < layout->channels && !all_ordinary; i++)
    if (!is_ordinary(&c, c.vectors[0][i], c.vectors[2][i], epsilon))
      normalise_scaled(&c, i, epsilon, load(&c, scale, i, 1), load(&c, shift, i, 0), mean, variance);
  free(c.vectors[0]);
  return CK_OK;
}

int ck_batch_norm_inference(ck_dtype dtype, const ck_channels *layout, double epsilon, const void *x, const void *mean,
                            const void *variance, const void *scale, const void *shift, void *y) {
  struct call c = {.x = x, .out = y};
  int status = prepare(&c, dtype, layout);
  if (status) return status;
  for (int64_t i = 0; i < layout->channels; i++) {
    c.vectors[0][i] = load(&c, mean, i, 0);
    c.vectors[1][i] = load(&c, scale, i, 1) / sqrt(load(&c, variance, i, 1) + epsilon);
    c.vectors[3][i] = load(&c, shift, i, 0);
  }
  apply(&c);
  free(c.vectors[0]);
  return CK_OK;
}

int ck_batch_norm_backward(ck_dtype dtype, const ck_channels *layout, double epsilon, bool training, const void *x,
                           const void *g, const void *mean, const void *variance, const void *scale, void *dx,
                           void *dscale, void *dshift) {
  struct call c = {.x = x, .dy = g, .out = dx};
  int status = prepare(&c, dtype, layout);
  if (status) return status;
  for (int64_t i = 0; i < layout->channels; i++) c.vectors[0][i] = load(&c, mean, i, 0);
  if (training || dscale || dshift) gather(&c);
  double count = (double)layout->batch * (double)layout->spatial;
  for (int64_t i = 0; i < layout->channels; i++) {
    double sum = 0, moment = 0;
    for (int64_t part = 0; part < c.parts; part++) {
      sum += c.partial[0][part * c.padded + i];
      moment += c.partial[1][part * c.padded + i];
    }
    double rstd = 1 / sqrt(load(&c, variance, i, 1) + epsilon), factor = load(&c, scale, i, 1) * rstd;
    store(&c, dscale, i, moment * rstd);
    store(&c, dshift, i, sum);
    c.vectors[1][i] = factor;
    c.vectors[2][i] = training ? -factor * rstd * rstd * moment / count : 0;
    c.vectors[3][i] = training ? -factor * sum / count : 0;
  }
  if (dx) apply(&c);
  for (int64_t i = 0; i < layout->channels && training; i++)
    if (!is_ordinary(&c, load(&c, mean, i, 0), load(&c, variance, i, 1), epsilon))
      differentiate_scaled(&c, i, epsilon, load(&c, scale, i, 1), dscale, dshift);
  free(c.vectors[0]);
  return CK_OK;
}
