#pragma once
#include "core/kernels.h"
#include "cpu/simd.h"

/** Random words by key and position. */
namespace forge::FORGE_ISA {

constexpr int64_t blocks_at_once = lanes;

typedef uint64_t wide_words __attribute__((vector_size(lanes * 4)));
typedef uint32_t words_of_wide __attribute__((vector_size(lanes * 2), aligned(4), may_alias));
constexpr int64_t wide_lanes = lanes / 2;

/** Low 32 bits of every lane times m, 64 bits. */
static inline wide_words multiply_low(wide_words x, uint32_t m) {
#if defined(__AVX512F__)
  return (wide_words)_mm512_mul_epu32((__m512i)x, _mm512_set1_epi64(m));
#elif defined(__AVX2__)
  return (wide_words)_mm256_mul_epu32((__m256i)x, _mm256_set1_epi64x(m));
#else
  return (x & 0xffffffff) * m;
#endif
}

/**
 * words[j][b] = word j of block first + b. Philox4x32-10: Salmon et al. 2011, section 3.3; constants from there.
 * A word is the low half of a 64-bit lane, so that products need no shuffles; high halves hold leftovers.
 */
static inline void philox_blocks(const Philox& key, uint64_t first, uint32_t words[4][blocks_at_once]) {
  for (int64_t b = 0; b < blocks_at_once; b += wide_lanes) {
    wide_words counter;
    for (int64_t i = 0; i < wide_lanes; ++i) counter[i] = first + static_cast<uint64_t>(b + i);
    wide_words x0 = counter, x1 = counter >> 32, x2 = {}, x3 = {};
    uint32_t k0 = key.seed_lo, k1 = key.seed_hi;
    for (int round = 0; round < 10; ++round) {
      const wide_words p0 = multiply_low(x0, 0xD2511F53), p1 = multiply_low(x2, 0xCD9E8D57);
      x0 = (p1 >> 32) ^ x1 ^ k0;
      x1 = p1;
      x2 = (p0 >> 32) ^ x3 ^ k1;
      x3 = p0;
      k0 += 0x9E3779B9;
      k1 += 0xBB67AE85;
    }
    const wide_words result[4] = {x0, x1, x2, x3};
    for (int j = 0; j < 4; ++j) {
      *reinterpret_cast<words_of_wide*>(words[j] + b) =
          __builtin_convertvector(result[j], words_of_wide);
    }
  }
}

/** What the ten rounds add to a key, spread over all lanes. */
struct RoundKeys {
  wide_words of[10][2];
  explicit RoundKeys(const Philox& key) {
    uint32_t k0 = key.seed_lo, k1 = key.seed_hi;
    for (auto& pair : of) {
      pair[0] = wide_words{} + uint64_t{k0};
      pair[1] = wide_words{} + uint64_t{k1};
      k0 += 0x9E3779B9;
      k1 += 0xBB67AE85;
    }
  }
};

/** Words that philox_in_order makes at once, and the blocks they are. */
constexpr int64_t ordered_words = 64, ordered_blocks = ordered_words / 4;

/**
 * f(i, v) for i = 0, lanes, … below 64: v is words i … i + lanes − 1, in the order of the stream, of the 16 blocks
 * from `first` on. Two groups of blocks take turns, because a round waits for its products.
 */
template <class F>
static inline void philox_in_order(const RoundKeys& keys, uint64_t first, const F& f) {
  // Blocks are dealt to lanes such that unpacking pairs of words puts them in order.
#if defined(__AVX512F__)
  const wide_words dealt = {0, 4, 1, 5, 2, 6, 3, 7};
#elif defined(__AVX2__)
  const wide_words dealt = {0, 2, 1, 3};
#else
  const wide_words dealt = {0, 1};
#endif
  constexpr int together = 2;
  for (int64_t b = 0; b < ordered_blocks; b += together * wide_lanes) {
    wide_words x0[together], x1[together], x2[together] = {}, x3[together] = {};
    for (int g = 0; g < together; ++g) {
      x0[g] = dealt + (first + static_cast<uint64_t>(b + g * wide_lanes));
      x1[g] = x0[g] >> 32;
    }
    for (const auto& key : keys.of) {
      for (int g = 0; g < together; ++g) {
        const wide_words p0 = multiply_low(x0[g], 0xD2511F53), p1 = multiply_low(x2[g], 0xCD9E8D57);
        x0[g] = (p1 >> 32) ^ x1[g] ^ key[0];
        x1[g] = p1;
        x2[g] = (p0 >> 32) ^ x3[g] ^ key[1];
        x3[g] = p0;
      }
    }
    for (int g = 0; g < together; ++g) {
      const int64_t at = 4 * (b + g * wide_lanes);
      const wide_words low = (x0[g] & 0xffffffff) | (x1[g] << 32), high = (x2[g] & 0xffffffff) | (x3[g] << 32);
#if defined(__AVX512F__)
      f(at, (vi)_mm512_unpacklo_epi64((__m512i)low, (__m512i)high));
      f(at + lanes, (vi)_mm512_unpackhi_epi64((__m512i)low, (__m512i)high));
#elif defined(__AVX2__)
      f(at, (vi)_mm256_unpacklo_epi64((__m256i)low, (__m256i)high));
      f(at + lanes, (vi)_mm256_unpackhi_epi64((__m256i)low, (__m256i)high));
#else
      f(at, (vi)wide_words{low[0], high[0]});
      f(at + lanes, (vi)wide_words{low[1], high[1]});
#endif
    }
  }
}

/** out[i] = the top 24 bits of word first + i of the key's stream, 0 ≤ i < n. */
static inline void philox_top24(const Philox& key, int64_t first, int64_t n, uint32_t* out) {
  constexpr int64_t group = 4 * blocks_at_once;
  const int64_t skipped = first % 4;
  uint64_t block = key.counter + static_cast<uint64_t>(first / 4);
  for (int64_t at = -skipped; at < n; at += group, block += blocks_at_once) {
    uint32_t words[4][blocks_at_once];
    philox_blocks(key, block, words);
    for (int64_t i = at < 0 ? -at : 0; i < min64(group, n - at); ++i) out[at + i] = words[i % 4][i / 4] >> 8;
  }
}

/** The number of 24-bit words whose value is below a probability of `density`: word < threshold happens so often. */
static inline uint32_t bernoulli_threshold(double density) {
  const double scaled = density * 16777216.0;
  const uint32_t whole = static_cast<uint32_t>(scaled);
  return static_cast<double>(whole) < scaled ? whole + 1 : whole;
}

}  // namespace forge::FORGE_ISA
