#include "cpu/rows.h"

namespace forge::FORGE_ISA {
namespace {

float scalar_log(float x) { return vlog(splat(x))[0]; }

}  // namespace

void cross_entropy(const float* logits, const int32_t* targets, float* loss, float* lse, int64_t rows, int64_t width,
                   int32_t ignore) {
  parallel_rows(rows, width, [&](int64_t row) {
    const float* z = logits + row * width;
    const float top = row_max(z, width);
    lse[row] = top + scalar_log(row_sum_exp(z, top, width));
    loss[row] = targets[row] == ignore ? 0.0f : lse[row] - z[targets[row]];
  });
}

void cross_entropy_backward(const float* logits, const int32_t* targets, const float* lse, const float* d_loss,
                            float scale, float* d_logits, int64_t rows, int64_t width, int32_t ignore) {
  parallel_rows(rows, width, [&](int64_t row) {
    const float* z = logits + row * width;
    float* dz = d_logits + row * width;
    const bool ignored = targets[row] == ignore;
    const float factor = ignored ? 0.0f : (d_loss == nullptr ? scale : scale * d_loss[row]);
    if (factor == 0.0f) {
      memset(dz, 0, static_cast<size_t>(width) * sizeof(float));
      return;
    }
    const vf shift = splat(lse[row]), f = splat(factor);
    int64_t i = 0;
    for (; i + lanes <= width; i += lanes) store(dz + i, f * vexp(load(z + i) - shift));
    if (i < width) store_n(dz + i, f * vexp(load_n(z + i, width - i) - shift), width - i);
    dz[targets[row]] -= factor;
  });
}

}  // namespace forge::FORGE_ISA
