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
