#include "core/kernels.h"
#include "cpu/math.h"
#include "cpu/philox.h"

namespace forge::FORGE_ISA {
namespace {

/** Top 24 bits of each word, as a float in [0, 2^24). */
vf top_bits(const uint32_t* words) {
  vf v;
  for (int i = 0; i < lanes; ++i) v[i] = static_cast<float>(static_cast<int32_t>(words[i] >> 8));
  return v;
}

/** convert(words, out[4][lanes]) for every group of blocks, written to x in element order. */
template <class F>
void fill(float* x, int64_t n, const Philox& key, const F& convert) {
  constexpr int64_t group = 4 * blocks_at_once;
  parallel_ranges(ceil_div(n, group), 256, [&](int64_t begin, int64_t end) {
    for (int64_t g = begin; g < end; ++g) {
      uint32_t words[4][blocks_at_once];
      float out[4][blocks_at_once];
      philox_blocks(key, key.counter + static_cast<uint64_t>(g * blocks_at_once), words);
      convert(words, out);
      const int64_t first = g * group;
      for (int64_t i = 0; i < min64(group, n - first); ++i) x[first + i] = out[i % 4][i / 4];
    }
  });
}

}  // namespace

void philox_uniform(float* x, int64_t n, const Philox& key) {
  fill(x, n, key, [](const uint32_t(&words)[4][blocks_at_once], float(&out)[4][blocks_at_once]) {
    for (int j = 0; j < 4; ++j) store(out[j], top_bits(words[j]) * 0x1p-24f);
  });
}

// Box & Muller 1958: r = √(−2 ln u), z = r·cos 2πv, r·sin 2πv, with u in (0, 1].
void philox_normal(float* x, int64_t n, const Philox& key, float mean, float std) {
  fill(x, n, key, [=](const uint32_t(&words)[4][blocks_at_once], float(&out)[4][blocks_at_once]) {
    for (int j = 0; j < 4; j += 2) {
      const vf u = (top_bits(words[j]) + 1.0f) * 0x1p-24f;
      const vf v = top_bits(words[j + 1]) * 0x1p-24f;
      const vf minus_two_log = -2.0f * vlog(u);
      const vf zero = {};
      const vf radius = vsqrt(minus_two_log < zero ? zero : minus_two_log) * std;
      vf sine, cosine;
      vsincos_turn(v, sine, cosine);
      store(out[j], radius * cosine + mean);
      store(out[j + 1], radius * sine + mean);
    }
  });
}

}  // namespace forge::FORGE_ISA
