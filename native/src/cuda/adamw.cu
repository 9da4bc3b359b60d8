#include <cmath>

#include "cuda/launch.h"
#include "cuda/table.h"

namespace forge::cuda {

// torch.optim.AdamW: p ← p·(1 − lr·wd);  p ← p − lr/c1 · m / (√v/√c2 + eps).
void adamw(float* param, const float* grad, float* m, float* v, int64_t n, const AdamW& s) {
  const auto keep = static_cast<float>(1.0 - s.lr * s.weight_decay), step = static_cast<float>(s.lr / s.correction1);
  const auto root_correction = static_cast<float>(1.0 / std::sqrt(s.correction2));
  const auto beta1 = static_cast<float>(s.beta1), rest1 = static_cast<float>(1.0 - s.beta1);
  const auto beta2 = static_cast<float>(s.beta2), rest2 = static_cast<float>(1.0 - s.beta2);
  const auto eps = static_cast<float>(s.eps), scale = static_cast<float>(s.grad_scale);
  for_each("adamw", n, [=] __device__(int64_t i) {
    const float g = grad[i] * scale;
    const float first = m[i] * beta1 + g * rest1;
    const float second = v[i] * beta2 + g * g * rest2;
    m[i] = first;
    v[i] = second;
    param[i] = param[i] * keep - step * first / (sqrtf(second) * root_correction + eps);
  });
}

}  // namespace forge::cuda
