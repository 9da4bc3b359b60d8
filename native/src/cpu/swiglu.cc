#include "cpu/math.h"

namespace forge::FORGE_ISA {

void swiglu(const float* gate, const float* up, float* y, int64_t n) {
  map(n, [&](auto get, auto put) {
    const vf g = get(gate);
    put(y, g * vsigmoid(g) * get(up));
  });
}

void swiglu_backward(const float* dy, const float* gate, const float* up, float* d_gate, float* d_up, int64_t n) {
  map(n, [&](auto get, auto put) {
    const vf g = get(gate), d = get(dy);
    const vf s = vsigmoid(g);
    put(d_up, d * g * s);
    put(d_gate, d * get(up) * s * (1.0f + g * (1.0f - s)));
  });
}

}  // namespace forge::FORGE_ISA
