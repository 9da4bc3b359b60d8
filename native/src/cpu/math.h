#pragma once
/** Elementary functions on vectors, after Moshier's Cephes (single precision); errors measured in test/cpp/math_test.cc. */
#include "cpu/simd.h"

namespace forge::FORGE_ISA {

/** v · 2^n for integral n in −252..252, gradual at both ends. */
static inline vf scale_by_power(vf v, vf n) {
#if defined(__AVX512F__)
  return (vf)_mm512_scalef_ps((__m512)v, (__m512)n);
#else
  const vi whole = __builtin_convertvector(n, vi);
  const vi half = whole >> 1;
  const vi rest = whole - half;
  return v * (vf)((half + 127) << 23) * (vf)((rest + 127) << 23);
#endif
}

/** e^x; ≤ 2 ulp, 0 below −104, ∞ above 88.73, NaN stays. */
static inline vf vexp(vf x) {
  const vf low = splat(-104.0f), high = splat(89.0f);
  x = x < low ? low : x;
  x = x > high ? high : x;
  const vf magic = splat(12582912.0f);  // 1.5·2^23: adding it rounds to an integer
  vf n = x * 1.44269504088896341f + magic;
  n = n - magic;
  vf r = x - n * 0.693359375f;  // ln 2 in two parts, the first exact in few bits
  r = r - n * -2.12194440e-4f;
  vf p = splat(1.9875691500e-4f);
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
#if !defined(__AVX512F__)
  const vf zero = splat(0.0f);
  const vf finite_n = n == n ? n : zero;  // the conversion of NaN to an integer is undefined
  return scale_by_power(p, finite_n);
#else
  return scale_by_power(p, n);
#endif
}

/** Natural logarithm; ≤ 2 ulp; log 0 = −∞, negative gives NaN. */
static inline vf vlog(vf x) {
  const vf zero = splat(0.0f), one = splat(1.0f);
  const vf infinity = splat(__builtin_inff()), nan = splat(__builtin_nanf(""));
  const vi tiny = (vi)(x < 1.17549435e-38f);
  const vf y = tiny ? x * 8388608.0f : x;  // 2^23 lifts subnormals
  const vi bits = (vi)y;
  vf e = __builtin_convertvector(((bits >> 23) & 0xff) - 126, vf);
  e = tiny ? e - 23.0f : e;
  vf m = (vf)((bits & 0x007fffff) | 0x3f000000);  // in [0.5, 1)
  const vi small = (vi)(m < 0.707106781186547524f);
  e = small ? e - 1.0f : e;
  m = small ? m + m - one : m - one;
  const vf z = m * m;
  vf p = splat(7.0376836292e-2f);
  p = p * m - 1.1514610310e-1f;
  p = p * m + 1.1676998740e-1f;
  p = p * m - 1.2420140846e-1f;
  p = p * m + 1.4249322787e-1f;
  p = p * m - 1.6668057665e-1f;
  p = p * m + 2.0000714765e-1f;
  p = p * m - 2.4999993993e-1f;
  p = p * m + 3.3333331174e-1f;
  p = p * m * z;
  p = p + e * -2.12194440e-4f;
  p = p - z * 0.5f;
  vf result = m + p + e * 0.693359375f;
  result = x == infinity ? infinity : result;
  result = x == zero ? -infinity : result;
  result = x < zero ? nan : result;
  return x == x ? result : x;
}

/** 1 / (1 + e^−x). */
static inline vf vsigmoid(vf x) { return 1.0f / (1.0f + vexp(-x)); }

/** tanh; ≤ 2 ulp. */
static inline vf vtanh(vf x) {
  const vf zero = splat(0.0f);
  const vf a = x < zero ? -x : x;
  const vf z = x * x;
  vf p = splat(-5.70498872745e-3f);
  p = p * z + 2.06390887954e-2f;
  p = p * z - 5.37397155531e-2f;
  p = p * z + 1.33314422036e-1f;
  p = p * z - 3.33332819422e-1f;
  const vf near = p * z * x + x;
  const vf big = 1.0f - 2.0f / (vexp(a + a) + 1.0f);
  const vf far = x < zero ? -big : big;
  return a < 0.625f ? near : far;
}

/** cos and sin of 2πu for u in [0, 1). */
static inline void vsincos_turn(vf u, vf& sine, vf& cosine) {
  // Quarter turns: u = (q + f)/4 with |f| ≤ 1/2, so the polynomials see |x| ≤ π/4.
  const vf magic = splat(12582912.0f);
  vf quarter = u * 4.0f + magic;
  quarter = quarter - magic;
  const vf x = (u * 4.0f - quarter) * 1.57079632679489662f;
  const vi q = __builtin_convertvector(quarter, vi);
  const vf z = x * x;
  vf s = splat(-1.9515295891e-4f);
  s = s * z + 8.3321608736e-3f;
  s = s * z - 1.6666654611e-1f;
  s = s * z * x + x;
  vf c = splat(2.443315711809948e-5f);
  c = c * z - 1.388731625493765e-3f;
  c = c * z + 4.166664568298827e-2f;
  c = c * z * z - z * 0.5f + 1.0f;
  const vi swap = (q & 1) != 0;
  const vf a = swap ? c : s, b = swap ? s : c;
  sine = (vf)((vi)a ^ ((q & 2) << 30));
  cosine = (vf)((vi)b ^ (((q + 1) & 2) << 30));
}

}  // namespace forge::FORGE_ISA
