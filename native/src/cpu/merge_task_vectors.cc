#include "cpu/merge.h"

/** base + λ · mix(kept deltas): task arithmetic, and the second half of TIES, DARE, DELLA and breadcrumbs. */
namespace forge::FORGE_ISA {
namespace {

/** Source i's kept and scaled delta, rounded to f32 after each of the two steps as a stored tensor would be. */
template <MergeKeep::Rule R, class At>
vd share_of(const MergeSources& s, const MergeKeep* keep, const MergeMix& mix, hf base, int64_t i, const At& at) {
  const hf delta = kept<R>(keep[i], at.get(s.xs[i]) - base, at.at);
  const hf scaled = keep[i].scale == 1.0 ? delta : narrow(widen(delta) * splat_d(keep[i].scale));
  return splat_d(mix.weights[i]) * widen(scaled);
}

vd divided(vd sum, vd weight) {
  const vd least = splat_d(1e-8), zero = {}, one = splat_d(1.0);
  const vd size = weight < zero ? -weight : weight;
  return sum / (size >= least ? weight : one);
}

template <MergeKeep::Rule R>
void mix_plainly(const MergeSources& s, const MergeKeep* keep, const MergeMix& mix, float* y) {
  double total = 0;
  for (int64_t i = 0; i < s.sources; ++i) total += mix.weights[i];
  const vd lambda = splat_d(mix.lambda), weight = splat_d(mix.normalize ? total : 1.0);
  walk(s.count, [&](auto at) {
    const hf base = at.get(s.base);
    vd sum = {};
    for (int64_t i = 0; i < s.sources; ++i) sum += share_of<R>(s, keep, mix, base, i, at);
    at.put(y, narrow(widen(base) + divided(lambda * sum, weight)));
  });
}

// The sign of an entry is that of the sum of its shares, + for 0; a share of 0 has neither sign.
template <MergeKeep::Rule R>
void mix_with_consensus(const MergeSources& s, const MergeKeep* keep, const MergeMix& mix, float* y) {
  const vd lambda = splat_d(mix.lambda), zero = {}, one = splat_d(1.0);
  walk(s.count, [&](auto at) {
    const hf base = at.get(s.base);
    vd sum = {}, positive = {}, negative = {}, positive_weight = {}, negative_weight = {};
    for (int64_t i = 0; i < s.sources; ++i) {
      const vd share = share_of<R>(s, keep, mix, base, i, at), weight = splat_d(mix.weights[i]);
      const vl is_positive = share > zero, is_negative = share < zero;
      sum += share;
      positive += masked(is_positive, share);
      positive_weight += masked(is_positive, weight);
      negative += masked(is_negative, share);
      negative_weight += masked(is_negative, weight);
    }
    const vl elected = sum >= zero;
    const vd agreed = elected ? positive : negative;
    const vd weight = mix.normalize ? (elected ? positive_weight : negative_weight) : one;
    at.put(y, narrow(widen(base) + divided(lambda * agreed, weight)));
  });
}

}  // namespace

void merge_task_vectors(const MergeSources& s, const MergeKeep* keep, const MergeMix& mix, float* y) {
  with_rule(keep[0].rule, [&]<MergeKeep::Rule R>() {
    if (mix.consensus) mix_with_consensus<R>(s, keep, mix, y);
    else mix_plainly<R>(s, keep, mix, y);
  });
}

void merge_magnitudes(const float* base, const float* x, int64_t count, const MergeKeep& keep, double* sums,
                      double* partial) {
  with_rule(keep.rule, [&]<MergeKeep::Rule R>() {
    chunked_sums(count, 2, sums, partial, [&](int64_t begin, int64_t end, double* mine) {
      in_blocks(begin, end, [&](int64_t first, int64_t last) {
        mine[0] += fixed_sum(first, last, [&](auto at) { return widen((hf)magnitude_bits(at.get(x) - at.get(base))); });
        mine[1] += fixed_sum(first, last, [&](auto at) {
          return widen((hf)magnitude_bits(kept<R>(keep, at.get(x) - at.get(base), at.at)));
        });
      });
    });
  });
}

}  // namespace forge::FORGE_ISA
