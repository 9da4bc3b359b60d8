#include "cuda/philox.h"
#include "cuda/table.h"

namespace forge::cuda {
namespace {

/** Top 24 bits of a word, as a float in [0, 2^24). */
__device__ inline float top_bits(uint32_t word) { return static_cast<float>(word >> 8); }

constexpr float two_pi = 6.28318530717958648f;

}  // namespace

void philox_uniform(float* x, int64_t n, const Philox& key) {
  const Philox k = key;
  for_each("philox_uniform", ceil_div(n, 4), [=] __device__(int64_t b) {
    const PhiloxBlock words = philox_block(k, first_block(k) + static_cast<uint64_t>(b));
    for (int j = 0; j < 4 && 4 * b + j < n; ++j) x[4 * b + j] = top_bits(words.words[j]) * 0x1p-24f;
  });
}

// Box & Muller 1958: r = √(−2 ln u), z = r·cos 2πv, r·sin 2πv, with u in (0, 1].
void philox_normal(float* x, int64_t n, const Philox& key, float mean, float std) {
  const Philox k = key;
  for_each("philox_normal", ceil_div(n, 4), [=] __device__(int64_t b) {
    const PhiloxBlock words = philox_block(k, k.counter + static_cast<uint64_t>(b));
    for (int j = 0; j < 4; j += 2) {
      const float u = (top_bits(words.words[j]) + 1.0f) * 0x1p-24f, v = top_bits(words.words[j + 1]) * 0x1p-24f;
      const float radius = sqrtf(-2.0f * logf(u)) * std;
      const int64_t i = 4 * b + j;
      if (i < n) x[i] = radius * cosf(two_pi * v) + mean;
      if (i + 1 < n) x[i + 1] = radius * sinf(two_pi * v) + mean;
    }
  });
}

}  // namespace forge::cuda
