#include "cpu/merge.h"

/** Select, calculate, erase (Wan et al. 2024, arXiv:2408.07990), and the RAM merges: rules on how many models moved. */
namespace forge::FORGE_ISA {
namespace {

template <class At>
hf selected(const float* variance, const MergeCut& cut, hf delta, const At& at) {
  if (variance == nullptr) return delta;
  return masked(above(cut, magnitude_bits(at.get(variance)), at.at), delta);
}

hi exceeds(hf delta, hf epsilon) { return (hf)magnitude_bits(delta) > epsilon; }

/** How many sources differ from the base by more than epsilon. */
template <class At>
hi contributors(const MergeSources& s, hf base, hf epsilon, const At& at) {
  hi count = {};
  for (int64_t i = 0; i < s.sources; ++i) count -= exceeds(at.get(s.xs[i]) - base, epsilon);
  return count;
}

}  // namespace

int64_t merge_variance(const MergeSources& s, float* y, double* partial) {
  const vd count = splat_d(static_cast<double>(s.sources));
  double moved = 0;
  chunked_sums(s.count, 1, &moved, partial, [&](int64_t begin, int64_t end, double* mine) {
    hi nonzero = {};
    walk_range(begin, end, false, [&](auto at) {
      const hf base = at.get(s.base);
      vd sum = {}, squares = {};
      for (int64_t i = 0; i < s.sources; ++i) sum += widen(at.get(s.xs[i]) - base);
      const vd mean = sum / count;
      for (int64_t i = 0; i < s.sources; ++i) {
        const vd away = widen(at.get(s.xs[i]) - base) - mean;
        squares += away * away;
      }
      const hf variance = narrow(squares / count);
      nonzero -= (hi)(variance != hf{});
      at.put(y, variance);
    });
    for (int i = 0; i < half; ++i) mine[0] += nonzero[i];
  });
  return static_cast<int64_t>(moved);
}

void merge_squares(const MergeSources& s, const float* variance, const MergeCut& cut, double* sums, double* partial) {
  chunked_sums(s.count, s.sources, sums, partial, [&](int64_t begin, int64_t end, double* mine) {
    in_blocks(begin, end, [&](int64_t first, int64_t last) {
      for (int64_t i = 0; i < s.sources; ++i) {
        mine[i] += fixed_sum(first, last, [&](auto at) {
          const vd delta = widen(selected(variance, cut, at.get(s.xs[i]) - at.get(s.base), at));
          return delta * delta;
        });
      }
    });
  });
}

void merge_sce(const MergeSources& s, const double* weights, const float* variance, const MergeCut& cut, float* y) {
  const vd zero = {}, least = splat_d(1e-6);
  walk(s.count, [&](auto at) {
    const hf base = at.get(s.base);
    vd sum = {}, positive = {}, negative = {}, positive_weight = {}, negative_weight = {};
    for (int64_t i = 0; i < s.sources; ++i) {
      const vd delta = widen(selected(variance, cut, at.get(s.xs[i]) - base, at)), weight = splat_d(weights[i]);
      const vl is_positive = delta > zero, is_negative = delta < zero;
      sum += delta;
      positive += masked(is_positive, delta * weight);
      positive_weight += masked(is_positive, weight);
      negative += masked(is_negative, delta * weight);
      negative_weight += masked(is_negative, weight);
    }
    const vl elected = sum >= zero;
    const vd weight = elected ? positive_weight : negative_weight;
    at.put(y, narrow(widen(base) + (elected ? positive : negative) / (weight < least ? least : weight)));
  });
}

void merge_overlaps(const MergeSources& s, float epsilon, double* counts, double* partial) {
  const hf least = splat_h(epsilon);
  chunked_sums(s.count, 2 * s.sources, counts, partial, [&](int64_t begin, int64_t end, double* mine) {
    in_blocks(begin, end, [&](int64_t first, int64_t last) {
      for (int64_t i = 0; i < s.sources; ++i) {
        hi shared = {}, unique = {};
        walk_range(first, last, false, [&](auto at) {
          const hf base = at.get(s.base);
          const hi moved = exceeds(at.get(s.xs[i]) - base, least), alone = contributors(s, base, least, at) == 1;
          shared -= moved & ~alone;
          unique -= moved & alone;
        });
        for (int lane = 0; lane < half; ++lane) {
          mine[2 * i] += shared[lane];
          mine[2 * i + 1] += unique[lane];
        }
      }
    });
  });
}

void merge_ram(const MergeSources& s, float epsilon, const double* scales, float* y) {
  const hf least = splat_h(epsilon);
  const vd one = splat_d(1.0);
  walk(s.count, [&](auto at) {
    const hf base = at.get(s.base);
    vd sum = {}, scaled = {}, count = {};
    for (int64_t i = 0; i < s.sources; ++i) {
      const hf delta = at.get(s.xs[i]) - base;
      const hi moved = exceeds(delta, least);
      const vd share = widen(masked(moved, delta));
      sum += share;
      scaled += share * splat_d(scales[i]);
      count += widen(masked(moved, splat_h(1.0f)));
    }
    const vd mean = sum / (count < one ? one : count);
    at.put(y, narrow(widen(base) + (count == one ? scaled : mean)));
  });
}

}  // namespace forge::FORGE_ISA
