#include "core/kernels.h"
#include "cpu/rows.h"

namespace forge::FORGE_ISA {

void rms_norm(const float* x, const float* gain, float eps, float* y, float* rstd, int64_t rows, int64_t width) {
  parallel_rows(rows, width, [&](int64_t row) {
    const float* xr = x + row * width;
    float* yr = y + row * width;
    const float r = 1.0f / __builtin_sqrtf(row_dot(xr, xr, width) / static_cast<float>(width) + eps);
    rstd[row] = r;
    const vf factor = splat(r);
    int64_t i = 0;
    for (; i + lanes <= width; i += lanes) store(yr + i, load(xr + i) * factor * load(gain + i));
    if (i < width) {
      const int64_t rest = width - i;
      store_n(yr + i, load_n(xr + i, rest) * factor * load_n(gain + i, rest), rest);
    }
  });
}

// With r = 1/rms(x):  dx = r·(dy∘g) − x·r³/C·Σ(dy∘g∘x);  dg = Σ_rows dy∘x·r.
void rms_norm_backward(const float* dy, const float* x, const float* gain, const float* rstd, float* dx, float* d_gain,
                       float* partial, int64_t rows, int64_t width) {
  const int64_t blocks = rms_norm_partials(rows);
  parallel_for(blocks, [&](int64_t block, int) {
    float* sums = d_gain == nullptr ? nullptr : partial + block * width;
    if (sums != nullptr) memset(sums, 0, static_cast<size_t>(width) * sizeof(float));
    for (int64_t row = block * rms_norm_block; row < min64(rows, (block + 1) * rms_norm_block); ++row) {
      const float* xr = x + row * width;
      const float* dr = dy + row * width;
      float* out = dx + row * width;
      const float r = rstd[row];
      vf inner = {};
      int64_t i = 0;
      for (; i + lanes <= width; i += lanes) {
        const vf d = load(dr + i), v = load(xr + i);
        inner += d * load(gain + i) * v;
        if (sums != nullptr) store(sums + i, load(sums + i) + d * v * r);
      }
      if (i < width) {
        const int64_t rest = width - i;
        const vf d = load_n(dr + i, rest), v = load_n(xr + i, rest);
        inner += d * load_n(gain + i, rest) * v;
        if (sums != nullptr) store_n(sums + i, load_n(sums + i, rest) + d * v * r, rest);
      }
      const vf slope = splat(r * r * r * sum_lanes(inner) / static_cast<float>(width)), factor = splat(r);
      for (i = 0; i + lanes <= width; i += lanes) {
        store(out + i, load(dr + i) * load(gain + i) * factor - load(xr + i) * slope);
      }
      if (i < width) {
        const int64_t rest = width - i;
        store_n(out + i, load_n(dr + i, rest) * load_n(gain + i, rest) * factor - load_n(xr + i, rest) * slope, rest);
      }
    }
  });
  if (d_gain == nullptr) return;
  for (int64_t block = 0; block < blocks; ++block) row_add(d_gain, partial + block * width, width);
}

}  // namespace forge::FORGE_ISA
