#include <cmath>

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

}  // namespace forge::ops
