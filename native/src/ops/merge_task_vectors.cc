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

Status cut(const Plan& plan, size_t i, int64_t k, MergeCut& result) {
  const int64_t count = plan.base.count();
  Scratch scratch;
  FORGE_TRY(scratch.reserve(op, kernels().merge_cut_scratch(count)));
  result = kernels().merge_cut(plan.base.f32(), plan.xs[i].f32(), count, k, scratch.f32());
  return {};
}

/** The band that stays: all but the `outer` largest, of those the `inner` − `outer` largest. */
Status band(const Plan& plan, size_t i, MergeKeep& keep) {
  const int64_t count = plan.base.count();
  int64_t wanted = static_cast<int64_t>(plan.densities[i] * static_cast<double>(count));
  int64_t dropped = 0;
  if (plan.method == Method::breadcrumbs) {
    dropped = static_cast<int64_t>(plan.extras[i] * static_cast<double>(count));
    dropped = std::min(dropped, count - wanted);  // density before gamma
  }
  keep.rule = MergeKeep::Rule::band;
  FORGE_TRY(cut(plan, i, dropped + wanted, keep.inner));
  return cut(plan, i, dropped, keep.outer);
}

Status random_mask(const Plan& plan, size_t i, Scratch& bits, MergeKeep& keep) {
  const int64_t count = plan.base.count();
  const Philox key{static_cast<uint32_t>(plan.keys[2 * i]), static_cast<uint32_t>(plan.keys[2 * i + 1]), 0};
  FORGE_TRY(bits.reserve(op, (count + 63) / 64 * 8));
  auto* words = reinterpret_cast<uint64_t*>(bits.f32());
  keep.rule = MergeKeep::Rule::bits;
  keep.bits = words;
  if (plan.method == Method::random) {
    kernels().merge_bernoulli(words, count, plan.densities[i], key);
    return {};
  }
  const Shape& shape = plan.base.shape();
  const int64_t width = shape.rank < 2 ? count : shape.count(1, shape.rank);
  Scratch scratch;
  FORGE_TRY(scratch.reserve(op, kernels().merge_della_scratch(width)));
  kernels().merge_della(plan.base.f32(), plan.xs[i].f32(), width == 0 ? 0 : count / width, width, plan.densities[i],
                        plan.extras[i], key, words, scratch.f32());
  return {};
}

Status rescale(const Plan& plan, size_t i, MergeKeep& keep) {
  if (plan.rescale == Rescale::none) return {};
  if (plan.rescale == Rescale::inverse_density) {
    keep.scale = 1 / plan.densities[i];
    return {};
  }
  const int64_t count = plan.base.count();
  Scratch partial;
  FORGE_TRY(partial.reserve(op, merge_chunks(count) * 2 * static_cast<int64_t>(sizeof(double))));
  double sums[2];
  kernels().merge_magnitudes(plan.base.f32(), plan.xs[i].f32(), count, keep, sums,
                             reinterpret_cast<double*>(partial.f32()));
  keep.scale = sums[0] < least_norm || sums[1] < least_norm ? 1 : sums[0] / sums[1];
  return {};
}

/** What stays of model i. A density of 1 keeps everything as it is, and draws nothing. */
Status sparsify(const Plan& plan, size_t i, Scratch& bits, MergeKeep& keep) {
  keep = {MergeKeep::Rule::all, cut_all, cut_none, nullptr, 1.0};
  if (plan.method == Method::all || plan.densities[i] == 1) return {};
  if (plan.method == Method::magnitude || plan.method == Method::breadcrumbs) FORGE_TRY(band(plan, i, keep));
  else FORGE_TRY(random_mask(plan, i, bits, keep));
  return rescale(plan, i, keep);
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
  std::vector<MergeKeep> keep(xs.size());
  for (size_t i = 0; i < xs.size(); ++i) FORGE_TRY(sparsify(plan, i, bits[i], keep[i]));
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
