#include "cuda/block.h"
#include "cuda/table.h"

namespace forge::cuda {
namespace {

/** One block per row: the loss and log Σ exp without the probabilities. */
__global__ void loss_of_row(const float* logits, const int32_t* targets, float* loss, float* lse, int64_t width,
                            int32_t ignore) {
  const int64_t row = blockIdx.x;
  const float* z = logits + row * width;
  float top = -INFINITY, sum = 0.0f;
  for (int64_t i = threadIdx.x; i < width; i += blockDim.x) top = fmaxf(top, z[i]);
  top = block_max(top);
  for (int64_t i = threadIdx.x; i < width; i += blockDim.x) sum += expf(z[i] - top);
  sum = block_sum(sum);
  if (threadIdx.x != 0) return;
  const float total = top + logf(sum);
  lse[row] = total;
  loss[row] = targets[row] == ignore ? 0.0f : total - z[targets[row]];
}

/** d_logits may be logits: a thread reads and writes the same elements. */
__global__ void slope_of_row(const float* logits, const int32_t* targets, const float* lse, const float* d_loss,
                             float scale, float* d_logits, int64_t width, int32_t ignore) {
  const int64_t row = blockIdx.x;
  const int32_t target = targets[row];
  const float factor = target == ignore ? 0.0f : (d_loss == nullptr ? scale : scale * d_loss[row]);
  const float shift = lse[row];
  for (int64_t i = threadIdx.x; i < width; i += blockDim.x) {
    // A row without weight is 0 even where its logits are not finite.
    const float p = factor == 0.0f ? 0.0f : factor * expf(logits[row * width + i] - shift);
    d_logits[row * width + i] = i == target ? p - factor : p;
  }
}

}  // namespace

void cross_entropy(const float* logits, const int32_t* targets, float* loss, float* lse, int64_t rows, int64_t width,
                   int32_t ignore) {
  launch("cross_entropy", loss_of_row, rows, threads_for_row(width), 0, logits, targets, loss, lse, width, ignore);
}

void cross_entropy_backward(const float* logits, const int32_t* targets, const float* lse, const float* d_loss,
                            float scale, float* d_logits, int64_t rows, int64_t width, int32_t ignore) {
  launch("cross_entropy_backward", slope_of_row, rows, threads_for_row(width), 0, logits, targets, lse, d_loss, scale,
         d_logits, width, ignore);
}

}  // namespace forge::cuda
