#include "cuda/launch.h"
#include "cuda/table.h"

namespace forge::cuda {
namespace {

__device__ inline float apply(Activation activation, float x) {
  switch (activation) {
    case Activation::none: return x;
    // Comparisons are written so that NaN stays NaN.
    case Activation::relu: return x < 0.0f ? 0.0f : x;
    case Activation::relu2: return x < 0.0f ? 0.0f : x * x;
    case Activation::silu: return x / (1.0f + expf(-x));
    case Activation::sigmoid: return 1.0f / (1.0f + expf(-x));
    case Activation::tanh: return tanhf(x);
  }
  return x;
}

}  // namespace

void bias_activation(float* y, const float* bias, Activation activation, int64_t rows, int64_t width) {
  for_each("bias_activation", rows * width, [=] __device__(int64_t i) {
    y[i] = apply(activation, bias == nullptr ? y[i] : y[i] + bias[i % width]);
  });
}

}  // namespace forge::cuda
