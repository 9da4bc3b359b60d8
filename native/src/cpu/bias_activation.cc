#include "core/kernels.h"
#include "cpu/math.h"

/** y[rows, width] = f(y + bias) in place: what follows a dense product, in one pass while it is warm. */
namespace forge::FORGE_ISA {
namespace {

template <class F>
void apply(float* y, const float* bias, int64_t rows, int64_t width, const F& f) {
  parallel_ranges(rows, max64(1, grain / max64(1, width)), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      float* yr = y + row * width;
      for (int64_t i = 0; i < width; i += lanes) {
        const int64_t n = min64(lanes, width - i);
        const vf b = bias == nullptr ? vf{} : load_some(bias + i, n);
        store_some(yr + i, f(load_some(yr + i, n) + b), n);
      }
    }
  });
}

}  // namespace

void bias_activation(float* y, const float* bias, Activation activation, int64_t rows, int64_t width) {
  const vf zero = {};
  switch (activation) {
    case Activation::none: return apply(y, bias, rows, width, [](vf v) { return v; });
    case Activation::relu: return apply(y, bias, rows, width, [=](vf v) { return v < zero ? zero : v; });
    case Activation::relu2: return apply(y, bias, rows, width, [=](vf v) { return v < zero ? zero : v * v; });
    case Activation::silu: return apply(y, bias, rows, width, [](vf v) { return v * vsigmoid(v); });
    case Activation::sigmoid: return apply(y, bias, rows, width, [](vf v) { return vsigmoid(v); });
    case Activation::tanh: return apply(y, bias, rows, width, [](vf v) { return vtanh(v); });
  }
}

}  // namespace forge::FORGE_ISA
