#pragma once
/** Random bits, 64 at once: bit e is drawn with word e of the key's stream. */
#include "cpu/philox.h"

namespace forge::FORGE_ISA {

/** Bit i: whether lane i is set; lanes are 0 or −1. */
static inline uint64_t bits_of(vi mask) {
#if defined(__AVX512F__)
  return _mm512_movepi32_mask((__m512i)mask);
#elif defined(__AVX2__)
  return static_cast<uint32_t>(_mm256_movemask_ps((__m256)mask));
#else
  uint64_t bits = 0;
  for (int i = 0; i < lanes; ++i) bits |= static_cast<uint64_t>(mask[i] & 1) << i;
  return bits;
#endif
}

/** Bit i: whether the top 24 bits of word i are below `threshold`, 0 < threshold ≤ 2^24. */
static inline uint64_t below(vi words, uint32_t threshold) {
  const uint32_t most = (threshold - 1) << 8 | 0xff;
#if defined(__AVX512F__)
  return _mm512_cmple_epu32_mask((__m512i)words, _mm512_set1_epi32(static_cast<int>(most)));
#else
  const int32_t sign = INT32_MIN;
  return bits_of((words ^ sign) <= splat_i(static_cast<int32_t>(most) ^ sign));
#endif
}

/** Fills words begin..end of the bits. */
static inline void draw_bits(const MergeDraw& draw, int64_t begin, int64_t end) {
  const uint32_t threshold = bernoulli_threshold(draw.density);
  const RoundKeys keys(draw.key);
  for (int64_t word = begin; word < end; ++word) {
    uint64_t mask = 0;
    philox_in_order(keys, draw.key.counter + static_cast<uint64_t>(word) * ordered_blocks,
                    [&](int64_t i, vi words) { mask |= below(words, threshold) << i; });
    draw.bits[word] = mask;
  }
}

}  // namespace forge::FORGE_ISA
