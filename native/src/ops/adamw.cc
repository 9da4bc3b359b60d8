#include <cmath>

#include "core/kernels.h"
#include "ops/ops.h"

namespace forge::ops {

Status adamw(const Tensor& param, const Tensor& grad, const Tensor& m, const Tensor& v, double lr, double beta1,
             double beta2, double eps, double weight_decay, int64_t step, double grad_scale) {
  FORGE_TRY(expect_f32("adamw", {&param, &grad, &m, &v}));
  FORGE_TRY(expect_same_shape("adamw", "param", param, "grad", grad));
  FORGE_TRY(expect_same_shape("adamw", "param", param, "m", m));
  FORGE_TRY(expect_same_shape("adamw", "param", param, "v", v));
  if (step < 1 || !(beta1 >= 0 && beta1 < 1) || !(beta2 >= 0 && beta2 < 1)) {
    return failure(Code::argument, "adamw: step %lld (from 1), beta1 %g, beta2 %g (0 to below 1)",
                   static_cast<long long>(step), beta1, beta2);
  }
  const AdamW settings{lr,
                       beta1,
                       beta2,
                       eps,
                       weight_decay,
                       grad_scale,
                       1.0 - std::pow(beta1, static_cast<double>(step)),
                       1.0 - std::pow(beta2, static_cast<double>(step))};
  kernels().adamw(param.f32(), grad.f32(), m.f32(), v.f32(), param.count(), settings);
  return {};
}

}  // namespace forge::ops
