#include "cpu/merge.h"
#include "cpu/rows.h"

/** Arcee fusion: entries whose change matters, by their size times how much their row's distribution moved. */
namespace forge::FORGE_ISA {
namespace {

constexpr float least_probability = 1e-8f;  // mergekit adds it to both distributions

/** Σ p ln(p/q), p = softmax(x), q = softmax(base), at least 0: rounding can go below. */
double divergence(const float* x, const float* base, int64_t n) {
  const float top_x = row_max(x, n), top_base = row_max(base, n);
  const vf scale_x = splat(1.0f / row_sum_exp(x, top_x, n)), scale_base = splat(1.0f / row_sum_exp(base, top_base, n));
  double total = 0;
  for (int64_t i = 0; i < n; i += lanes) {
    const int64_t count = min64(lanes, n - i);
    const vf p = vexp(load_n(x + i, count) - top_x) * scale_x + least_probability;
    const vf q = vexp(load_n(base + i, count) - top_base) * scale_base + least_probability;
    total += sum_lanes(first_lanes(p * vlog(p / q), count));
  }
  return total > 0 ? total : 0;
}

}  // namespace

void merge_importance(const float* base, const float* x, float* y, int64_t rows, int64_t width) {
  parallel_rows(rows, width, [&](int64_t row) {
    const float *xr = x + row * width, *br = base + row * width;
    const vd moved = splat_d(divergence(xr, br, width));
    walk_range(0, width, false, [&](auto at) {
      const vd change = widen((hf)magnitude_bits(at.get(xr) - at.get(br)));
      at.put(y + row * width, narrow(change * moved));
    });
  });
}

void merge_choose(const float* base, const float* x, const float* importance, float threshold, float* y, int64_t n) {
  const hf least = splat_h(threshold);
  walk(n, [&](auto at) {
    const hi chosen = at.get(importance) >= least;
    at.put(y, chosen ? at.get(x) : at.get(base));
  });
}

}  // namespace forge::FORGE_ISA
