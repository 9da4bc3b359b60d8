#include "cuda/block.h"
#include "cuda/table.h"

namespace forge::cuda {
namespace {

/** One block per row. */
__global__ void softmax_row(const float* x, float* y, int64_t width) {
  const float* xr = x + blockIdx.x * width;
  float* yr = y + blockIdx.x * width;
  float top = -INFINITY, sum = 0.0f;
  for (int64_t i = threadIdx.x; i < width; i += blockDim.x) top = fmaxf(top, xr[i]);
  top = block_max(top);
  for (int64_t i = threadIdx.x; i < width; i += blockDim.x) {
    const float e = expf(xr[i] - top);
    yr[i] = e;
    sum += e;
  }
  const float factor = 1.0f / block_sum(sum);
  for (int64_t i = threadIdx.x; i < width; i += blockDim.x) yr[i] *= factor;
}

// dx = y∘(dy − Σ y·dy)
__global__ void softmax_row_backward(const float* y, const float* dy, float* dx, int64_t width) {
  const int64_t first = blockIdx.x * width;
  float inner = 0.0f;
  for (int64_t i = threadIdx.x; i < width; i += blockDim.x) inner += y[first + i] * dy[first + i];
  inner = block_sum(inner);
  for (int64_t i = threadIdx.x; i < width; i += blockDim.x) dx[first + i] = y[first + i] * (dy[first + i] - inner);
}

}  // namespace

void softmax(const float* x, float* y, int64_t rows, int64_t width) {
  launch("softmax", softmax_row, rows, threads_for_row(width), 0, x, y, width);
}

void softmax_backward(const float* y, const float* dy, float* dx, int64_t rows, int64_t width) {
  launch("softmax_backward", softmax_row_backward, rows, threads_for_row(width), 0, y, dy, dx, width);
}

}  // namespace forge::cuda
