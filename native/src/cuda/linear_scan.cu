#include "cuda/launch.h"
#include "cuda/table.h"

/** h[t] = a[t]·h[t−1] + b[t] along time. A thread walks one channel in order: one sequence in two halves is the same as in one. */
namespace forge::cuda {

void linear_scan(const float* a, const float* b, const float* h0, float* h, int64_t batch, int64_t time,
                 int64_t channels) {
  for_each("linear_scan", batch * channels, [=] __device__(int64_t i) {
    float now = h0 == nullptr ? 0.0f : h0[i];
    int64_t at = i / channels * time * channels + i % channels;
    for (int64_t t = 0; t < time; ++t, at += channels) {
      now = a[at] * now + b[at];
      h[at] = now;
    }
  });
}

// With g[t] = dh[t] + a[t+1]·g[t+1]:  db = g,  da[t] = g[t]·h[t−1],  dh0 = a[0]·g[0].
void linear_scan_backward(const float* dh, const float* a, const float* h, const float* h0, float* da, float* db,
                          float* dh0, int64_t batch, int64_t time, int64_t channels) {
  for_each("linear_scan_backward", batch * channels, [=] __device__(int64_t i) {
    const float start = h0 == nullptr ? 0.0f : h0[i];
    const int64_t first = i / channels * time * channels + i % channels;
    float carried = 0.0f;
    for (int64_t t = time - 1; t >= 0; --t) {
      const int64_t at = first + t * channels;
      const float g = dh[at] + carried;
      db[at] = g;
      da[at] = g * (t > 0 ? h[at - channels] : start);
      carried = a[at] * g;
    }
    if (dh0 != nullptr) dh0[i] = carried;
  });
}

}  // namespace forge::cuda
