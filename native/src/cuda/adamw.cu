#include <cmath>

#include "cuda/launch.h"
#include "cuda/table.h"

namespace forge::cuda {
namespace {

/** f32 constants of a step. */
struct Step {
  float keep, rate, root_correction, beta1, rest1, beta2, rest2, eps, scale;
};

Step step_of(const AdamW& s) {
  const auto constant = [](double x) { return static_cast<float>(x); };
  return {
      .keep = constant(1.0 - s.lr * s.weight_decay),
      .rate = constant(s.lr / s.correction1),
      .root_correction = constant(1.0 / std::sqrt(s.correction2)),
      .beta1 = constant(s.beta1),
      .rest1 = constant(1.0 - s.beta1),
      .beta2 = constant(s.beta2),
      .rest2 = constant(1.0 - s.beta2),
      .eps = constant(s.eps),
      .scale = constant(s.grad_scale),
  };
}

// torch.optim.AdamW: p ← p·(1 − lr·wd);  p ← p − lr/c1 · m / (√v/√c2 + eps).
__device__ inline void update(const Step& s, float g, float& param, float& m, float& v) {
  const float first = m * s.beta1 + g * s.rest1;
  const float second = v * s.beta2 + g * g * s.rest2;
  m = first;
  v = second;
  param = param * s.keep - s.rate * first / (sqrtf(second) * s.root_correction + s.eps);
}

}  // namespace

void adamw(float* param, const float* grad, float* m, float* v, int64_t n, const AdamW& settings) {
  const Step s = step_of(settings);
  for_each("adamw", n, [=] __device__(int64_t i) { update(s, grad[i] * s.scale, param[i], m[i], v[i]); });
}

// Lee et al. 2024, arXiv:2405.20233: the slow part of the gradient, amplified. mu starts at the first gradient.
void adamw_grokfast(float* param, const float* grad, float* mu, float* m, float* v, int64_t n, const AdamW& settings,
                    const Grokfast& filter) {
  const Step s = step_of(settings);
  const auto alpha = static_cast<float>(filter.alpha), rest = static_cast<float>(1 - filter.alpha);
  const auto lambda = static_cast<float>(filter.lambda);
  const bool starts = filter.starts;
  for_each("adamw_grokfast", n, [=] __device__(int64_t i) {
    const float g = grad[i] * s.scale, slow = starts ? g : alpha * mu[i] + rest * g;
    mu[i] = slow;
    update(s, g + lambda * slow, param[i], m[i], v[i]);
  });
}

}  // namespace forge::cuda
