#include <cmath>

#include "cuda/exact.h"
#include "cuda/launch.h"
#include "cuda/table.h"

/**
 * Every product is rounded by itself or named as fused, so that all kernels here move a parameter by the same bits. None
 * changes anything once an index out of range was met (Faults): its gradients are not those of the data.
 */
namespace forge::cuda {
namespace {

/** f32 constants of a step. */
struct Step {
  float keep, rate, root_correction, beta1, rest1, beta2, rest2, eps, scale;
};

__host__ __device__ inline float rounded(double x) { return static_cast<float>(x); }

/** @param decay  lr · weight decay, rounded */
__host__ __device__ inline Step step_of(double lr, double decay, double beta1, double beta2, double eps, double correction1,
                                        double correction2, double scale) {
  return {rounded(1.0 - decay),    rounded(lr / correction1), rounded(1.0 / std::sqrt(correction2)),
          rounded(beta1),          rounded(1.0 - beta1),      rounded(beta2),
          rounded(1.0 - beta2),    rounded(eps),              rounded(scale)};
}

Step step_of(const AdamW& s) {
  const volatile double decay = s.lr * s.weight_decay;
  return step_of(s.lr, decay, s.beta1, s.beta2, s.eps, s.correction1, s.correction2, s.grad_scale);
}

struct Filter {
  float alpha, rest, lambda;
  bool starts;
};

Filter filter_of(const Grokfast& f) { return {rounded(f.alpha), rounded(1 - f.alpha), rounded(f.lambda), f.starts}; }

// torch.optim.AdamW: p ← p·(1 − lr·wd);  p ← p − lr/c1 · m / (√v/√c2 + eps).
__device__ inline void update(const Step& s, float g, float& param, float& m, float& v) {
  const float first = fmaf(m, s.beta1, times(g, s.rest1));
  const float second = fmaf(v, s.beta2, times(times(g, g), s.rest2));
  m = first;
  v = second;
  param = fmaf(param, s.keep, -(times(s.rate, first) / fmaf(sqrtf(second), s.root_correction, s.eps)));
}

// Lee et al. 2024, arXiv:2405.20233: the slow part of the gradient, amplified. mu starts at the first gradient.
__device__ inline float amplified(const Filter& f, float g, float& mu) {
  const float slow = f.starts ? g : fmaf(f.alpha, mu, times(f.rest, g));
  mu = slow;
  return fmaf(f.lambda, slow, g);
}

constexpr int threads = 256;
constexpr int64_t share = 4096;  // elements of a block
constexpr int most_parts = 48;   // 3 KiB of the 4 KiB that a kernel's arguments may take

/** Consecutive parts: blocks first[i] to first[i + 1] work on part i. */
struct Parts {
  AdamWPart part[most_parts];
  int64_t first[most_parts + 1];
};

__global__ void update_parts(Parts parts, const double* settings, const double* clip, Filter filter, const Faults* faults) {
  __shared__ Step shared;
  const double scale = clip == nullptr ? 1.0 : clip[1];
  if (faults->first.op != nullptr || scale != scale) return;
  if (threadIdx.x == 0) {
    shared = step_of(settings[adamw_lr], times(settings[adamw_lr], settings[adamw_decay]), settings[adamw_beta1],
                     settings[adamw_beta2], settings[adamw_eps], settings[adamw_correction1], settings[adamw_correction2],
                     scale);
  }
  __syncthreads();
  const Step s = shared;
  int at = 0;
  while (parts.first[at + 1] <= blockIdx.x) ++at;
  const AdamWPart& p = parts.part[at];
  const int64_t begin = (blockIdx.x - parts.first[at]) * share, end = min64(p.n, begin + share);
  for (int64_t i = begin + threadIdx.x; i < end; i += threads) {
    float g = times(p.grad[i], s.scale);
    if (p.mu != nullptr) g = amplified(filter, g, p.mu[i]);
    update(s, g, p.param[i], p.m[i], p.v[i]);
  }
}

}  // namespace

void adamw(float* param, const float* grad, float* m, float* v, int64_t n, const AdamW& settings) {
  const Step s = step_of(settings);
  const Faults* const noted = faults();
  for_each("adamw", n, [=] __device__(int64_t i) {
    if (noted->first.op == nullptr) update(s, times(grad[i], s.scale), param[i], m[i], v[i]);
  });
}

void adamw_grokfast(float* param, const float* grad, float* mu, float* m, float* v, int64_t n, const AdamW& settings,
                    const Grokfast& grokfast) {
  const Step s = step_of(settings);
  const Filter filter = filter_of(grokfast);
  const Faults* const noted = faults();
  for_each("adamw_grokfast", n, [=] __device__(int64_t i) {
    if (noted->first.op == nullptr) update(s, amplified(filter, times(grad[i], s.scale), mu[i]), param[i], m[i], v[i]);
  });
}

void adamw_prepared(const AdamWPart* parts, int64_t count, const double* settings, const double* clip,
                    const Grokfast& grokfast) {
  for (int64_t begin = 0; begin < count; begin += most_parts) {
    Parts some{};
    const int taken = static_cast<int>(min64(most_parts, count - begin));
    for (int i = 0; i < taken; ++i) {
      some.part[i] = parts[begin + i];
      some.first[i + 1] = some.first[i] + ceil_div(some.part[i].n, share);
    }
    launch("adamw_prepared", update_parts, some.first[taken], threads, 0, some, settings, clip, filter_of(grokfast),
           const_cast<const Faults*>(faults()));
  }
}

}  // namespace forge::cuda
