#include "cuda/block.h"
#include "cuda/table.h"

namespace forge::cuda {
namespace {

__global__ void norm_row(const float* x, const float* gain, float eps, float* y, float* rstd, int64_t width) {
  const int64_t row = blockIdx.x;
  float squares = 0.0f;
  for (int64_t i = threadIdx.x; i < width; i += blockDim.x) squares += x[row * width + i] * x[row * width + i];
  const float r = 1.0f / sqrtf(block_sum(squares) / static_cast<float>(width) + eps);
  if (threadIdx.x == 0) rstd[row] = r;
  for (int64_t i = threadIdx.x; i < width; i += blockDim.x) y[row * width + i] = x[row * width + i] * r * gain[i];
}

// With r = 1/rms(x):  dx = r·(dy∘g) − x·r³/C·Σ(dy∘g∘x);  dg = Σ_rows dy∘x·r.
__global__ void norm_row_backward(const float* dy, const float* x, const float* gain, const float* rstd, float* dx,
                                  int64_t width) {
  const int64_t row = blockIdx.x, first = row * width;
  float inner = 0.0f;
  for (int64_t i = threadIdx.x; i < width; i += blockDim.x) inner += dy[first + i] * gain[i] * x[first + i];
  const float r = rstd[row];
  const float slope = r * r * r * block_sum(inner) / static_cast<float>(width);
  for (int64_t i = threadIdx.x; i < width; i += blockDim.x) {
    dx[first + i] = dy[first + i] * gain[i] * r - x[first + i] * slope;
  }
}

}  // namespace

void rms_norm(const float* x, const float* gain, float eps, float* y, float* rstd, int64_t rows, int64_t width) {
  launch("rms_norm", norm_row, rows, threads_for_row(width), 0, x, gain, eps, y, rstd, width);
}

void rms_norm_backward(const float* dy, const float* x, const float* gain, const float* rstd, float* dx, float* d_gain,
                       float* partial, int64_t rows, int64_t width) {
  launch("rms_norm_backward", norm_row_backward, rows, threads_for_row(width), 0, dy, x, gain, rstd, dx, width);
  if (d_gain == nullptr) return;
  const int64_t blocks = rms_norm_partials(rows);
  for_each("rms_norm_backward", blocks * width, [=] __device__(int64_t i) {
    const int64_t column = i % width, begin = i / width * rms_norm_block;
    float sum = 0.0f;
    for (int64_t row = begin; row < min64(rows, begin + rms_norm_block); ++row) {
      sum += dy[row * width + column] * x[row * width + column] * rstd[row];
    }
    partial[i] = sum;
  });
  for_each("rms_norm_backward", width, [=] __device__(int64_t column) {
    float sum = d_gain[column];
    for (int64_t block = 0; block < blocks; ++block) sum += partial[block * width + column];
    d_gain[column] = sum;
  });
}

}  // namespace forge::cuda
