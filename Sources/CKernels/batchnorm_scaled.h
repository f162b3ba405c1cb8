// Batch norm of single channels whose squares leave the range of the fast sums: scaled by a power of two, in double
// precision, element by element. Included by batchnorm.c.

// A channel's mean and variance, both of x times `by`.
struct scaled_statistics {
  double by, mean, variance;
};

static int64_t element_at(const struct call *c, int64_t sample, int64_t channel, int64_t position) {
  int64_t block = c->layout.block, group = sample * c->groups + channel / block;
  return (group * c->layout.spatial + position) * block + channel % block;
}

#define CK_EACH(LAYOUT)                                                                                              \
  for (int64_t s = 0; s < (LAYOUT)->batch; s++)                                                                      \
    for (int64_t p = 0; p < (LAYOUT)->spatial; p++)

// false where an element is infinite or NaN: there is nothing to save then.
static bool scale_channel(const struct call *c, int64_t channel, double epsilon, struct scaled_statistics *out) {
  double top = 0, sum = 0, squares = 0, count = (double)c->layout.batch * (double)c->layout.spatial;
  CK_EACH(&c->layout) {
    double a = fabs(load(c, c->x, element_at(c, s, channel, p), 0));
    if (!(a <= top)) top = a;
    if (!(top < (double)INFINITY)) return false;
  }
  // No larger than epsilon allows, which is scaled too.
  top = CK_MAX(top, sqrt(epsilon));
  out->by = top > 0 ? ldexp(1, CK_MAX(-1000, CK_MIN(1000, -ilogb(top)))) : 1;
  CK_EACH(&c->layout) sum += load(c, c->x, element_at(c, s, channel, p), 0) * out->by;
  out->mean = sum / count;
  CK_EACH(&c->layout) {
    double d = load(c, c->x, element_at(c, s, channel, p), 0) * out->by - out->mean;
    squares += d * d;
  }
  out->variance = squares / count;
  return true;
}

// 1 / the scaled deviation.
static double scaled_rstd(const struct scaled_statistics *t, double epsilon) {
  return 1 / hypot(sqrt(t->variance), sqrt(epsilon) * t->by);
}

static void normalise_scaled(const struct call *c, int64_t channel, double epsilon, double scale, double shift,
                             void *mean, void *variance) {
  struct scaled_statistics t;
  if (!scale_channel(c, channel, epsilon, &t)) return;
  double rstd = scaled_rstd(&t, epsilon);
  store(c, mean, channel, t.mean / t.by);
  store(c, variance, channel, t.variance / t.by / t.by);
  CK_EACH(&c->layout) {
    int64_t i = element_at(c, s, channel, p);
    store(c, c->out, i, (load(c, c->x, i, 0) * t.by - t.mean) * rstd * scale + shift);
  }
}

static void differentiate_scaled(const struct call *c, int64_t channel, double epsilon, double scale, void *dscale,
                                 void *dshift) {
  struct scaled_statistics t;
  if (!scale_channel(c, channel, epsilon, &t)) return;
  double rstd = scaled_rstd(&t, epsilon), sum = 0, moment = 0;
  double count = (double)c->layout.batch * (double)c->layout.spatial;
  CK_EACH(&c->layout) {
    int64_t i = element_at(c, s, channel, p);
    sum += load(c, c->dy, i, 0);
    moment += load(c, c->dy, i, 0) * ((load(c, c->x, i, 0) * t.by - t.mean) * rstd);
  }
  store(c, dscale, channel, moment);
  store(c, dshift, channel, sum);
  if (!c->out) return;
  CK_EACH(&c->layout) {
    int64_t i = element_at(c, s, channel, p);
    double normal = (load(c, c->x, i, 0) * t.by - t.mean) * rstd;
    store(c, c->out, i, scale * (rstd * (load(c, c->dy, i, 0) - sum / count - normal * (moment / count))) * t.by);
  }
}

#undef CK_EACH
