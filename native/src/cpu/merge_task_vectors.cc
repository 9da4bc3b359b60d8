#include "cpu/merge.h"
#include "cpu/merge_draw.h"

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
  return sum / choose(at_least(size, least), weight, one);
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
    if (!mix.normalize) return at.put(y, narrow(widen(base) + lambda * sum));
    at.put(y, narrow(widen(base) + divided(lambda * sum, weight)));
  });
}

// The sign of an entry is that of the sum of its shares, + for 0; a share of 0 has neither sign.
template <MergeKeep::Rule R>
void mix_with_consensus(const MergeSources& s, const MergeKeep* keep, const MergeMix& mix, float* y) {
  const vd lambda = splat_d(mix.lambda), zero = {};
  walk(s.count, [&](auto at) {
    const hf base = at.get(s.base);
    vd sum = {}, positive = {}, negative = {}, positive_weight = {}, negative_weight = {};
    for (int64_t i = 0; i < s.sources; ++i) {
      const vd share = share_of<R>(s, keep, mix, base, i, at), weight = splat_d(mix.weights[i]);
      const dm is_positive = above(share, zero), is_negative = above(zero, share);
      sum += share;
      positive = add_where(is_positive, positive, share);
      positive_weight = add_where(is_positive, positive_weight, weight);
      negative = add_where(is_negative, negative, share);
      negative_weight = add_where(is_negative, negative_weight, weight);
    }
    const dm elected = at_least(sum, zero);
    const vd agreed = lambda * choose(elected, positive, negative);
    if (!mix.normalize) return at.put(y, narrow(widen(base) + agreed));
    at.put(y, narrow(widen(base) + divided(agreed, choose(elected, positive_weight, negative_weight))));
  });
}

}  // namespace

void merge_task_vectors(const MergeSources& s, const MergeKeep* keep, const MergeMix& mix, float* y) {
  with_rule(keep[0].rule, [&]<MergeKeep::Rule R>() {
    if (mix.consensus) mix_with_consensus<R>(s, keep, mix, y);
    else mix_plainly<R>(s, keep, mix, y);
  });
}

void merge_magnitudes(const MergeSources& s, const MergeKeep* keep, const MergeDraw* draws, double* sums, double* partial) {
  chunked_sums(s.count, 2 * s.sources, sums, partial, [&](int64_t begin, int64_t end, double* mine) {
    in_blocks(begin, end, [&](int64_t first, int64_t last) {
      for (int64_t i = 0; i < s.sources; ++i) {
        if (draws != nullptr && draws[i].bits != nullptr) draw_bits(draws[i], first / 64, ceil_div(last, 64));
        with_rule(keep[i].rule, [&]<MergeKeep::Rule R>() {
          fixed_sums<2>(first, last, mine + 2 * i, [&](auto at, vd* terms) {
            const hf delta = at.get(s.xs[i]) - at.get(s.base);
            terms[0] = widen((hf)magnitude_bits(delta));
            terms[1] = widen((hf)magnitude_bits(kept<R>(keep[i], delta, at.at)));
          });
        });
      }
    });
  });
}

}  // namespace forge::FORGE_ISA
