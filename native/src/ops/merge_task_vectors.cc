#include <algorithm>
#include <cmath>

#include "ops/merge_models.h"

/** Sparse task vectors: which entries of each model's delta stay, then one pass that mixes them. */
namespace forge::ops {
namespace {

constexpr const char* op = "mergeTaskVectors";
constexpr double least_norm = 1e-7;  // mergekit: tensors with a smaller L1 norm are not rescaled

/** Codes of addon-merge.ts. */
enum class Method { all, magnitude, random, breadcrumbs, della };
enum class Rescale { none, match_l1, inverse_density };

/** The settings of one call. */
struct Plan {
  const Tensor& base;
  const TensorList& xs;
  Method method;
  const Numbers& densities;
  const Numbers& extras;
  Rescale rescale;
  const Numbers& keys;
};

Status check_model(const Plan& plan, size_t i) {
  const double density = plan.densities[i];
  if (!(density > 0 && density <= 1)) {
    return failure(Code::argument, "%s: density %g of model %zu is not in (0, 1]", op, density, i);
  }
  const double extra = plan.method == Method::breadcrumbs || plan.method == Method::della ? plan.extras[i] : 0;
  if (plan.method == Method::breadcrumbs && !(extra >= 0 && extra < 1)) {
    return failure(Code::argument, "%s: gamma %g of model %zu is not in [0, 1)", op, extra, i);
  }
  if (plan.method == Method::della && density < 1 && !(extra >= 0 && density - extra > 0 && density + extra < 1)) {
    return failure(Code::argument, "%s: density %g ± epsilon %g of model %zu is not inside (0, 1)", op, density, extra, i);
  }
  return {};
}

Status check(const Plan& plan, int64_t method, int64_t rescale) {
  if (method < 0 || method > static_cast<int64_t>(Method::della) || rescale < 0 ||
      rescale > static_cast<int64_t>(Rescale::inverse_density)) {
    return failure(Code::argument, "%s: no method %lld or no rescale %lld", op, static_cast<long long>(method),
                   static_cast<long long>(rescale));
  }
  if (plan.method == Method::all) return {};
  FORGE_TRY(expect_one_each(op, "densities", plan.xs, plan.densities));
  if (plan.method == Method::breadcrumbs || plan.method == Method::della) {
    FORGE_TRY(expect_one_each(op, "extras", plan.xs, plan.extras));
  }
  if (plan.method == Method::random || plan.method == Method::della) {
    if (plan.keys.size() != 2 * plan.xs.size()) {
      return failure(Code::argument, "%s: %zu models and %zu halves of keys", op, plan.xs.size(), plan.keys.size());
    }
    for (const double word : plan.keys) {
      if (!(word >= 0 && word <= UINT32_MAX && word == std::floor(word))) {
        return failure(Code::argument, "%s: %g in a key is not an unsigned 32-bit integer", op, word);
      }
    }
  }
  for (size_t i = 0; i < plan.xs.size(); ++i) FORGE_TRY(check_model(plan, i));
  return {};
}

/** Bands that stay: all but the `outer` largest, of those the `inner` − `outer` largest; one pass for all models. */
Status find_bands(const Plan& plan, const MergeSources& s, std::vector<MergeKeep>& keep) {
  std::vector<MergeRank> ranks;
  for (int64_t i = 0; i < s.sources; ++i) {
    const double density = plan.densities[static_cast<size_t>(i)], count = static_cast<double>(s.count);
    if (density == 1) continue;
    const int64_t wanted = static_cast<int64_t>(density * count);
    int64_t dropped = 0;
    if (plan.method == Method::breadcrumbs) {
      dropped = static_cast<int64_t>(plan.extras[static_cast<size_t>(i)] * count);
      dropped = std::min(dropped, s.count - wanted);  // density before gamma
    }
    ranks.push_back({i, dropped + wanted});
    ranks.push_back({i, dropped});
  }
  const auto wanted = static_cast<int64_t>(ranks.size());
  Scratch scratch;
  FORGE_TRY(scratch.reserve(op, kernels().merge_cuts_scratch(s.count, wanted)));
  std::vector<MergeCut> cuts(ranks.size());
  kernels().merge_cuts(s, ranks.data(), wanted, cuts.data(), scratch.f32());
  for (size_t w = 0; w < ranks.size(); w += 2) {
    MergeKeep& kept = keep[static_cast<size_t>(ranks[w].source)];
    kept.rule = MergeKeep::Rule::band;
    kept.inner = cuts[w];
    kept.outer = cuts[w + 1];
  }
  return {};
}

/** A mask for each model of a density below 1, drawn in the pass that scales are measured in when there is one. */
Status find_masks(const Plan& plan, const MergeSources& s, std::vector<Scratch>& bits, std::vector<MergeKeep>& keep,
                  std::vector<MergeDraw>& draws) {
  for (size_t i = 0; i < keep.size(); ++i) {
    if (plan.densities[i] == 1) continue;
    FORGE_TRY(bits[i].reserve(op, (s.count + 63) / 64 * 8));
    auto* words = reinterpret_cast<uint64_t*>(bits[i].f32());
    const Philox key{static_cast<uint32_t>(plan.keys[2 * i]), static_cast<uint32_t>(plan.keys[2 * i + 1]), 0};
    keep[i].rule = MergeKeep::Rule::bits;
    keep[i].bits = words;
    if (plan.method == Method::random) {
      draws[i] = {words, plan.densities[i], key};
      if (plan.rescale != Rescale::match_l1) kernels().merge_bernoulli(draws[i], s.count);
      continue;
    }
    const Shape& shape = plan.base.shape();
    const int64_t width = shape.rank < 2 ? s.count : shape.count(1, shape.rank);
    Scratch scratch;
    FORGE_TRY(scratch.reserve(op, kernels().merge_della_scratch(width)));
    kernels().merge_della(s.base, s.xs[i], width == 0 ? 0 : s.count / width, width, plan.densities[i], plan.extras[i],
                          key, words, scratch.f32());
  }
  return {};
}

Status find_scales(const Plan& plan, const MergeSources& s, const std::vector<MergeDraw>& draws,
                   std::vector<MergeKeep>& keep) {
  if (plan.rescale == Rescale::inverse_density) {
    for (size_t i = 0; i < keep.size(); ++i) keep[i].scale = 1 / plan.densities[i];
    return {};
  }
  const int64_t slots = 2 * s.sources;
  Scratch partial;
  FORGE_TRY(partial.reserve(op, merge_chunks(s.count) * slots * static_cast<int64_t>(sizeof(double))));
  Numbers sums(static_cast<size_t>(slots), 0);
  kernels().merge_magnitudes(s, keep.data(), draws.data(), sums.data(), reinterpret_cast<double*>(partial.f32()));
  for (size_t i = 0; i < keep.size(); ++i) {
    const double all = sums[2 * i], kept = sums[2 * i + 1];
    if (keep[i].rule != MergeKeep::Rule::all && all >= least_norm && kept >= least_norm) keep[i].scale = all / kept;
  }
  return {};
}

/** What stays of each model. A density of 1 keeps everything as it is, and draws nothing. */
Status sparsify(const Plan& plan, const MergeSources& s, std::vector<Scratch>& bits, std::vector<MergeKeep>& keep) {
  std::vector<MergeDraw> draws(keep.size(), MergeDraw{});
  if (std::all_of(plan.densities.begin(), plan.densities.end(), [](double density) { return density == 1; })) return {};
  if (plan.method == Method::magnitude || plan.method == Method::breadcrumbs) {
    FORGE_TRY(find_bands(plan, s, keep));
  } else {
    FORGE_TRY(find_masks(plan, s, bits, keep, draws));
  }
  return plan.rescale == Rescale::none ? Status{} : find_scales(plan, s, draws, keep);
}

}  // namespace

Status merge_task_vectors(const Tensor& base, const TensorList& xs, const Numbers& weights, int64_t method,
                          const Numbers& densities, const Numbers& extras, int64_t rescale, const Numbers& keys,
                          bool consensus, bool normalize, double lambda, Tensor& y) {
  Models models;
  FORGE_TRY(models.set(op, &base, xs, 1));
  FORGE_TRY(expect_one_each(op, "weights", xs, weights));
  const Plan plan{base, xs, static_cast<Method>(method), densities, extras, static_cast<Rescale>(rescale), keys};
  FORGE_TRY(check(plan, method, rescale));
  std::vector<Scratch> bits(xs.size());
  std::vector<MergeKeep> keep(xs.size(), {MergeKeep::Rule::all, cut_all, cut_none, nullptr, 1.0});
  if (plan.method != Method::all) FORGE_TRY(sparsify(plan, models.sources, bits, keep));
  // The kernel takes one rule for all: one that keeps everything is a band of everything, or a mask of none.
  for (const MergeKeep& other : keep) {
    if (other.rule != MergeKeep::Rule::all) keep[0].rule = other.rule;
  }
  Tensor result;
  FORGE_TRY(empty(op, DType::f32, base.shape(), result));
  kernels().merge_task_vectors(models.sources, keep.data(), {weights.data(), consensus, normalize, lambda}, result.f32());
  y = std::move(result);
  return {};
}

}  // namespace forge::ops
