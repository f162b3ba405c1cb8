// Batch norm for one element type CK_S at one instruction set.
//
// The numbers of one channel group within one sample are seen as `rows` rows of `width` lanes, `stride` apart, and a
// shorter last row of `tail` lanes; lane l belongs to channel l % lanes of the group. See struct group.
#define M(name) CK_PASTE(CK_PASTE(name, CK_S), CK_LEVEL)
#define T CK_PASTE(ck, CK_S)

// Rows first..<last of a sample and, if the range reaches the end, the tail. With a constant width of 64 the
// accumulators stay in registers.
#define CK_ROW_LOOP(WIDTH, STATEMENT)                                                       \
  for (int64_t r = first; r < last; r++) {                                                  \
    const int64_t at = r * g->stride;                                                       \
    CK_VECTORIZE for (int64_t j = 0; j < WIDTH; j++) { STATEMENT; }                         \
  }
#define CK_ROWS(STATEMENT)                                                                  \
  do {                                                                                      \
    if (g->width == 64) {                                                                   \
      CK_ROW_LOOP(64, STATEMENT)                                                            \
    } else {                                                                                \
      CK_ROW_LOOP(g->width, STATEMENT)                                                      \
    }                                                                                       \
    if (last == g->rows && g->tail > 0) {                                                   \
      const int64_t at = g->rows * g->stride;                                               \
      CK_VECTORIZE for (int64_t j = 0; j < g->tail; j++) { STATEMENT; }                     \
    }                                                                                       \
  } while (0)

static void M(add_values)(const struct group *g, int64_t first, int64_t last, const T *x, T *sum) {
  CK_ROWS(sum[j] += x[at + j]);
}

static void M(add_deviations)(const struct group *g, int64_t first, int64_t last, const T *x, const T *centre, T *sum,
                              T *squares) {
  CK_ROWS(const T d = x[at + j] - centre[j]; sum[j] += d; squares[j] += d * d);
}

static void M(add_gradients)(const struct group *g, int64_t first, int64_t last, const T *x, const T *dy,
                             const T *mean, T *sum, T *moment) {
  CK_ROWS(const T d = dy[at + j]; sum[j] += d; moment[j] += d * (x[at + j] - mean[j]));
}

// Lanes of one channel added up.
static void M(fold)(const struct group *g, const T *lanes, double *out) {
  for (int64_t l = 0; l < g->lanes; l++) out[l] = 0;
  for (int64_t j = 0; j < g->width; j += g->lanes)
    for (int64_t l = 0; l < g->lanes; l++) out[l] += (double)lanes[j + l];
}

// One number a channel repeated over the lanes of a row.
static void M(spread)(const struct group *g, const double *channels, T *lanes) {
  for (int64_t j = 0; j < g->width; j += g->lanes)
    for (int64_t l = 0; l < g->lanes; l++) lanes[j + l] = (T)channels[l];
}

// Mean and summed squared deviation of each channel over samples begin..<end. Sums are taken of deviations from a
// centre: of the first chunk its own mean, of later ones the mean so far (where that is far off, the distance itself
// dominates the variance). Chunks are merged as in Chan, Golub, LeVeque, "Updating formulae and a pairwise algorithm
// for computing sample variances", 1979.
static void M(statistics)(const struct group *g, int64_t begin, int64_t end, const void *input, double *mean,
                          double *squares) {
  const T *x = (const T *)input + g->offset;
  T sum_lanes[LANES], square_lanes[LANES], centre[LANES];
  double chunk_mean[LANES], chunk_squares[LANES], seen = 0;
  for (int64_t l = 0; l < g->lanes; l++) mean[l] = squares[l] = 0;
  for (struct chunk c = first_chunk(g, begin, end); c.sample < end; c = next_chunk(g, c, end)) {
    double count = chunk_count(g, &c);
    memset(sum_lanes, 0, sizeof(T) * (size_t)g->width);
    memset(square_lanes, 0, sizeof(T) * (size_t)g->width);
    if (seen == 0) {
      for (int64_t s = c.sample; s < c.sample_end; s++)
        M(add_values)(g, c.row, c.row_end, x + s * g->sample, sum_lanes);
      M(fold)(g, sum_lanes, chunk_mean);
      for (int64_t l = 0; l < g->lanes; l++) chunk_mean[l] /= count;
      M(spread)(g, chunk_mean, centre);
      memset(sum_lanes, 0, sizeof(T) * (size_t)g->width);
    } else {
      M(spread)(g, mean, centre);
    }
    for (int64_t s = c.sample; s < c.sample_end; s++)
      M(add_deviations)(g, c.row, c.row_end, x + s * g->sample, centre, sum_lanes, square_lanes);
    M(fold)(g, sum_lanes, chunk_mean);
    M(fold)(g, square_lanes, chunk_squares);
    for (int64_t l = 0; l < g->lanes; l++) {
      double off = chunk_mean[l] / count;
      chunk_squares[l] = CK_MAX(0, chunk_squares[l] - off * chunk_mean[l]);
      chunk_mean[l] = (double)centre[l] + off;
    }
    merge_statistics(g->lanes, mean, squares, seen, chunk_mean, chunk_squares, count);
    seen += count;
  }
}

// Sums of dy and of dy (x - mean).
static void M(gradient_sums)(const struct group *g, int64_t begin, int64_t end, const void *input, const void *gradient,
                             const double *mean, double *sum, double *moment) {
  const T *x = (const T *)input + g->offset, *dy = (const T *)gradient + g->offset;
  T sum_lanes[LANES], moment_lanes[LANES], centre[LANES];
  double part[LANES];
  M(spread)(g, mean, centre);
  for (int64_t l = 0; l < g->lanes; l++) sum[l] = moment[l] = 0;
  for (struct chunk c = first_chunk(g, begin, end); c.sample < end; c = next_chunk(g, c, end)) {
    memset(sum_lanes, 0, sizeof(T) * (size_t)g->width);
    memset(moment_lanes, 0, sizeof(T) * (size_t)g->width);
    for (int64_t s = c.sample; s < c.sample_end; s++)
      M(add_gradients)(g, c.row, c.row_end, x + s * g->sample, dy + s * g->sample, centre, sum_lanes, moment_lanes);
    M(fold)(g, sum_lanes, part);
    for (int64_t l = 0; l < g->lanes; l++) sum[l] += part[l];
    M(fold)(g, moment_lanes, part);
    for (int64_t l = 0; l < g->lanes; l++) moment[l] += part[l];
  }
}

// y = (x - mean) factor + shift
static void M(apply)(const struct group *g, int64_t begin, int64_t end, const void *input, const double *mean,
                     const double *factor, const double *shift, void *output) {
  const T *all_x = (const T *)input + g->offset;
  T *all_y = (T *)output + g->offset;
  T centre[LANES], by[LANES], plus[LANES];
  M(spread)(g, mean, centre);
  M(spread)(g, factor, by);
  M(spread)(g, shift, plus);
  const int64_t first = 0, last = g->rows;
  for (int64_t s = begin; s < end; s++) {
    const T *x = all_x + s * g->sample;
    T *y = all_y + s * g->sample;
    CK_ROWS(y[at + j] = (x[at + j] - centre[j]) * by[j] + plus[j]);
  }
}

// dx = dy factor + (x - mean) slope + shift
static void M(gradient_apply)(const struct group *g, int64_t begin, int64_t end, const void *input,
                              const void *gradient, const double *mean, const double *factor, const double *slope,
                              const double *shift, void *output) {
  const T *all_x = (const T *)input + g->offset, *all_dy = (const T *)gradient + g->offset;
  T *all_dx = (T *)output + g->offset;
  T centre[LANES], by[LANES], by_x[LANES], plus[LANES];
  M(spread)(g, mean, centre);
  M(spread)(g, factor, by);
  M(spread)(g, slope, by_x);
  M(spread)(g, shift, plus);
  const int64_t first = 0, last = g->rows;
  for (int64_t s = begin; s < end; s++) {
    const T *x = all_x + s * g->sample, *dy = all_dy + s * g->sample;
    T *dx = all_dx + s * g->sample;
    CK_ROWS(dx[at + j] = dy[at + j] * by[j] + (x[at + j] - centre[j]) * by_x[j] + plus[j]);
  }
}

#undef CK_ROW_LOOP
#undef CK_ROWS
#undef M
#undef T
