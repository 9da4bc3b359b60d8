#include "cuda/block.h"
#include "cuda/table.h"

/** Σ p (ln p − ln q) per row, p = softmax(targets), q = softmax(logits); from logits, so that nothing is lost in a log. */
namespace forge::cuda {
namespace {

/** log Σ exp of a row, for every thread of the block. */
__device__ inline float log_sum_exp(const float* x, int64_t width) {
  float top = -INFINITY, sum = 0.0f;
  for (int64_t i = threadIdx.x; i < width; i += blockDim.x) top = fmaxf(top, x[i]);
  top = block_max(top);
  for (int64_t i = threadIdx.x; i < width; i += blockDim.x) sum += expf(x[i] - top);
  return top + logf(block_sum(sum));
}

__global__ void divergence_of_row(const float* targets, const float* logits, float* loss, float* lse_t, float* lse_z,
                                  int64_t width) {
  const int64_t row = blockIdx.x;
  const float *t = targets + row * width, *z = logits + row * width;
  const float of_t = log_sum_exp(t, width), of_z = log_sum_exp(z, width);
  float total = 0.0f;
  for (int64_t i = threadIdx.x; i < width; i += blockDim.x) {
    const float log_p = t[i] - of_t, p = expf(log_p);
    total += p == 0.0f ? 0.0f : p * (log_p - (z[i] - of_z));  // 0 ln 0 = 0, also when the target is −∞
  }
  total = block_sum(total);
  if (threadIdx.x != 0) return;
  lse_t[row] = of_t;
  lse_z[row] = of_z;
  loss[row] = total < 0.0f ? 0.0f : total;
}

}  // namespace

void kl_divergence(const float* targets, const float* logits, float* loss, float* lse_t, float* lse_z, int64_t rows,
                   int64_t width) {
  launch("kl_divergence", divergence_of_row, rows, threads_for_row(width), 0, targets, logits, loss, lse_t, lse_z, width);
}

// d/dz = q − p;  d/dt = p (ln p − ln q − loss).
void kl_divergence_backward(const float* targets, const float* logits, const float* loss, const float* lse_t,
                            const float* lse_z, const float* d_loss, float scale, float* d_targets, float* d_logits,
                            int64_t rows, int64_t width) {
  for_each("kl_divergence_backward", rows * width, [=] __device__(int64_t i) {
    const int64_t row = i / width;
    const float factor = d_loss == nullptr ? scale : scale * d_loss[row];
    const float log_p = targets[i] - lse_t[row], p = expf(log_p), log_q = logits[i] - lse_z[row];
    if (d_targets != nullptr) d_targets[i] = p == 0.0f ? 0.0f : factor * p * (log_p - log_q - loss[row]);
    if (d_logits != nullptr) d_logits[i] = factor * (expf(log_q) - p);
  });
}

}  // namespace forge::cuda
