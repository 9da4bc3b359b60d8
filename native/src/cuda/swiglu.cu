#include "cuda/launch.h"
#include "cuda/table.h"

namespace forge::cuda {

void swiglu(const float* gate, const float* up, float* y, int64_t n) {
  for_each("swiglu", n, [=] __device__(int64_t i) {
    const float g = gate[i];
    y[i] = g / (1.0f + expf(-g)) * up[i];
  });
}

void swiglu_backward(const float* dy, const float* gate, const float* up, float* d_gate, float* d_up, int64_t n) {
  for_each("swiglu_backward", n, [=] __device__(int64_t i) {
    const float g = gate[i], d = dy[i], s = 1.0f / (1.0f + expf(-g));
    d_up[i] = d * g * s;
    d_gate[i] = d * up[i] * s * (1.0f + g * (1.0f - s));
  });
}

}  // namespace forge::cuda
