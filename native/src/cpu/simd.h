#pragma once
/**
 * Vectors of f32 and i32 of the width that this file is compiled for, on GCC/Clang vector extensions:
 * kernels are written once and built for each instruction set (FORGE_ISA, FORGE_LANES). Everything is
 * static in a namespace of the instruction set, so that the linker can never merge a wide copy into a
 * program that runs on a narrow machine; for the same reason kernels use no standard library templates.
 */
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "core/parallel.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace forge::FORGE_ISA {

constexpr int lanes = FORGE_LANES;

typedef float vf __attribute__((vector_size(lanes * 4), may_alias));
typedef int32_t vi __attribute__((vector_size(lanes * 4), may_alias));
typedef float vf_any __attribute__((vector_size(lanes * 4), aligned(4), may_alias));

static inline vf load(const float* p) { return *reinterpret_cast<const vf_any*>(p); }
static inline void store(float* p, vf v) { *reinterpret_cast<vf_any*>(p) = v; }

static inline vf splat(float s) {
#if defined(__AVX512F__)
  return (vf)_mm512_set1_ps(s);
#elif defined(__AVX2__)
  return (vf)_mm256_set1_ps(s);
#else
  vf v;
  for (int i = 0; i < lanes; ++i) v[i] = s;
  return v;
#endif
}
static inline vi splat_i(int32_t s) { return s - vi{}; }

/** The first n (0 ≤ n ≤ lanes) elements, zeros after. Reads nothing beyond them. */
static inline vf load_n(const float* p, int64_t n) {
#if defined(__AVX512F__)
  return (vf)_mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << n) - 1), p);
#else
  float padded[lanes] = {};
  for (int64_t i = 0; i < n; ++i) padded[i] = p[i];
  return load(padded);
#endif
}
static inline void store_n(float* p, vf v, int64_t n) {
#if defined(__AVX512F__)
  _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << n) - 1), (__m512)v);
#else
  float padded[lanes];
  store(padded, v);
  for (int64_t i = 0; i < n; ++i) p[i] = padded[i];
#endif
}

/** The first n lanes, 0 < n ≤ lanes: whole vectors the quick way. */
static inline vf load_some(const float* p, int64_t n) { return n == lanes ? load(p) : load_n(p, n); }
static inline void store_some(float* p, vf v, int64_t n) {
  if (n == lanes) store(p, v);
  else store_n(p, v, n);
}

static inline vf vmax(vf a, vf b) { return a > b ? a : b; }
static inline vf vmin(vf a, vf b) { return a < b ? a : b; }

/** Sum of the lanes as a balanced tree. */
static inline float sum_lanes(vf v) {
#if defined(__AVX512F__)
  return _mm512_reduce_add_ps((__m512)v);
#else
  float x[lanes];
  store(x, v);
  for (int half = lanes / 2; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) x[i] += x[i + half];
  }
  return x[0];
#endif
}
/** Largest lane; no lane is NaN. */
static inline float max_lanes(vf v) {
#if defined(__AVX512F__)
  return _mm512_reduce_max_ps((__m512)v);
#else
  float x[lanes];
  store(x, v);
  float m = x[0];
  for (int i = 1; i < lanes; ++i) m = x[i] > m ? x[i] : m;
  return m;
#endif
}

/** Whether any lane of a mask (all ones or zero) is set. */
static inline bool any_lane(vi mask) {
#if defined(__AVX512F__)
  return _mm512_movepi32_mask((__m512i)mask) != 0;
#elif defined(__AVX2__)
  return _mm256_movemask_ps((__m256)mask) != 0;
#else
  int32_t any = 0;
  for (int i = 0; i < lanes; ++i) any |= mask[i];
  return any != 0;
#endif
}

static inline vf vsqrt(vf v) {
#if defined(__AVX512F__)
  return (vf)_mm512_sqrt_ps((__m512)v);
#elif defined(__AVX2__)
  return (vf)_mm256_sqrt_ps((__m256)v);
#else
  for (int i = 0; i < lanes; ++i) v[i] = __builtin_sqrtf(v[i]);
  return v;
#endif
}

static inline int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t max64(int64_t a, int64_t b) { return a > b ? a : b; }
static inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

/** Elements per piece of an elementwise job: 64 KiB of each operand stays in L2, and a piece outlasts a wake-up. */
constexpr int64_t grain = 16384;

/** f(begin, end) over disjoint pieces of 0..n. */
template <class F>
static inline void parallel_ranges(int64_t n, int64_t piece, const F& f) {
  if (n <= piece) {
    if (n > 0) f(int64_t{0}, n);
    return;
  }
  parallel_for(ceil_div(n, piece), [&](int64_t i, int) { f(i * piece, min64(n, (i + 1) * piece)); });
}

/** y[i] = f(x[i]) by vectors, in parallel. */
template <class F>
static inline void map(int64_t n, const F& f) {
  parallel_ranges(n, grain, [&](int64_t begin, int64_t end) {
    int64_t i = begin;
    for (; i + lanes <= end; i += lanes) {
      f([i](const float* p) { return load(p + i); }, [i](float* p, vf v) { store(p + i, v); });
    }
    if (i < end) {
      const int64_t rest = end - i;
      f([i, rest](const float* p) { return load_n(p + i, rest); },
        [i, rest](float* p, vf v) { store_n(p + i, v, rest); });
    }
  });
}

}  // namespace forge::FORGE_ISA
