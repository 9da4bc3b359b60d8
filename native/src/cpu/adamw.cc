#include "core/kernels.h"
#include "cpu/simd.h"

namespace forge::FORGE_ISA {

// torch.optim.AdamW: p ← p·(1 − lr·wd);  p ← p − lr/c1 · m / (√v/√c2 + eps).
void adamw(float* param, const float* grad, float* m, float* v, int64_t n, const AdamW& s) {
  const auto constant = [](double x) { return splat(static_cast<float>(x)); };
  const vf keep = constant(1.0 - s.lr * s.weight_decay), step = constant(s.lr / s.correction1);
  const vf root_correction = constant(1.0 / __builtin_sqrt(s.correction2));
  const vf beta1 = constant(s.beta1), rest1 = constant(1.0 - s.beta1);
  const vf beta2 = constant(s.beta2), rest2 = constant(1.0 - s.beta2);
  const vf eps = constant(s.eps), scale = constant(s.grad_scale);
  map(n, [&](auto get, auto put) {
    const vf g = get(grad) * scale;
    const vf first = get(m) * beta1 + g * rest1;
    const vf second = get(v) * beta2 + g * g * rest2;
    put(m, first);
    put(v, second);
    put(param, get(param) * keep - step * first / (vsqrt(second) * root_correction + eps));
  });
}

}  // namespace forge::FORGE_ISA
