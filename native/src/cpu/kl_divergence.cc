#include "core/kernels.h"
#include "cpu/rows.h"

/** Σ p (ln p − ln q) per row, p = softmax(targets), q = softmax(logits); from logits, so that nothing is lost in a log. */
namespace forge::FORGE_ISA {
namespace {

float log_sum_exp(const float* x, int64_t n) {
  const float top = row_max(x, n);
  return top + vlog(splat(row_sum_exp(x, top, n)))[0];
}

/** f(p, ln p − ln q, i, how many) along a row. */
template <class F>
void along_row(const float* t, const float* z, float lse_t, float lse_z, int64_t n, const F& f) {
  for (int64_t i = 0; i < n; i += lanes) {
    const int64_t count = min64(lanes, n - i);
    const vf log_p = load_some(t + i, count) - lse_t;
    f(vexp(log_p), log_p - (load_some(z + i, count) - lse_z), i, count);
  }
}

}  // namespace

void kl_divergence(const float* targets, const float* logits, float* loss, float* lse_t, float* lse_z, int64_t rows,
                   int64_t width) {
  parallel_rows(rows, width, [&](int64_t row) {
    const float *t = targets + row * width, *z = logits + row * width;
    lse_t[row] = log_sum_exp(t, width);
    lse_z[row] = log_sum_exp(z, width);
    vf total = {};
    along_row(t, z, lse_t[row], lse_z[row], width, [&](vf p, vf log_ratio, int64_t, int64_t count) {
      const vf zero = {};
      total += first_lanes(p == zero ? zero : p * log_ratio, count);  // 0 ln 0 = 0, also when the target is −∞
    });
    const float sum = sum_lanes(total);
    loss[row] = sum < 0 ? 0.0f : sum;
  });
}

// d/dz = q − p;  d/dt = p (ln p − ln q − loss).
void kl_divergence_backward(const float* targets, const float* logits, const float* loss, const float* lse_t,
                            const float* lse_z, const float* d_loss, float scale, float* d_targets, float* d_logits,
                            int64_t rows, int64_t width) {
  parallel_rows(rows, width, [&](int64_t row) {
    const float *t = targets + row * width, *z = logits + row * width;
    const vf factor = splat(d_loss == nullptr ? scale : scale * d_loss[row]), mean = splat(loss[row]);
    along_row(t, z, lse_t[row], lse_z[row], width, [&](vf p, vf log_ratio, int64_t i, int64_t count) {
      const int64_t at = row * width + i;
      const vf zero = {};
      if (d_targets != nullptr) store_some(d_targets + at, p == zero ? zero : factor * p * (log_ratio - mean), count);
      if (d_logits != nullptr) store_some(d_logits + at, factor * (vexp(load_some(z + i, count) - lse_z[row]) - p), count);
    });
  });
}

}  // namespace forge::FORGE_ISA
