#pragma once
/** The pseudo-random matrices of SeedLM (Shafipour et al. 2024, arXiv:2410.10714, section 3.1). */
#include "core/kernels.h"
#include "cpu/simd.h"

namespace forge::FORGE_ISA {

/** Feedback bits of the shift register of K bits, K = 2..24; each gives the full period 2^K − 1. */
constexpr uint32_t lfsr_taps[] = {0,    0,    0x3,  0x3,    0x3, 0x5,    0x3,    0x3,  0x1d, 0x11,  0x9,  0x5, 0x107,
                                  0x27, 0x1007, 0x3, 0x100b, 0x9, 0x81,  0x27,   0x9,  0x5,  0x3,   0x21, 0x87};

/** Shifts right by one; the parity of the fed-back bits becomes the top bit. */
static inline uint32_t lfsr_next(uint32_t state, int bits) {
  uint32_t parity = state & lfsr_taps[bits];
  for (int half = 16; half > 0; half /= 2) parity ^= parity >> half;
  return state >> 1 | (parity & 1) << (bits - 1);
}

/** f(i, V − 2^(K−1)) for the block·rank states V after `seed`; divided by 2^(K−1) − 1 they are U, row by row. */
template <class F>
static inline void for_each_state(const SeedLm& code, uint32_t seed, const F& f) {
  const int32_t middle = 1 << (code.bits - 1);
  uint32_t state = seed;
  for (int i = 0; i < code.block * code.rank; ++i) {
    state = lfsr_next(state, code.bits);
    f(i, static_cast<int32_t>(state) - middle);
  }
}

}  // namespace forge::FORGE_ISA
