// Branch-free single-precision functions that the compiler can vectorise, and their double-precision counterparts.
//
// Polynomial and rational coefficients are this project's own: Lawson-weighted least-squares fits (near minimax) made
// with 40-digit arithmetic on the reduced interval; the error named beside each is that of the fit. Products followed
// by sums contract to fused multiply-adds where the instruction set has them.
#ifndef CK_VMATH_H
#define CK_VMATH_H

#include "internal.h"

CK_INLINE uint32_t ck_bits(float x) {
  uint32_t u;
  memcpy(&u, &x, 4);
  return u;
}
CK_INLINE float ck_float(uint32_t u) {
  float x;
  memcpy(&x, &u, 4);
  return x;
}
CK_INLINE uint64_t ck_bits64(double x) {
  uint64_t u;
  memcpy(&u, &x, 8);
  return u;
}
CK_INLINE double ck_double(uint64_t u) {
  double x;
  memcpy(&x, &u, 8);
  return x;
}

// Adding it rounds to the nearest integer, which then sits in the low bits.
#define CK_ROUNDER 12582912.0f  // 1.5 * 2^23
#define CK_ROUNDER_BITS 0x4B400000

// 2^k for -126 <= k <= 127.
CK_INLINE float ck_power_of_two(int32_t k) { return ck_float((uint32_t)(k + 127) << 23); }

// e^r - 1 for |r| <= 0.35.
CK_INLINE float ck_expm1_kernel(float r) {
  // (e^r - 1 - r) / r^2, 3.4e-9
  float q = 0.00139516695694f;
  q = q * r + 0.0083696029939f;
  q = q * r + 0.0416661879514f;
  q = q * r + 0.166665128381f;
  q = q * r + 0.500000010083f;
  return r + r * r * q;
}

// x - n ln 2, with ln 2 in two parts, the first short enough that n times it is exact.
CK_INLINE float ck_minus_logs(float x, float n) {
  float r = x - n * 0.693359375f;
  return r - n * -2.12194440e-4f;
}

// e^x = 2^k (1 + p) with k + bias within -126 … 127: returns p and 2^(k + bias).
CK_INLINE float ck_exp_parts(float x, float bias, float *scale) {
  // The rounder carries the exponent's offset, so a shift makes the scale.
  const float rounder = CK_ROUNDER + 127.0f + bias;
  float t = x * 1.44269504f + rounder;
  *scale = ck_float(ck_bits(t) << 23);
  return ck_expm1_kernel(ck_minus_logs(x, t - rounder));
}

// e^x for -87 <= x <= 88.
CK_INLINE float ck_exp_moderate(float x) {
  float scale, p = ck_exp_parts(x, 0.0f, &scale);
  return scale + scale * p;
}

CK_INLINE float ck_expf(float x) {
  // Beyond these the result is infinite or zero whatever x is; NaN passes.
  x = x > 89.0f ? 89.0f : x;
  x = x < -104.0f ? -104.0f : x;
  float t = x * 1.44269504f + CK_ROUNDER;
  int32_t k = (int32_t)(ck_bits(t) - CK_ROUNDER_BITS);
  float p = ck_expm1_kernel(ck_minus_logs(x, t - CK_ROUNDER));
  // 2^k in two steps, so that it overflows and underflows where the result does.
  int32_t half = k >> 1;
  return (1.0f + p) * ck_power_of_two(half) * ck_power_of_two(k - half);
}

// e^x - 1 for -20 <= x <= 89.
CK_INLINE float ck_expm1_moderate(float x) {
  float half, p = ck_exp_parts(x, -1.0f, &half);
  return 2.0f * (half * p + (half - 0.5f));
}

CK_INLINE float ck_expm1f(float x) {
  float c = x > 89.0f ? 89.0f : x;
  c = c < -20.0f ? -20.0f : c;
  float y = ck_expm1_moderate(c);
  // x itself where x^2/2 is less than half a unit in the last place: the scale would round subnormal numbers.
  return __builtin_fabsf(x) < 0x1p-25f ? x : y;
}

// log x for 0 < x < infinity and x not subnormal.
CK_INLINE float ck_log_normal(float x, float exponent_offset) {
  uint32_t u = ck_bits(x);
  // x = 2^e m with m in [sqrt(1/2), sqrt 2)
  int32_t e = (int32_t)(u - 0x3F3504F3u) >> 23;
  float f = ck_float(u - ((uint32_t)e << 23)) - 1.0f;
  float n = (float)e + exponent_offset;
  // (log(1 + f) - f + f^2/2) / f^3, 5.8e-9
  float p = -0.0763286100998f;
  p = p * f + 0.127609143594f;
  p = p * f - 0.13160490039f;
  p = p * f + 0.142018688642f;
  p = p * f - 0.166233365597f;
  p = p * f + 0.200012216881f;
  p = p * f - 0.250008215569f;
  p = p * f + 0.333333317576f;
  float f2 = f * f;
  float y = f * f2 * p;
  y = y + n * -2.12194440e-4f;
  y = y - 0.5f * f2;
  return (f + y) + n * 0.693359375f;
}

CK_INLINE float ck_logf(float x) {
  bool tiny = x < 1.17549435e-38f;
  float y = ck_log_normal(tiny ? x * 8388608.0f : x, tiny ? -23.0f : 0.0f);
  y = x < INFINITY ? y : x;
  float outside = x == 0.0f ? -INFINITY : NAN;
  return x > 0.0f ? y : outside;
}

CK_INLINE float ck_log1pf(float x) {
  float u = 1.0f + x;
  // What the rounding of u lost, to first order.
  float lost = x - (u - 1.0f);
  float y = ck_log_normal(u, 0.0f) + lost / u;
  y = u < INFINITY ? y : u;
  float outside = x == -1.0f ? -INFINITY : NAN;
  y = u > 0.0f ? y : outside;
  return x == 0.0f ? x : y;
}

CK_INLINE float ck_tanhf(float x) {
  float a = __builtin_fabsf(x);
  a = a > 10.0f ? 10.0f : a;
  float t = ck_expm1_moderate(a + a);
  return __builtin_copysignf(t / (t + 2.0f), x);
}

// 1 - erf(a) for 0 <= a <= 4.6, as e^-h(a).
CK_INLINE float ck_erfc_positive(float a) {
  // h(a) / a, 2.4e-8 in erfc; the fit is looser in the tail (1e-5 relative), which erf does not see
  float h = 4.52924422495e-7f;
  h = h * a - 1.02917006865e-5f;
  h = h * a + 9.92085070901e-5f;
  h = h * a - 5.14407893383e-4f;
  h = h * a + 0.00136096842066f;
  h = h * a + 0.000253728472157f;
  h = h * a - 0.0194601770391f;
  h = h * a + 0.102898064482f;
  h = h * a + 0.636597502135f;
  h = h * a + 1.12838048763f;
  return ck_exp_moderate(-h * a);
}

CK_INLINE float ck_erff(float x) {
  float a = __builtin_fabsf(x);
  // erf(x) / x on [-1, 1] in x^2, 1.2e-9
  float t = x * x;
  float p = 7.85377653088e-5f;
  p = p * t - 0.000801016792834f;
  p = p * t + 0.00518832475981f;
  p = p * t - 0.0268538103949f;
  p = p * t + 0.112835851118f;
  p = p * t - 0.37612625821f;
  p = p * t + 1.12837916573f;
  float far = 1.0f - ck_erfc_positive(a > 4.6f ? 4.6f : a);
  return a < 1.0f ? x * p : __builtin_copysignf(far, x);
}

// e^(-a^2/2) = (1 + p) first second for 0 <= a <= 15: returns p and two powers of two, which reach the subnormal
// numbers. What the rounding of a^2 loses is carried along: e magnifies it a^2/2 times.
CK_INLINE float ck_normal_parts(float a, float *first, float *second) {
  float square = a * a, high = ck_float(ck_bits(a) & 0xFFFFF000u), low = a - high;
  float lost = ((high * high - square) + 2.0f * high * low) + low * low;
  float x = -0.5f * square;
  float t = x * 1.44269504f + CK_ROUNDER;
  int32_t k = (int32_t)(ck_bits(t) - CK_ROUNDER_BITS), half = k >> 1;
  *first = ck_power_of_two(half);
  *second = ck_power_of_two(k - half);
  return ck_expm1_kernel(ck_minus_logs(x, t - CK_ROUNDER) - 0.5f * lost);
}
CK_INLINE float ck_normal_pdff(float x) {
  float a = __builtin_fabsf(x), first, second;
  float p = ck_normal_parts(a > 15.0f ? 15.0f : a, &first, &second);
  return (0.39894228f + 0.39894228f * p) * first * second;
}
CK_INLINE float ck_normal_cdff(float x) {
  float a = __builtin_fabsf(x), first, second;
  a = a > 15.0f ? 15.0f : a;
  float p = ck_normal_parts(a, &first, &second);
  // (a + 3/2) e^(a^2/2) cdf(-a) in q, 8.1e-9
  float q = (a - 3.5f) / (a + 3.5f);
  float m = 1.42385711e-4f;
  m = m * q + 1.63895027e-4f;
  m = m * q - 0.00121072427f;
  m = m * q - 4.0260515e-4f;
  m = m * q + 0.00959607693f;
  m = m * q - 0.0207283824f;
  m = m * q + 0.00722819673f;
  m = m * q + 0.063714829f;
  m = m * q - 0.191282429f;
  m = m * q + 0.531725764f;
  m = m / (a + 1.5f);
  float tail = (m + m * p) * first * second;
  return x < 0.0f ? tail : 1.0f - tail;
}

// 2^40 e^-|x|, no less than where |x| is 110; there even 110 times it is nothing once CK_LOWERED. Products with it are
// rounded once below the normal numbers.
CK_INLINE float ck_raised_exp_minus_abs(float x) {
  float a = __builtin_fabsf(x);
  float scale, p = ck_exp_parts(a > 110.0f ? -110.0f : -a, 40.0f, &scale);
  return scale + scale * p;
}
#define CK_LOWERED 0x1p-40f

// 1 / (1 + e^-x) without overflow on either side.
CK_INLINE float ck_sigmoidf(float x) {
  float z = ck_raised_exp_minus_abs(x) * CK_LOWERED, y = 1.0f / (1.0f + z);
  return x < 0.0f ? z * y : y;
}
// x / (1 + e^m), where m falls as x grows, and is 0 with it.
CK_INLINE float ck_over_one_plus_exp(float x, float m) {
  float z = ck_raised_exp_minus_abs(m), y = x / (1.0f + z * CK_LOWERED);
  // x e^-m / (1 + e^-m); m was cut, x was not, so what is too small for any number is told apart.
  float tail = m > 110.0f ? -0.0f : y * z * CK_LOWERED;
  return m > 0.0f ? tail : y;
}
CK_INLINE float ck_siluf(float x) { return ck_over_one_plus_exp(x, -x); }
CK_INLINE float ck_gelu_tanhf(float x) {
  // x/2 (1 + tanh u) = x / (1 + e^-2u) with u = sqrt(2/pi) (x + 0.044715 x^3)
  return ck_over_one_plus_exp(x, x * (-1.5957691216f - 0.0713548162726f * (x * x)));
}
CK_INLINE float ck_gelu_erff(float x) {
  return x == -INFINITY ? -0.0f : x * ck_normal_cdff(x);
}
CK_INLINE float ck_softplusf(float x) {
  float y = ck_log1pf(ck_raised_exp_minus_abs(x) * CK_LOWERED);
  return (x > 0.0f ? x : 0.0f) + (x != x ? x : y);
}

// sin and cos of r in [-pi/4, pi/4].
CK_INLINE float ck_sin_kernel(float r) {
  float t = r * r;
  float s = 2.71823516128e-6f;
  s = s * t - 1.9839326869e-4f;
  s = s * t + 0.00833332936123f;
  s = s * t - 0.166666666414f;
  return r + r * t * s;
}
CK_INLINE float ck_cos_kernel(float r) {
  float t = r * r;
  float c = 2.44376859618e-5f;
  c = c * t - 0.00138873610097f;
  c = c * t + 0.0416666467372f;
  return 1.0f - 0.5f * t + t * t * c;
}

// The largest |x| that the reduction below serves.
#define CK_SINCOS_LIMIT 1.0e5f

// sin(x + quarter * pi/2) for |x| <= CK_SINCOS_LIMIT.
CK_INLINE float ck_sin_shifted(float x, int32_t quarter, bool have_fma) {
  float r;
  int32_t k;
  if (have_fma) {
    float t = x * 0.636619772368f + CK_ROUNDER;
    k = (int32_t)(ck_bits(t) - CK_ROUNDER_BITS);
    float n = t - CK_ROUNDER;
    // pi/2 in three parts of 24 bits; the first difference is exact.
    r = __builtin_fmaf(n, -1.57079637050628662109375f, x);
    r = __builtin_fmaf(n, 4.371138828673793e-8f, r);
    r = __builtin_fmaf(n, 1.7151245100058819e-15f, r);
  } else {
    double t = (double)x * 0.63661977236758134 + 6755399441055744.0;
    k = (int32_t)(uint32_t)ck_bits64(t);
    double n = t - 6755399441055744.0;
    r = (float)(((double)x - n * 1.57079632673412561417e+00) - n * 6.07710050650619224932e-11);
  }
  int32_t q = k + quarter;
  float y = (q & 1) ? ck_cos_kernel(r) : ck_sin_kernel(r);
  y = ck_float(ck_bits(y) ^ ((uint32_t)(q & 2) << 30));
  return x == 0 && quarter == 0 ? x : y;  // -0 keeps its sign
}

// x^y by way of double precision: 2^(y log2 |x|), with the special cases of C's pow.
CK_INLINE float ck_powf(float x, float y) {
  double a = (double)__builtin_fabsf(x);
  uint64_t u = ck_bits64(a);
  // a = 2^e m with m in [sqrt(1/2), sqrt 2); log2 m = 2/ln 2 atanh(s), s = (m - 1) / (m + 1), by its series
  int64_t e = (int64_t)(u - 0x3FE6A09E667F3BCDu) >> 52;
  double m = ck_double(u - ((uint64_t)e << 52));
  double s = (m - 1.0) / (m + 1.0), s2 = s * s;
  double h = 1.0 / 13;
  h = h * s2 + 1.0 / 11;
  h = h * s2 + 1.0 / 9;
  h = h * s2 + 1.0 / 7;
  h = h * s2 + 1.0 / 5;
  h = h * s2 + 1.0 / 3;
  h = h * s2 + 1.0;
  double logarithm = (double)(int32_t)e + 2.8853900817779268 * s * h;
  logarithm = a == 0.0 ? -(double)INFINITY : logarithm;
  logarithm = a < (double)INFINITY ? logarithm : a;
  double t = logarithm == 0.0 ? 0.0 : (double)y * logarithm;
  t = t > 200.0 ? 200.0 : t;
  t = t < -200.0 ? -200.0 : t;
  // 2^t = 2^n 2^r, |r| <= 1/2, by the exponential series in r ln 2
  double rounded = t + (6755399441055744.0 + 1023.0);
  double r = (t - (rounded - (6755399441055744.0 + 1023.0))) * 0.69314718055994531;
  double p = 1.0 / 40320;
  p = p * r + 1.0 / 5040;
  p = p * r + 1.0 / 720;
  p = p * r + 1.0 / 120;
  p = p * r + 1.0 / 24;
  p = p * r + 1.0 / 6;
  p = p * r + 0.5;
  p = p * r + 1.0;
  p = p * r + 1.0;
  float z = (float)(p * ck_double(ck_bits64(rounded) << 52));
  bool integer = __builtin_elementwise_floor(y) == y;
  bool odd = integer & (__builtin_elementwise_floor(y * 0.5f) * 2.0f != y);
  bool negative = (int32_t)ck_bits(x) < 0;
  z = (negative & odd) ? -z : z;
  z = ((x < 0.0f) & (x > -INFINITY) & !integer) ? NAN : z;
  z = ((x != x) | (y != y)) ? NAN : z;
  return ((x == 1.0f) | (y == 0.0f)) ? 1.0f : z;
}

// The remainder with the divisor's sign, a zero's too, right where ck_remainder_is_easy: there the quotient's floor, its
// product with y and the difference are exact in double precision.
CK_INLINE bool ck_remainder_is_easy(float x, float y) {
  return (__builtin_fabs((double)x / (double)y) < 0x1p28) & (__builtin_fabsf(y) < INFINITY);
}
CK_INLINE float ck_easy_remainder(float x, float y) {
  double quotient = __builtin_elementwise_floor((double)x / (double)y);
  float r = (float)((double)x - quotient * (double)y);
  return r == 0.0f ? __builtin_copysignf(r, y) : r;
}

// The larger and the smaller of two: NaN wins, and -0 is below 0 (IEEE 754-2019's maximum and minimum), so the order of
// the operands decides nothing.
#define CK_EXTREMA(S, BITS, NUMBER)                                    \
  CK_INLINE ck_##S ck_maximum_##S(ck_##S x, ck_##S y) {                \
    ck_##S larger = ((x > y) | (x != x)) ? x : y;                      \
    return x == y ? NUMBER(BITS(x) & BITS(y)) : larger;                \
  }                                                                    \
  CK_INLINE ck_##S ck_minimum_##S(ck_##S x, ck_##S y) {                \
    ck_##S smaller = ((x < y) | (x != x)) ? x : y;                     \
    return x == y ? NUMBER(BITS(x) | BITS(y)) : smaller;               \
  }
CK_EXTREMA(f32, ck_bits, ck_float)
CK_EXTREMA(f64, ck_bits64, ck_double)

// Double precision: the C library's.
CK_INLINE double ck_sigmoid(double x) {
  double z = exp(-fabs(x)), y = 1.0 / (1.0 + z);
  return x < 0.0 ? z * y : y;
}
// As ck_over_one_plus_exp.
CK_INLINE double ck_over_one_plus_exp64(double x, double m) {
  double z = exp(-fabs(m)), y = x / (1.0 + z);
  double tail = z == 0.0 ? -0.0 : y * z;
  return m > 0.0 ? tail : y;
}
CK_INLINE double ck_silu(double x) { return ck_over_one_plus_exp64(x, -x); }
CK_INLINE double ck_gelu_tanh(double x) {
  return ck_over_one_plus_exp64(x, x * (-2.0 * 0.79788456080286535588 * (1.0 + 0.044715 * (x * x))));
}
// Beyond 40 both are what they are at 40. e^(-x^2/2) magnifies what rounding loses of x^2, so that is made good.
CK_INLINE double ck_normal_pdf(double x) {
  double a = fabs(x);
  a = a > 40.0 ? 40.0 : a;
  double square = a * a, y = 0.39894228040143267794 * exp(-0.5 * square);
  return y - 0.5 * fma(a, a, -square) * y;
}
CK_INLINE double ck_normal_cdf(double x) {
  double c = x > 40.0 ? -40.0 : -x;
  c = c > 40.0 ? 40.0 : c;
  double t = c * 0.70710678118654752440;
  // c / sqrt 2 - t, and -erfc'(t) / erfc(t), nearly
  double lost = fma(c, 0.70710678118654752440, -t) - c * 4.8336466567264567e-17;
  double slope = t + sqrt(t * t + 1.2732395447351628), y = 0.5 * erfc(t);
  return t > 0.0 ? y - lost * slope * y : y;
}
CK_INLINE double ck_gelu_erf(double x) { return x == -(double)INFINITY ? -0.0 : x * ck_normal_cdf(x); }
CK_INLINE double ck_softplus(double x) { return (x > 0.0 ? x : 0.0) + (x != x ? x : log1p(exp(-fabs(x)))); }

#endif
