#include "cpu/merge.h"

/** Weighted sums of models, and the inner products that the weights of spherical merges come from. */
namespace forge::FORGE_ISA {
namespace {

template <class At>
vd widened_delta(const MergeSources& s, int64_t i, const At& at) {
  const hf x = at.get(s.xs[i]);
  return widen(s.base == nullptr ? x : x - at.get(s.base));
}

}  // namespace

void merge_sum(const MergeSources& s, const double* factors, float* y) {
  walk(s.count, [&](auto at) {
    vd sum = {};
    for (int64_t i = 0; i < s.sources; ++i) sum += splat_d(factors[i]) * widen(at.get(s.xs[i]));
    at.put(y, narrow(sum));
  });
}

namespace {

/** mine[i, j ≥ i] += δi·δj over first..last; products of two f32 are exact in f64. */
template <int N>
void add_products(const MergeSources& s, int64_t first, int64_t last, double* mine) {
  double pairs[N * (N + 1) / 2] = {};
  fixed_sums<N * (N + 1) / 2>(first, last, pairs, [&](auto at, vd* terms) {
    vd deltas[N];
    for (int i = 0; i < N; ++i) deltas[i] = widened_delta(s, i, at);
    int k = 0;
    for (int i = 0; i < N; ++i) {
      for (int j = i; j < N; ++j) terms[k++] = deltas[i] * deltas[j];
    }
  });
  int k = 0;
  for (int i = 0; i < N; ++i) {
    for (int j = i; j < N; ++j) mine[i * N + j] += pairs[k++];
  }
}

}  // namespace

void merge_gram(const MergeSources& s, double* gram, double* partial) {
  const int64_t n = s.sources;
  chunked_sums(s.count, n * n, gram, partial, [&](int64_t begin, int64_t end, double* mine) {
    in_blocks(begin, end, [&](int64_t first, int64_t last) {
      if (n == 2) return add_products<2>(s, first, last, mine);
      if (n == 3) return add_products<3>(s, first, last, mine);
      for (int64_t i = 0; i < n; ++i) {
        for (int64_t j = i; j < n; ++j) {
          mine[i * n + j] += fixed_sum(
              first, last, [&](auto at) { return widened_delta(s, i, at) * widened_delta(s, j, at); });
        }
      }
    });
  });
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < i; ++j) gram[i * n + j] = gram[j * n + i];
  }
}

// mergekit's nearswap: towards b by t/|a − b|, at most all the way; differences below 1e-6 count as 1e-6.
void merge_nearswap(const float* a, const float* b, double t, float* y, int64_t n) {
  const vd least = splat_d(1e-6), one = splat_d(1.0), zero = {}, wanted = splat_d(t);
  walk(n, [&](auto at) {
    const vd from = widen(at.get(a)), to = widen(at.get(b));
    const vd signed_difference = from - to;
    vd difference = signed_difference < zero ? -signed_difference : signed_difference;
    difference = difference < least ? least : difference;
    vd weight = wanted / difference;
    weight = weight > one ? one : weight;
    weight = weight < zero ? zero : weight;
    at.put(y, narrow(weight * to + (one - weight) * from));
  });
}

}  // namespace forge::FORGE_ISA
