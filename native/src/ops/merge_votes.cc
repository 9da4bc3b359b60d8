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

/** The entry that ⌊q·(n − 1)⌋ others are below or equal to: what mergekit takes for a quantile. */
float quantile(const Tensor& x, double q, void* scratch) {
  const int64_t below = static_cast<int64_t>(q * static_cast<double>(x.count() - 1));
  const MergeCut cut = kernels().merge_cut(nullptr, x.f32(), x.count(), x.count() - below, scratch);
  if (cut.bits >= 0) {
    float value;
    std::memcpy(&value, &cut.bits, sizeof value);
    return value;
  }
  return *std::min_element(x.f32(), x.f32() + x.count());
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
    Scratch scratch;
    FORGE_TRY(scratch.reserve(op, kernels().merge_cut_scratch(s.count)));
    cut = kernels().merge_cut(nullptr, variance.f32(), s.count,
                              static_cast<int64_t>(static_cast<double>(moved) * select_topk), scratch.f32());
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
    Scratch scratch;
    FORGE_TRY(scratch.reserve(op, kernels().merge_cut_scratch(base.count())));
    const float low = quantile(importance, 0.25, scratch.f32()), middle = quantile(importance, 0.5, scratch.f32()),
                high = quantile(importance, 0.75, scratch.f32());
    kernels().merge_choose(base.f32(), x.f32(), importance.f32(), middle + 1.5f * (high - low), result.f32(),
                           base.count());
  }
  y = std::move(result);
  return {};
}

}  // namespace forge::ops
