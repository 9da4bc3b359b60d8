#include <algorithm>
#include <cmath>
#include <cstring>

#include "ops/merge_models.h"

/** Merges that decide entry by entry: SCE, RAM, nearswap, Arcee fusion. */
namespace forge::ops {
namespace {

Status reserve_sums(const char* op, const Models& models, int64_t slots, Scratch& partial) {
  return partial.reserve(op, merge_chunks(models.sources.count) * slots * static_cast<int64_t>(sizeof(double)));
}

double* doubles(const Scratch& scratch) { return reinterpret_cast<double*>(scratch.f32()); }

/** The cuts of `ranks` in one pass over the sources. */
Status find_cuts(const char* op, const MergeSources& s, const std::vector<MergeRank>& ranks, std::vector<MergeCut>& cuts) {
  const auto wanted = static_cast<int64_t>(ranks.size());
  Scratch scratch;
  FORGE_TRY(scratch.reserve(op, kernels().merge_cuts_scratch(s.count, wanted)));
  cuts.assign(ranks.size(), cut_none);
  kernels().merge_cuts(s, ranks.data(), wanted, cuts.data(), scratch.f32());
  return {};
}

/** The entries that ⌊q·(n − 1)⌋ others are below or equal to: what mergekit takes for quantiles. */
Status quantiles(const char* op, const Tensor& x, const Numbers& qs, std::vector<float>& values) {
  std::vector<MergeRank> ranks;
  for (const double q : qs) {
    ranks.push_back({0, x.count() - static_cast<int64_t>(q * static_cast<double>(x.count() - 1))});
  }
  const float* source = x.f32();
  std::vector<MergeCut> cuts;
  FORGE_TRY(find_cuts(op, {nullptr, &source, 1, x.count()}, ranks, cuts));
  for (const MergeCut& cut : cuts) {
    float value;
    std::memcpy(&value, &cut.bits, sizeof value);
    values.push_back(cut.bits >= 0 ? value : *std::min_element(x.f32(), x.f32() + x.count()));
  }
  return {};
}

}  // namespace

Status merge_sce(const Tensor& base, const TensorList& xs, double select_topk, Tensor& y) {
  constexpr const char* op = "mergeSce";
  Models models;
  FORGE_TRY(models.set(op, &base, xs, 1));
  if (!(select_topk >= 0)) return failure(Code::argument, "%s: selectTopk %g is not at least 0", op, select_topk);
  const MergeSources& s = models.sources;
  Tensor variance, result;
  Scratch partial;
  MergeCut cut = cut_all;
  FORGE_TRY(reserve_sums(op, models, s.sources, partial));
  if (select_topk < 1) {
    FORGE_TRY(empty(op, DType::f32, base.shape(), variance));
    const int64_t moved = kernels().merge_variance(s, variance.f32(), doubles(partial));
    const float* source = variance.f32();
    std::vector<MergeCut> cuts;
    FORGE_TRY(find_cuts(op, {nullptr, &source, 1, s.count},
                        {{0, static_cast<int64_t>(static_cast<double>(moved) * select_topk)}}, cuts));
    cut = cuts[0];
  }
  const float* chosen = variance.defined() ? variance.f32() : nullptr;
  Numbers weights(xs.size(), 0);
  kernels().merge_squares(s, chosen, cut, weights.data(), doubles(partial));
  double total = 0;
  for (double& weight : weights) {
    weight /= static_cast<double>(std::max<int64_t>(1, s.count));
    total += weight;
  }
  for (double& weight : weights) weight = total < 1e-6 ? 1 / static_cast<double>(xs.size()) : weight / total;
  FORGE_TRY(empty(op, DType::f32, base.shape(), result));
  kernels().merge_sce(s, weights.data(), chosen, cut, result.f32());
  y = std::move(result);
  return {};
}

Status merge_ram(const Tensor& base, const TensorList& xs, double epsilon, double r, double alpha, Tensor& y) {
  constexpr const char* op = "mergeRam";
  Models models;
  FORGE_TRY(models.set(op, &base, xs, 1));
  if (!(epsilon >= 0) || !(alpha >= 0)) {
    return failure(Code::argument, "%s: epsilon %g and alpha %g; needs both at least 0", op, epsilon, alpha);
  }
  const MergeSources& s = models.sources;
  Numbers scales(xs.size(), 1);
  if (r != 0) {
    Numbers counts(2 * xs.size(), 0);
    Scratch partial;
    FORGE_TRY(reserve_sums(op, models, 2 * s.sources, partial));
    kernels().merge_overlaps(s, static_cast<float>(epsilon), counts.data(), doubles(partial));
    for (size_t i = 0; i < xs.size(); ++i) {
      scales[i] += r * std::clamp(counts[2 * i] / std::max(counts[2 * i + 1], epsilon), 0.0, alpha);
    }
  }
  Tensor result;
  FORGE_TRY(empty(op, DType::f32, base.shape(), result));
  kernels().merge_ram(s, static_cast<float>(epsilon), scales.data(), result.f32());
  y = std::move(result);
  return {};
}

Status merge_nearswap(const Tensor& a, const Tensor& b, double t, Tensor& y) {
  FORGE_TRY(expect_f32("mergeNearswap", {&a, &b}));
  FORGE_TRY(expect_same_shape("mergeNearswap", "a", a, "b", b));
  Tensor result;
  FORGE_TRY(empty("mergeNearswap", DType::f32, a.shape(), result));
  kernels().merge_nearswap(a.f32(), b.f32(), t, result.f32(), a.count());
  y = std::move(result);
  return {};
}

Status merge_arcee_fusion(const Tensor& base, const Tensor& x, Tensor& y) {
  constexpr const char* op = "mergeArceeFusion";
  FORGE_TRY(expect_f32(op, {&base, &x}));
  FORGE_TRY(expect_same_shape(op, "base", base, "x", x));
  Tensor importance, result;
  FORGE_TRY(empty(op, DType::f32, base.shape(), importance));
  FORGE_TRY(empty(op, DType::f32, base.shape(), result));
  if (base.count() > 0) {
    const int64_t width = base.shape().last();
    kernels().merge_importance(base.f32(), x.f32(), importance.f32(), base.count() / width, width);
    std::vector<float> quarters;
    FORGE_TRY(quantiles(op, importance, {0.25, 0.5, 0.75}, quarters));
    kernels().merge_choose(base.f32(), x.f32(), importance.f32(), quarters[1] + 1.5f * (quarters[2] - quarters[0]),
                           result.f32(), base.count());
  }
  y = std::move(result);
  return {};
}

}  // namespace forge::ops
