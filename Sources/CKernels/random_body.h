// Philox and what is drawn from it at one instruction set. A group is GROUP consecutive blocks, one per vector lane;
// `lanes` holds word w of block b at lanes[w][b].

static void N(philox)(uint64_t key, uint64_t counter, uint32_t lanes[4][GROUP]) {
  uint32_t *c0 = lanes[0], *c1 = lanes[1], *c2 = lanes[2], *c3 = lanes[3];
  for (int b = 0; b < GROUP; b++) {
    const uint64_t at = counter + (uint64_t)b;
    c0[b] = (uint32_t)at, c1[b] = (uint32_t)(at >> 32), c2[b] = 0, c3[b] = 0;
  }
  uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
  for (int round = 0; round < 10; round++) {
    CK_VECTORIZE for (int b = 0; b < GROUP; b++) {
      const uint64_t p = (uint64_t)c0[b] * 0xD2511F53u, q = (uint64_t)c2[b] * 0xCD9E8D57u;
      c0[b] = (uint32_t)(q >> 32) ^ c1[b] ^ k0;
      c2[b] = (uint32_t)(p >> 32) ^ c3[b] ^ k1;
      c1[b] = (uint32_t)q;
      c3[b] = (uint32_t)p;
    }
    k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
  }
}

static void N(bits_group)(uint64_t key, uint64_t counter, void *output) {
  uint32_t lanes[4][GROUP], *out = output;
  N(philox)(key, counter, lanes);
  for (int b = 0; b < GROUP; b++)
    for (int w = 0; w < 4; w++) out[4 * b + w] = lanes[w][b];
}

static void N(uniform_group_f32)(uint64_t key, uint64_t counter, void *output) {
  uint32_t lanes[4][GROUP];
  float *out = output;
  N(philox)(key, counter, lanes);
  for (int b = 0; b < GROUP; b++)
    for (int w = 0; w < 4; w++) out[4 * b + w] = (float)(int32_t)(lanes[w][b] >> 8) * 0x1p-24f;
}

static void N(uniform_group_f64)(uint64_t key, uint64_t counter, void *output) {
  uint32_t lanes[4][GROUP];
  double *out = output;
  N(philox)(key, counter, lanes);
  for (int b = 0; b < GROUP; b++)
    for (int w = 0; w < 2; w++) out[2 * b + w] = (double)unit_bits(lanes[2 * w][b], lanes[2 * w + 1][b]) * 0x1p-53;
}

static void N(normal_group_f32)(uint64_t key, uint64_t counter, void *output) {
  uint32_t lanes[4][GROUP];
  float *out = output, cosines[GROUP], sines[GROUP];
  N(philox)(key, counter, lanes);
  for (int pair = 0; pair < 2; pair++) {
    const uint32_t *first = lanes[2 * pair], *second = lanes[2 * pair + 1];
    CK_VECTORIZE for (int b = 0; b < GROUP; b++) {
      const float u1 = (float)(int32_t)((first[b] >> 8) + 1) * 0x1p-24f;
      const float quarters = (float)(int32_t)(second[b] >> 8) * 0x1p-22f;  // of a turn
      const float radius = __builtin_elementwise_sqrt(-2.0f * ck_log_normal(u1, 0.0f) + 0.0f);
      const float t = quarters + CK_ROUNDER;
      const uint32_t q = ck_bits(t);
      const float angle = (quarters - (t - CK_ROUNDER)) * 1.57079632679f;
      const float s = ck_sin_kernel(angle), c = ck_cos_kernel(angle);
      const float swapped_c = (q & 1) ? s : c, swapped_s = (q & 1) ? c : s;
      cosines[b] = radius * ck_float(ck_bits(swapped_c) ^ (((q + 1) & 2) << 30));
      sines[b] = radius * ck_float(ck_bits(swapped_s) ^ ((q & 2) << 30));
    }
    for (int b = 0; b < GROUP; b++) out[4 * b + 2 * pair] = cosines[b], out[4 * b + 2 * pair + 1] = sines[b];
  }
}

static void N(normal_group_f64)(uint64_t key, uint64_t counter, void *output) {
  uint32_t lanes[4][GROUP];
  double *out = output;
  N(philox)(key, counter, lanes);
  for (int b = 0; b < GROUP; b++) {
    const double u1 = (double)(unit_bits(lanes[0][b], lanes[1][b]) + 1) * 0x1p-53;
    const double angle = 6.283185307179586477 * ((double)unit_bits(lanes[2][b], lanes[3][b]) * 0x1p-53);
    const double radius = sqrt(-2.0 * log(u1));
    out[2 * b] = radius * cos(angle);
    out[2 * b + 1] = radius * sin(angle);
  }
}

static const struct random_table N(random_table) = {
    {N(bits_group), N(uniform_group_f32), N(uniform_group_f64), N(normal_group_f32), N(normal_group_f64)}};
