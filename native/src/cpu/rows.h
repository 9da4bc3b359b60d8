#pragma once
/** Reductions of one row, shared by the kernels that work along the last axis. */
#include "cpu/math.h"

namespace forge::FORGE_ISA {

/** f(row) for all rows, a piece of about `grain` elements at a time. */
template <class F>
static inline void parallel_rows(int64_t rows, int64_t width, const F& f) {
  const int64_t piece = max64(1, grain / max64(1, width));
  parallel_ranges(rows, piece, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) f(row);
  });
}

/** The first n lanes, zeros after. */
static inline vf first_lanes(vf v, int64_t n) {
  float x[lanes] = {};
  store_n(x, v, n);
  return load(x);
}

/** Largest element; −∞ for an empty row; NaN when there is one. */
static inline float row_max(const float* x, int64_t n) {
  vf top = splat(-__builtin_inff());
  vi nan = {};
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const vf v = load(x + i);
    top = v > top ? v : top;
    nan |= (vi)(v != v);
  }
  float best = max_lanes(top);
  bool has_nan = any_lane(nan);
  for (; i < n; ++i) {
    best = x[i] > best ? x[i] : best;
    has_nan = has_nan || x[i] != x[i];
  }
  return has_nan ? __builtin_nanf("") : best;
}

/** Σ a·b with four running vectors. */
static inline float row_dot(const float* a, const float* b, int64_t n) {
  vf s0 = {}, s1 = {}, s2 = {}, s3 = {};
  int64_t i = 0;
  for (; i + 4 * lanes <= n; i += 4 * lanes) {
    s0 += load(a + i) * load(b + i);
    s1 += load(a + i + lanes) * load(b + i + lanes);
    s2 += load(a + i + 2 * lanes) * load(b + i + 2 * lanes);
    s3 += load(a + i + 3 * lanes) * load(b + i + 3 * lanes);
  }
  for (; i + lanes <= n; i += lanes) s0 += load(a + i) * load(b + i);
  if (i < n) s1 += load_n(a + i, n - i) * load_n(b + i, n - i);
  return sum_lanes((s0 + s1) + (s2 + s3));
}

/** Σ x with four running vectors. */
static inline float row_sum(const float* x, int64_t n) {
  vf s0 = {}, s1 = {}, s2 = {}, s3 = {};
  int64_t i = 0;
  for (; i + 4 * lanes <= n; i += 4 * lanes) {
    s0 += load(x + i);
    s1 += load(x + i + lanes);
    s2 += load(x + i + 2 * lanes);
    s3 += load(x + i + 3 * lanes);
  }
  for (; i + lanes <= n; i += lanes) s0 += load(x + i);
  if (i < n) s1 += load_n(x + i, n - i);
  return sum_lanes((s0 + s1) + (s2 + s3));
}

static inline void row_scale(float* x, float s, int64_t n) {
  const vf factor = splat(s);
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) store(x + i, load(x + i) * factor);
  if (i < n) store_n(x + i, load_n(x + i, n - i) * factor, n - i);
}

/** y += x. */
static inline void row_add(float* y, const float* x, int64_t n) {
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) store(y + i, load(y + i) + load(x + i));
  if (i < n) store_n(y + i, load_n(y + i, n - i) + load_n(x + i, n - i), n - i);
}

/** Σ exp(x − shift), 0 for an empty row. */
static inline float row_sum_exp(const float* x, float shift, int64_t n) {
  const vf s = splat(shift);
  vf s0 = {}, s1 = {};
  int64_t i = 0;
  for (; i + 2 * lanes <= n; i += 2 * lanes) {
    s0 += vexp(load(x + i) - s);
    s1 += vexp(load(x + i + lanes) - s);
  }
  for (; i + lanes <= n; i += lanes) s0 += vexp(load(x + i) - s);
  if (i < n) s1 += first_lanes(vexp(load_n(x + i, n - i) - s), n - i);
  return sum_lanes(s0 + s1);
}

}  // namespace forge::FORGE_ISA
