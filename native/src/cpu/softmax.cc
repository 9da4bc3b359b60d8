#include "cpu/rows.h"

namespace forge::FORGE_ISA {

void softmax(const float* x, float* y, int64_t rows, int64_t width) {
  parallel_rows(rows, width, [&](int64_t row) {
    const float* xr = x + row * width;
    float* yr = y + row * width;
    const float top = row_max(xr, width);
    const vf shift = splat(top);
    vf total = splat(0.0f);
    int64_t i = 0;
    for (; i + lanes <= width; i += lanes) {
      const vf e = vexp(load(xr + i) - shift);
      store(yr + i, e);
      total += e;
    }
    if (i < width) {
      const vf e = vexp(load_n(xr + i, width - i) - shift);
      store_n(yr + i, e, width - i);
      total += first_lanes(e, width - i);
    }
    row_scale(yr, 1.0f / sum_lanes(total), width);
  });
}

void softmax_backward(const float* y, const float* dy, float* dx, int64_t rows, int64_t width) {
  parallel_rows(rows, width, [&](int64_t row) {
    const float* yr = y + row * width;
    const float* dr = dy + row * width;
    float* xr = dx + row * width;
    const vf inner = splat(row_dot(yr, dr, width));
    int64_t i = 0;
    for (; i + lanes <= width; i += lanes) store(xr + i, load(yr + i) * (load(dr + i) - inner));
    if (i < width) {
      const int64_t rest = width - i;
      store_n(xr + i, load_n(yr + i, rest) * (load_n(dr + i, rest) - inner), rest);
    }
  });
}

}  // namespace forge::FORGE_ISA
