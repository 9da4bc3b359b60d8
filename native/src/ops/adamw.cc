#include <cmath>
#include <vector>

#include "core/backend.h"
#include "core/kernels.h"
#include "ops/ops.h"

namespace forge::ops {

namespace {

Status check(const char* op, const Tensor& param, const Tensor& grad, const Tensor& m, const Tensor& v, int64_t step,
             double beta1, double beta2) {
  FORGE_TRY(expect_f32(op, {&param, &grad, &m, &v}));
  FORGE_TRY(expect_same_shape(op, "param", param, "grad", grad));
  FORGE_TRY(expect_same_shape(op, "param", param, "m", m));
  FORGE_TRY(expect_same_shape(op, "param", param, "v", v));
  if (step >= 1 && beta1 >= 0 && beta1 < 1 && beta2 >= 0 && beta2 < 1) return {};
  return failure(Code::argument, "%s: step %lld (from 1), beta1 %g, beta2 %g (0 to below 1)", op,
                 static_cast<long long>(step), beta1, beta2);
}

double correction(double beta, int64_t step) { return 1.0 - std::pow(beta, static_cast<double>(step)); }

}  // namespace

Status adamw(const Tensor& param, const Tensor& grad, const Tensor& m, const Tensor& v, double lr, double beta1,
             double beta2, double eps, double weight_decay, int64_t step, double grad_scale) {
  FORGE_TRY(check("adamw", param, grad, m, v, step, beta1, beta2));
  const AdamW settings{lr, beta1, beta2, eps, weight_decay, grad_scale, correction(beta1, step), correction(beta2, step)};
  kernels().adamw(param.f32(), grad.f32(), m.f32(), v.f32(), param.count(), settings);
  return {};
}

Status adamw_grokfast(const Tensor& param, const Tensor& grad, const Tensor& mu, const Tensor& m, const Tensor& v,
                      double lr, double beta1, double beta2, double eps, double weight_decay, int64_t step,
                      double grad_scale, double alpha, double lambda, bool starts) {
  constexpr const char* op = "adamwGrokfast";
  FORGE_TRY(check(op, param, grad, m, v, step, beta1, beta2));
  FORGE_TRY(expect_f32(op, {&mu}));
  FORGE_TRY(expect_same_shape(op, "param", param, "mu", mu));
  if (!(alpha >= 0 && alpha < 1) || !std::isfinite(lambda)) {
    return failure(Code::argument, "%s: alpha %g (0 to below 1), lambda %g (finite)", op, alpha, lambda);
  }
  const AdamW settings{lr, beta1, beta2, eps, weight_decay, grad_scale, correction(beta1, step), correction(beta2, step)};
  kernels().adamw_grokfast(param.f32(), grad.f32(), mu.f32(), m.f32(), v.f32(), param.count(), settings,
                           {alpha, lambda, starts});
  return {};
}

Status adamw_prepared(const TensorList& params, const TensorList& grads, const TensorList& ms, const TensorList& vs,
                      const TensorList& mus, const Tensor& settings, const Tensor* clip, double alpha, double lambda,
                      bool starts) {
  constexpr const char* op = "adamwPrepared";
  const size_t count = params.size();
  if (grads.size() != count || ms.size() != count || vs.size() != count || (!mus.empty() && mus.size() != count)) {
    return failure(Code::argument, "%s: %zu params, %zu grads, %zu ms, %zu vs, %zu mus; as many of each, or no mus", op, count,
                   grads.size(), ms.size(), vs.size(), mus.size());
  }
  FORGE_TRY(expect_dtype(op, "settings", settings, DType::f64));
  if (clip != nullptr) FORGE_TRY(expect_dtype(op, "clip", *clip, DType::f64));
  if (settings.count() != adamw_settings || (clip != nullptr && clip->count() != 2)) {
    return failure(Code::shape, "%s: settings %s and clip %s; needs [%lld] and [2]", op, settings.shape().text().c_str(),
                   clip == nullptr ? "null" : clip->shape().text().c_str(), static_cast<long long>(adamw_settings));
  }
  if (!(alpha >= 0 && alpha < 1) || !std::isfinite(lambda)) {
    return failure(Code::argument, "%s: alpha %g (0 to below 1), lambda %g (finite)", op, alpha, lambda);
  }
  std::vector<AdamWPart> parts;
  for (size_t i = 0; i < count; ++i) {
    FORGE_TRY(check(op, params[i], grads[i], ms[i], vs[i], 1, 0, 0));
    if (!mus.empty()) FORGE_TRY(expect_f32(op, {&mus[i]}));
    if (!mus.empty()) FORGE_TRY(expect_same_shape(op, "param", params[i], "mu", mus[i]));
    parts.push_back({params[i].f32(), grads[i].f32(), mus.empty() ? nullptr : mus[i].f32(), ms[i].f32(), vs[i].f32(),
                     params[i].count()});
  }
  const Grokfast filter{alpha, lambda, starts};
  if (!on_host()) {
    kernels().adamw_prepared(parts.data(), static_cast<int64_t>(count), settings.f64(),
                             clip == nullptr ? nullptr : clip->f64(), filter);
    return {};
  }
  const double* const s = settings.f64();
  const double scale = clip == nullptr ? 1.0 : clip->f64()[1];
  const AdamW step{s[adamw_lr], s[adamw_beta1], s[adamw_beta2], s[adamw_eps], s[adamw_decay], scale, s[adamw_correction1],
                   s[adamw_correction2]};
  if (std::isnan(scale)) return {};
  for (const AdamWPart& part : parts) {
    if (part.mu == nullptr) kernels().adamw(part.param, part.grad, part.m, part.v, part.n, step);
    else kernels().adamw_grokfast(part.param, part.grad, part.mu, part.m, part.v, part.n, step, filter);
  }
  return {};
}

}  // namespace forge::ops
