#include "cuda/block.h"
#include "cuda/exact.h"
#include "cuda/first.h"
#include "cuda/table.h"

/**
 * Absmean ternary weights and absmax int8 activations of BitNet b1.58 (Ma et al. 2024, arXiv:2402.17764). Every product is
 * rounded on its own: the codes are those of the processor.
 */
namespace forge::cuda {
namespace {

__device__ inline int ternary_of(float x, float inverse) {
  const float v = times(x, inverse);
  return (v > 0.5f) - (v < -0.5f);
}

/** 127 · (1 / max(absmax, 1e-5)) of a row, for every thread of the block; NaN when it has one. */
__device__ inline float row_inverse(const float* x, int64_t width) {
  float top = 1e-5f;
  int has_nan = 0;
  for (int64_t i = threadIdx.x; i < width; i += blockDim.x) {
    top = fmaxf(top, fabsf(x[i]));
    has_nan |= x[i] != x[i];
  }
  top = block_max(top);
  return __syncthreads_or(has_nan) != 0 ? NAN : times(1.0f / top, 127.0f);
}

__global__ void codes_of_row(const float* x, int8_t* codes, int64_t stride, float* steps, int32_t* sums, int64_t width) {
  const int64_t row = blockIdx.x;
  const float inverse = row_inverse(x + row * width, width);
  int32_t total = 0;
  for (int64_t i = threadIdx.x; i < stride; i += blockDim.x) {
    const int32_t code = i < width ? static_cast<int32_t>(rintf(times(x[row * width + i], inverse))) : 0;
    codes[row * stride + i] = static_cast<int8_t>(code);
    total += code;
  }
  if (sums != nullptr) total = block_sum(total);
  if (threadIdx.x != 0) return;
  steps[row] = 1.0f / inverse;
  if (sums != nullptr) sums[row] = total;
}

__global__ void values_of_row(const float* x, float* y, int64_t width) {
  const int64_t row = blockIdx.x;
  const float inverse = row_inverse(x + row * width, width);
  for (int64_t i = threadIdx.x; i < width; i += blockDim.x) {
    y[row * width + i] = rintf(times(x[row * width + i], inverse)) / inverse;
  }
}

}  // namespace

int64_t first_not_below(const float* x, int64_t n, float limit) {
  return first_where("first_not_below", n, [=] __device__(int64_t i) { return !(fabsf(x[i]) < limit); });
}

void ternary_codes(const float* x, float inverse, int8_t* codes, int64_t n) {
  for_each("ternary_codes", n, [=] __device__(int64_t i) { codes[i] = static_cast<int8_t>(ternary_of(x[i], inverse)); });
}

void ternary_values(const float* x, float inverse, float step, float* y, int64_t n) {
  for_each("ternary_values", n,
           [=] __device__(int64_t i) { y[i] = static_cast<float>(ternary_of(x[i], inverse)) * step; });
}

void absmax_codes(const float* x, int8_t* codes, int64_t stride, float* steps, int32_t* sums, int64_t rows,
                  int64_t width) {
  launch("absmax_codes", codes_of_row, rows, threads_for_row(stride), 0, x, codes, stride, steps, sums, width);
}

void absmax_values(const float* x, float* y, int64_t rows, int64_t width) {
  launch("absmax_values", values_of_row, rows, threads_for_row(width), 0, x, y, width);
}

}  // namespace forge::cuda
