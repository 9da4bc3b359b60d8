#include "cpu/merge.h"

/** Select, calculate, erase (Wan et al. 2024, arXiv:2408.07990), and the RAM merges: rules on how many models moved. */
namespace forge::FORGE_ISA {
namespace {

template <class At>
hf selected(const float* variance, const MergeCut& cut, hf delta, const At& at) {
  if (variance == nullptr) return delta;
  return masked(among(cut, magnitude_bits(at.get(variance)), at.at), delta);
}

hm exceeds(hf delta, hf epsilon) { return above((hf)magnitude_bits(delta), epsilon); }

/** Where exactly one source differs from the base by more than epsilon. */
template <class At>
hm moved_alone(const MergeSources& s, hf base, hf epsilon, const At& at) {
  hm once = {}, twice = {};
  for (int64_t i = 0; i < s.sources; ++i) {
    const hm moved = exceeds(at.get(s.xs[i]) - base, epsilon);
    twice |= once & moved;
    once |= moved;
  }
  return once & ~twice;
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
      const dm is_positive = above(delta, zero), is_negative = above(zero, delta);
      const vd share = delta * weight;
      sum += delta;
      positive = add_where(is_positive, positive, share);
      positive_weight = add_where(is_positive, positive_weight, weight);
      negative = add_where(is_negative, negative, share);
      negative_weight = add_where(is_negative, negative_weight, weight);
    }
    const dm elected = at_least(sum, zero);
    const vd weight = choose(elected, positive_weight, negative_weight);
    at.put(y, narrow(widen(base) + choose(elected, positive, negative) / choose(above(least, weight), least, weight)));
  });
}

void merge_overlaps(const MergeSources& s, float epsilon, double* counts, double* partial) {
  const hf least = splat_h(epsilon);
  chunked_sums(s.count, 2 * s.sources, counts, partial, [&](int64_t begin, int64_t end, double* mine) {
    in_blocks(begin, end, [&](int64_t first, int64_t last) {
      for (int64_t i = 0; i < s.sources; ++i) {
        int64_t shared = 0, unique = 0;
        walk_range(first, last, false, [&](auto at) {
          const hf base = at.get(s.base);
          const hm moved = exceeds(at.get(s.xs[i]) - base, least), alone = moved_alone(s, base, least, at);
          shared += set_in(moved & ~alone);
          unique += set_in(moved & alone);
        });
        mine[2 * i] += static_cast<double>(shared);
        mine[2 * i + 1] += static_cast<double>(unique);
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
      const hm moved = exceeds(delta, least);
      const vd share = widen(masked(moved, delta));
      sum += share;
      scaled += share * splat_d(scales[i]);
      count = add_where(widen(moved), count, one);
    }
    // A count is 0, 1 or more; with 0 both sums are 0.
    const dm shared = above(count, one);
    at.put(y, narrow(widen(base) + choose(shared, sum / choose(shared, count, one), choose(at_least(count, one), scaled, sum))));
  });
}

}  // namespace forge::FORGE_ISA
