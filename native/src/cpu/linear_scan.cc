#include "core/kernels.h"
#include "cpu/rows.h"

/**
 * h[t] = a[t]·h[t−1] + b[t] along time, each channel for itself. Channels are independent: vectors and threads take
 * those, and every channel is walked in order, so that one sequence in two halves is the same as in one.
 */
namespace forge::FORGE_ISA {
namespace {

constexpr int64_t columns_at_once = 4 * lanes;

/** f(first element of the batch entry, channel, channels ≤ lanes). */
template <class F>
void each_column(int64_t batch, int64_t time, int64_t channels, const F& f) {
  const int64_t pieces = ceil_div(channels, columns_at_once);
  parallel_for(batch * pieces, [&](int64_t task, int) {
    const int64_t entry = task / pieces, begin = task % pieces * columns_at_once;
    for (int64_t c = begin; c < min64(channels, begin + columns_at_once); c += lanes) {
      f(entry * time * channels + c, entry * channels + c, min64(lanes, channels - c));
    }
  });
}

}  // namespace

void linear_scan(const float* a, const float* b, const float* h0, float* h, int64_t batch, int64_t time,
                 int64_t channels) {
  each_column(batch, time, channels, [&](int64_t first, int64_t state, int64_t n) {
    vf now = h0 == nullptr ? vf{} : load_some(h0 + state, n);
    for (int64_t t = 0; t < time; ++t) {
      const int64_t at = first + t * channels;
      now = load_some(a + at, n) * now + load_some(b + at, n);
      store_some(h + at, now, n);
    }
  });
}

// With g[t] = dh[t] + a[t+1]·g[t+1]:  db = g,  da[t] = g[t]·h[t−1],  dh0 = a[0]·g[0].
void linear_scan_backward(const float* dh, const float* a, const float* h, const float* h0, float* da, float* db,
                          float* dh0, int64_t batch, int64_t time, int64_t channels) {
  each_column(batch, time, channels, [&](int64_t first, int64_t state, int64_t n) {
    const vf start = h0 == nullptr ? vf{} : load_some(h0 + state, n);
    vf carried = {};
    for (int64_t t = time - 1; t >= 0; --t) {
      const int64_t at = first + t * channels;
      const vf g = load_some(dh + at, n) + carried;
      store_some(db + at, g, n);
      store_some(da + at, g * (t > 0 ? load_some(h + at - channels, n) : start), n);
      carried = load_some(a + at, n) * g;
    }
    if (dh0 != nullptr) store_some(dh0 + state, carried, n);
  });
}

}  // namespace forge::FORGE_ISA
