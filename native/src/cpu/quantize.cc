#include "core/kernels.h"
#include "cpu/rows.h"

/**
 * Absmean ternary weights and absmax int8 activations of BitNet b1.58 (Ma et al. 2024, arXiv:2402.17764). Compiled
 * without contraction: every product is rounded on its own, so that all instruction sets give the same codes.
 */
namespace forge::FORGE_ISA {
namespace {

typedef int8_t vb __attribute__((vector_size(lanes)));

void store_codes(int8_t* to, vi codes, int64_t n) {
  const vb narrow = __builtin_convertvector(codes, vb);
  memcpy(to, &narrow, static_cast<size_t>(n));
}

/** −1, 0 or 1 in every lane. */
vi ternary_of(vf x, vf inverse) {
  const vf v = x * inverse, half = splat(0.5f);
  return (vi)(v < -half) - (vi)(v > half);
}

// Adding 1.5·2^23 leaves the nearest integer, ties to even, in the low bits: |v| ≤ 128 here.
constexpr float rounding = 0x1.8p23f;
constexpr int32_t rounding_bits = 0x4b400000;

/** 127 · (1 / max(absmax, 1e-5)) of a row, rounded twice as PyTorch does; NaN when it has one. */
float row_inverse(const float* x, int64_t n) {
  vf top = splat(1e-5f);
  vi nan = {};
  int64_t i = 0;
  const auto take = [&](vf v) {
    const vf magnitude = v < vf{} ? -v : v;
    top = vmax(top, magnitude);
    nan |= (vi)(v != v);
  };
  for (; i + lanes <= n; i += lanes) take(load(x + i));
  if (i < n) take(load_n(x + i, n - i));
  return any_lane(nan) ? __builtin_nanf("") : 1.0f / max_lanes(top) * 127.0f;
}

}  // namespace

int64_t first_not_below(const float* x, int64_t n, float limit) {
  // Pieces in parallel say whether there is one; the search by position is for the error's message only.
  bool found = false;
  parallel_ranges(n, grain, [&](int64_t begin, int64_t end) {
    int bad = 0;
    for (int64_t i = begin; i < end; ++i) bad += !(__builtin_fabsf(x[i]) < limit);
    if (bad > 0) __atomic_store_n(&found, true, __ATOMIC_RELAXED);
  });
  if (!__atomic_load_n(&found, __ATOMIC_RELAXED)) return -1;
  int64_t first = 0;
  while (__builtin_fabsf(x[first]) < limit) ++first;
  return first;
}

void ternary_codes(const float* x, float inverse, int8_t* codes, int64_t n) {
  const vf s = splat(inverse);
  parallel_ranges(n, grain, [&](int64_t begin, int64_t end) {
    int64_t i = begin;
    for (; i + lanes <= end; i += lanes) store_codes(codes + i, ternary_of(load(x + i), s), lanes);
    if (i < end) store_codes(codes + i, ternary_of(load_n(x + i, end - i), s), end - i);
  });
}

void ternary_values(const float* x, float inverse, float step, float* y, int64_t n) {
  const vf s = splat(inverse), size = splat(step);
  map(n, [&](auto get, auto put) { put(y, __builtin_convertvector(ternary_of(get(x), s), vf) * size); });
}

void absmax_codes(const float* x, int8_t* codes, int64_t stride, float* steps, int32_t* sums, int64_t rows,
                  int64_t width) {
  parallel_rows(rows, width, [&](int64_t row) {
    const float* xr = x + row * width;
    int8_t* to = codes + row * stride;
    const float inverse = row_inverse(xr, width);
    const vf s = splat(inverse), shift = splat(rounding);
    const vi base = splat_i(rounding_bits);
    vi total = {};
    int64_t i = 0;
    for (; i + lanes <= width; i += lanes) {
      const vi code = (vi)(load(xr + i) * s + shift) - base;
      store_codes(to + i, code, lanes);
      total += code;
    }
    if (i < width) {
      const vi code = (vi)(load_n(xr + i, width - i) * s + shift) - base;
      store_codes(to + i, code, width - i);
      total += code;
    }
    memset(to + width, 0, static_cast<size_t>(stride - width));
    steps[row] = 1.0f / inverse;
    if (sums == nullptr) return;
    sums[row] = 0;
    for (int lane = 0; lane < lanes; ++lane) sums[row] += total[lane];
  });
}

void absmax_values(const float* x, float* y, int64_t rows, int64_t width) {
  parallel_rows(rows, width, [&](int64_t row) {
    const float* xr = x + row * width;
    float* yr = y + row * width;
    const vf s = splat(row_inverse(xr, width)), shift = splat(rounding);
    int64_t i = 0;
    for (; i + lanes <= width; i += lanes) store(yr + i, (load(xr + i) * s + shift - shift) / s);
    if (i < width) store_n(yr + i, (load_n(xr + i, width - i) * s + shift - shift) / s, width - i);
  });
}

}  // namespace forge::FORGE_ISA
