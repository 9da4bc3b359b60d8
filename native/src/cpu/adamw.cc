#include "core/kernels.h"
#include "cpu/simd.h"

namespace forge::FORGE_ISA {

namespace {

// torch.optim.AdamW: p ← p·(1 − lr·wd);  p ← p − lr/c1 · m / (√v/√c2 + eps).
/** filter(get, put, g): the gradient that is used. */
template <class Filter>
void step(float* param, const float* grad, float* m, float* v, int64_t n, const AdamW& s, const Filter& filter) {
  const auto constant = [](double x) { return splat(static_cast<float>(x)); };
  const vf keep = constant(1.0 - s.lr * s.weight_decay), rate = constant(s.lr / s.correction1);
  const vf root_correction = constant(1.0 / __builtin_sqrt(s.correction2));
  const vf beta1 = constant(s.beta1), rest1 = constant(1.0 - s.beta1);
  const vf beta2 = constant(s.beta2), rest2 = constant(1.0 - s.beta2);
  const vf eps = constant(s.eps), scale = constant(s.grad_scale);
  map(n, [&](auto get, auto put) {
    const vf g = filter(get, put, get(grad) * scale);
    const vf first = get(m) * beta1 + g * rest1;
    const vf second = get(v) * beta2 + g * g * rest2;
    put(m, first);
    put(v, second);
    put(param, get(param) * keep - rate * first / (vsqrt(second) * root_correction + eps));
  });
}

}  // namespace

void adamw(float* param, const float* grad, float* m, float* v, int64_t n, const AdamW& s) {
  step(param, grad, m, v, n, s, [](const auto&, const auto&, vf g) { return g; });
}

// Lee et al. 2024, arXiv:2405.20233: the slow part of the gradient, amplified. mu starts at the first gradient.
void adamw_grokfast(float* param, const float* grad, float* mu, float* m, float* v, int64_t n, const AdamW& s,
                    const Grokfast& filter) {
  const vf alpha = splat(static_cast<float>(filter.alpha)), rest = splat(static_cast<float>(1 - filter.alpha));
  const vf lambda = splat(static_cast<float>(filter.lambda));
  const bool starts = filter.starts;
  step(param, grad, m, v, n, s, [=](const auto& get, const auto& put, vf g) {
    const vf slow = starts ? g : alpha * get(mu) + rest * g;
    put(mu, slow);
    return g + lambda * slow;
  });
}

}  // namespace forge::FORGE_ISA
