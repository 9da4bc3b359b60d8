#include <algorithm>
#include <cmath>

#include "ops/merge_models.h"

/**
 * Merges that are weighted sums. The spherical ones take their weights from the inner products of the models, which
 * one pass measures: directions, angles and tangents of anything between the models follow from those.
 */
namespace forge::ops {
namespace {

Status weighted_sum(const char* op, const TensorList& xs, const Numbers& factors, Tensor& y) {
  Models used;
  Numbers factors_used;
  TensorList read;
  for (size_t i = 0; i < xs.size(); ++i) {
    if (factors[i] == 0) continue;
    read.push_back(xs[i]);
    factors_used.push_back(factors[i]);
  }
  Tensor result;
  if (read.empty()) {
    FORGE_TRY(full(DType::f32, xs[0].shape(), 0, result));
  } else {
    FORGE_TRY(used.set(op, nullptr, read, 1));
    FORGE_TRY(empty(op, DType::f32, xs[0].shape(), result));
    kernels().merge_sum(used.sources, factors_used.data(), result.f32());
  }
  y = std::move(result);
  return {};
}

/** base + Σ factor·(x − base). */
Status weighted_deltas(const char* op, const Models& models, const Numbers& factors, Tensor& y, const Shape& shape) {
  const std::vector<MergeKeep> all(factors.size(), {MergeKeep::Rule::all, cut_all, cut_none, nullptr, 1.0});
  Tensor result;
  FORGE_TRY(empty(op, DType::f32, shape, result));
  kernels().merge_task_vectors(models.sources, all.data(), {factors.data(), false, false, 1.0}, result.f32());
  y = std::move(result);
  return {};
}

/** Inner products of the models, or of what they add to the base. */
Status inner_products(const char* op, const Models& models, Numbers& gram) {
  const auto n = static_cast<size_t>(models.sources.sources);
  Scratch partial;
  FORGE_TRY(partial.reserve(op, merge_chunks(models.sources.count) * static_cast<int64_t>(n * n * sizeof(double))));
  gram.assign(n * n, 0);
  kernels().merge_gram(models.sources, gram.data(), reinterpret_cast<double*>(partial.f32()));
  return {};
}

/** Σᵢⱼ a[i] G[i,j] b[j]. */
double form(const Numbers& gram, const Numbers& a, const Numbers& b) {
  double total = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    for (size_t j = 0; j < b.size(); ++j) total += a[i] * gram[i * b.size() + j] * b[j];
  }
  return total;
}

struct Arc {
  double from_a, from_b;
};

/** Weights of a and b at t on the arc between them; straight unless `curved`(cosine, sine). */
template <class Curved>
Arc arc(const Numbers& gram, double t, double least_norm, const Curved& curved) {
  const double norm_a = std::sqrt(gram[0]), norm_b = std::sqrt(gram[3]);
  const double cosine = gram[1] / ((norm_a > least_norm ? norm_a : 1) * (norm_b > least_norm ? norm_b : 1));
  const double angle = std::acos(std::clamp(cosine, -1.0, 1.0)), sine = std::sin(angle);
  if (!curved(cosine, sine)) return {1 - t, t};
  return {std::sin(angle * (1 - t)) / sine, std::sin(angle * t) / sine};
}

double sum_of(const Numbers& weights) {
  double total = 0;
  for (const double weight : weights) total += weight;
  return total;
}

}  // namespace

Status merge_linear(const TensorList& xs, const Numbers& weights, bool normalize, Tensor& y) {
  constexpr const char* op = "mergeLinear";
  Models models;
  FORGE_TRY(models.set(op, nullptr, xs, 1));
  FORGE_TRY(expect_one_each(op, "weights", xs, weights));
  const double total = sum_of(weights), scale = normalize && std::fabs(total) >= 1e-8 ? 1 / total : 1;
  Numbers factors = weights;
  for (double& factor : factors) factor *= scale;
  return weighted_sum(op, xs, factors, y);
}

Status merge_slerp(const Tensor& a, const Tensor& b, double t, Tensor& y) {
  constexpr const char* op = "mergeSlerp";
  Models models;
  Numbers gram;
  FORGE_TRY(models.set(op, nullptr, {a, b}, 2));
  if (t == 0 || t == 1) return weighted_sum(op, {a, b}, {1 - t, t}, y);
  FORGE_TRY(inner_products(op, models, gram));
  const Arc at = arc(gram, t, 1e-8, [](double cosine, double) { return !(std::fabs(cosine) > 0.9995); });
  return weighted_sum(op, {a, b}, {at.from_a, at.from_b}, y);
}

Status merge_nuslerp(const Tensor& a, const Tensor& b, const Tensor* base, double t, Tensor& y) {
  constexpr const char* op = "mergeNuslerp";
  Models models;
  Numbers gram;
  FORGE_TRY(models.set(op, base, {a, b}, 2));
  FORGE_TRY(inner_products(op, models, gram));
  const Arc at = arc(gram, t, 1e-7, [](double, double sine) { return std::fabs(sine) >= 1e-8; });
  if (base == nullptr) return weighted_sum(op, {a, b}, {at.from_a, at.from_b}, y);
  return weighted_deltas(op, models, {at.from_a, at.from_b}, y, a.shape());
}

// mergekit also adds Σ w (u − (u·m) m), m the direction of Σ w u; that sum is 0 for any u, and left out.
Status merge_multislerp(const TensorList& xs, const Numbers& weights, const Tensor* base, bool normalize, Tensor& y) {
  constexpr const char* op = "mergeMultislerp";
  Models models;
  Numbers gram;
  FORGE_TRY(models.set(op, base, xs, 1));
  FORGE_TRY(expect_one_each(op, "weights", xs, weights));
  if (xs.size() == 1) return weighted_sum(op, xs, {1}, y);
  FORGE_TRY(inner_products(op, models, gram));
  const double total = normalize ? sum_of(weights) : 1;
  Numbers directions, straight;  // weights of the unit vectors in terms of the models, and of the models
  double mean_norm = 0;
  for (size_t i = 0; i < xs.size(); ++i) {
    const double norm = std::sqrt(gram[i * xs.size() + i]), weight = weights[i] / total;
    directions.push_back(weight / (norm + 1e-8));
    straight.push_back(weight);
    mean_norm += weight * norm;
  }
  const double length = std::sqrt(std::max(0.0, form(gram, directions, directions)));
  if (length < 1e-8 && xs.size() > 2) {
    return failure(Code::argument, "%s: the weighted directions of the %zu models cancel", op, xs.size());
  }
  if (length < 1e-8) directions = straight;
  else for (double& factor : directions) factor *= mean_norm / length;
  if (base == nullptr) return weighted_sum(op, xs, directions, y);
  return weighted_deltas(op, models, directions, y, xs[0].shape());
}

Status merge_karcher(const TensorList& xs, const Numbers& weights, int64_t max_iterations, double tolerance, Tensor& y) {
  constexpr const char* op = "mergeKarcher";
  Models models;
  Numbers gram;
  FORGE_TRY(models.set(op, nullptr, xs, 1));
  FORGE_TRY(expect_one_each(op, "weights", xs, weights));
  // Nearly opposite models circle for ever; what converges does so within a hundred.
  if (max_iterations < 0 || max_iterations > 10000) {
    return failure(Code::argument, "%s: %lld iterations, needs 0 to 10000", op, static_cast<long long>(max_iterations));
  }
  if (xs.size() == 1) return weighted_sum(op, xs, {1}, y);
  FORGE_TRY(inner_products(op, models, gram));
  const size_t n = xs.size();
  Numbers norms, alphas(n, 0), mean(n, 0);
  double valid = 0, size = 0;
  size_t first = n;
  for (size_t i = 0; i < n; ++i) {
    norms.push_back(std::sqrt(gram[i * n + i]));
    size += weights[i] * norms[i];
    if (!(norms[i] > tolerance)) continue;
    alphas[i] = weights[i];
    valid += weights[i];
    first = std::min(first, i);
  }
  if (first == n) return weighted_sum(op, xs, mean, y);
  // Vectors are coefficients of unit models: cosines[i, j] is their inner product.
  Numbers cosines = gram;
  for (size_t i = 0; i < n; ++i) {
    alphas[i] /= valid;
    for (size_t j = 0; j < n; ++j) cosines[i * n + j] /= std::max(norms[i] * norms[j], 1e-300);
  }
  const auto length_of = [&](const Numbers& v) { return std::sqrt(std::max(0.0, form(cosines, v, v))); };
  const auto scaled = [](Numbers v, double s) {
    for (double& x : v) x *= s;
    return v;
  };
  const double length = length_of(alphas);
  if (length < tolerance) mean[first] = 1;
  else mean = scaled(alphas, 1 / length);
  for (int64_t iteration = 0; iteration < max_iterations; ++iteration) {
    Numbers tangent(n, 0);
    for (size_t i = 0; i < n; ++i) {
      if (alphas[i] == 0) continue;
      double cosine = 0;
      for (size_t j = 0; j < n; ++j) cosine += cosines[i * n + j] * mean[j];
      cosine = std::clamp(cosine, -1.0, 1.0);
      const double angle = std::acos(cosine);
      if (angle < tolerance || std::sin(angle) == 0) continue;
      const double pull = alphas[i] * angle / std::sin(angle);
      tangent[i] += pull;
      for (size_t j = 0; j < n; ++j) tangent[j] -= pull * cosine * mean[j];
    }
    const double step = length_of(tangent);
    if (step < tolerance) break;
    for (size_t j = 0; j < n; ++j) mean[j] = std::cos(step) * mean[j] + std::sin(step) / step * tangent[j];
    const double now = length_of(mean);
    if (now > tolerance) mean = scaled(mean, 1 / now);
  }
  for (size_t i = 0; i < n; ++i) mean[i] = norms[i] > 0 ? mean[i] * size / norms[i] : 0;
  return weighted_sum(op, xs, mean, y);
}

Status merge_model_stock(const Tensor& base, const TensorList& xs, Tensor& y) {
  constexpr const char* op = "mergeModelStock";
  Models models;
  Numbers gram;
  FORGE_TRY(models.set(op, &base, xs, 2));
  FORGE_TRY(inner_products(op, models, gram));
  const size_t n = xs.size();
  double cosines = 0;
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = i + 1; j < n; ++j) {
      const double norms = std::sqrt(gram[i * n + i]) * std::sqrt(gram[j * n + j]);
      cosines += std::clamp(gram[i * n + j] / std::max(norms, 1e-6), -1.0, 1.0);
    }
  }
  const double count = static_cast<double>(n), cosine = cosines / (count * (count - 1) / 2);
  const double t = count * cosine / (1 + (count - 1) * cosine);
  if (!std::isfinite(t)) {
    return failure(Code::argument, "%s: %zu models at a mean cosine of %g have no center", op, n, cosine);
  }
  TensorList all = xs;
  all.push_back(base);
  Numbers factors(n, t / count);
  factors.push_back(1 - t);
  return weighted_sum(op, all, factors, y);
}

}  // namespace forge::ops
